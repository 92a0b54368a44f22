#!/bin/sh
# Installs inspector for scoring and serving into its own folder, without torch and scikit-learn:
#
#   install.sh WHEEL_OR_CHECKOUT CONSTRAINTS [PREFIX]
#
# PREFIX defaults to /opt/inspector.  Needs Python 3.11 or newer with the venv module.
set -eu

source=${1:?usage: install.sh WHEEL_OR_CHECKOUT CONSTRAINTS [PREFIX]}
constraints=${2:?usage: install.sh WHEEL_OR_CHECKOUT CONSTRAINTS [PREFIX]}
prefix=${3:-/opt/inspector}

for needed in "$source" "$constraints"; do
    test -e "$needed" || { echo "error: $needed does not exist" >&2; exit 2; }
done
test ! -e "$prefix" || { echo "error: $prefix exists; remove it, or name another folder" >&2; exit 2; }
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: python3 is older than 3.11, or has no venv module (Debian: python3-venv)" >&2
    exit 2
}

# Remove an incomplete installation.
trap 'test $? = 0 || rm -rf "$prefix"' EXIT

python3 -m venv "$prefix"
"$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
    --constraint "$constraints" "$source"

# Running needs neither the packages' tests nor pip.
site=$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
"$prefix/bin/python" -m pip uninstall --quiet --yes pip setuptools 2>/dev/null || true
# Compile now: the folder is read-only at run time.
"$prefix/bin/python" -m compileall -q "$site" >/dev/null || true
"$prefix/bin/inspector" --version
