"""The import of `models` and `calibration` from `inspector`."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from inspector import extras
from inspector.errors import MissingExtraError

ROOT = Path(__file__).parents[2]

# The command line in a fresh interpreter in which one package cannot be imported.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from inspector.commands.main import main
sys.exit(main())
"""


def inspector(
    program: list[str], *arguments: Path | str, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the command line of this checkout; Python looks into `cwd` first."""
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (extras.models, "models"),
        (extras.recalibration, "calibration.recalibration"),
        (extras.thresholds, "calibration.thresholds"),
        (extras.labelled, "calibration.labelled"),
        (extras.evaluation, "calibration.evaluation"),
        (extras.evaluation_page, "calibration.report.evaluation_page"),
        (extras.sweep, "calibration.sweep"),
    ],
)
def test_each_function_returns_its_module(load: Callable[[], ModuleType], name: str) -> None:
    """With the extra installed, each function imports the module that it is named after."""
    assert load().__name__ == name


@pytest.mark.parametrize(
    ("package", "shown", "command"),
    [
        ("torch", "torch", "fit"),
        ("sklearn", "scikit-learn", "evaluate"),
        ("scipy", "scipy", "evaluate"),
    ],
)
def test_a_missing_package_is_one_line(tmp_path: Path, package: str, shown: str, command: str) -> None:
    """Without a package of the extra, one line names it and one says how to install it."""
    (tmp_path / "part.png").touch()  # a fit looks for pictures first
    (tmp_path / "good").mkdir()
    code = textwrap.dedent(WITHOUT.format(package=package))
    ended = inspector(["-c", code], command, tmp_path, *(["--model", "x"] if command == "evaluate" else []))
    assert ended.returncode == 7
    message, hint = ended.stderr.splitlines()
    assert message == f"error: 'inspector {command}' needs {shown}, which is not installed"
    assert hint == "hint: pip install 'wae-inspector[train]'"


@pytest.mark.parametrize("package", ["models", "calibration"])
@pytest.mark.parametrize("kind", ["package", "module"])
def test_another_package_of_our_name_is_recognised(tmp_path: Path, package: str, kind: str) -> None:
    """A foreign `models` or `calibration` that Python finds first is named, and never executed."""
    path = tmp_path / (f"{package}/__init__.py" if kind == "package" else f"{package}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text("print('executed')", encoding="utf-8")
    (tmp_path / "part.png").touch()  # a fit looks for pictures first
    ended = inspector(["-m", "inspector"], "fit", tmp_path, cwd=tmp_path)
    assert ended.returncode == 7
    assert ended.stdout == ""
    message, hint = ended.stderr.splitlines()
    assert message.startswith(f"error: inspector needs its own package {package!r} in {ROOT}, but")
    assert str(path) in message
    assert hint.startswith("hint: rename or uninstall")


def test_every_package_of_the_extras_is_known() -> None:
    """An import error of any module below a package of an extra becomes the same one line."""
    for name, shown in extras.DISTRIBUTIONS.items():
        error = extras.missing_extra(ImportError("gone", name=f"{name}.inner"), "inspector demo")
        assert isinstance(error, MissingExtraError)
        assert shown in error.message
    assert extras.missing_extra(ImportError("gone"), "inspector demo") is None
