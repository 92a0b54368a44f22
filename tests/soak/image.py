"""Run the image's install steps in a bare Debian root: small, without torch, serving as an ordinary user.

Needs root. The files that pip and apt need to reach their packages are copied from this machine.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from inspector.bundle.store import Store
from inspector.imaging.encode import encode_png
from tests.inspector.tiny_bundle import bad_picture, tiny_fill
from tests.soak.program import demand, finish, say
from tests.soak.wheel import ROOT, build

LARGEST_MEGABYTES = 450
SUITE = "bookworm"
USER = "10001:10001"
PORT = 18080
PYTHON = "python3,python3-venv"
LENT = tuple(
    map(Path, ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"))
)
ABSENT = ("torch", "sklearn", "scipy", "onnx", "pip")


def verify() -> None:
    """Make the root, install into it, check its size and packages, and serve from it."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        _bootstrap(root)
        _install(root, build(Path(place)))
        _look(root)
        _serve(root)


def _run(*words: str | Path) -> str:
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    demand(
        ended.returncode == 0, f"{' '.join(map(str, words))}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    )
    return ended.stdout


def _bootstrap(root: Path) -> None:
    began = time.monotonic()
    sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in sources if path.is_file())
    found = re.search(r"^(?:URIs: *|deb (?:\[[^]]*\] )?)(\S+debian/?)(?=\s)", text, re.MULTILINE)
    demand(found is not None, "this machine's apt names no Debian mirror")
    assert found
    _run("debootstrap", "--variant=minbase", f"--include={PYTHON}", SUITE, root, found[1])
    say(f"a bare root in {time.monotonic() - began:.0f} s")


def _install(root: Path, wheel: Path) -> None:
    """Run install.sh in the root, with this machine's settings for pip and apt."""
    (root / "src").mkdir()
    for file in (wheel, ROOT / "constraints.txt", ROOT / "deploy/install.sh"):
        shutil.copy(file, root / "src")
    began = time.monotonic()
    for path in filter(Path.is_file, LENT):
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy(path, target)
    script = ["/src/install.sh", f"/src/{wheel.name}", "/src/constraints.txt"]
    _run("chroot", root, *script)
    say(f"installed in {time.monotonic() - began:.0f} s")
    shutil.rmtree(root / "src")


def _look(root: Path) -> None:
    tree = root / "opt/inspector"
    megabytes = sum(path.lstat().st_size for path in tree.rglob("*")) / 1e6
    packages = {path.name for path in tree.glob("lib/python3*/site-packages/*")}
    say(f"the runtime tree has {megabytes:.0f} MB, allowed {LARGEST_MEGABYTES}")
    demand(megabytes <= LARGEST_MEGABYTES, f"{megabytes:.0f} MB")
    demand(not packages & set(ABSENT), f"there are {packages & set(ABSENT)}")


def _serve(root: Path) -> None:
    """Start the daemon as a user who may write only to the store, and compare a verdict."""
    state = root / "var/lib/inspector"
    Store(state / "store").publish("tiny", tiny_fill())
    _run("chown", "-R", USER, state)
    command = ["chroot", f"--userspec={USER}", str(root), "/usr/bin/env", "-i", "HOME=/var/lib/inspector"]
    command += ["PYTHONDONTWRITEBYTECODE=1", "INSPECTOR_STORE=/var/lib/inspector/store"]
    command += ["/opt/inspector/bin/inspector", "serve", "--port", str(PORT)]
    log = root / "log"
    with log.open("w") as stream, subprocess.Popen(command, stderr=stream) as daemon:
        try:
            _wait(daemon, log)
            answer = httpx.post(f"http://127.0.0.1:{PORT}/v1/score", content=encode_png(bad_picture()))
            demand(answer.status_code == 200, answer.text)
            say(f"served as {USER}: {json.dumps(answer.json())[:60]}…")
            demand(answer.json()["verdict"] == "fail", answer.text)
            page = httpx.get(f"http://127.0.0.1:{PORT}/")
            demand(page.status_code == 200, page.text)
        finally:
            daemon.terminate()
    demand(daemon.returncode == 0, f"it ended with {daemon.returncode}")


def _wait(daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        demand(daemon.poll() is None, f"it ended: {log.read_text()}")
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    demand(False, f"it is not ready after 10 s: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(finish(verify))
