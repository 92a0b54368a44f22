"""The door between the product and the workshop."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from inspector import extras
from inspector.errors import MissingExtraError

# A fresh interpreter in which one package of the extra cannot be imported.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from inspector import extras
from inspector.errors import MissingExtraError
try:
    extras.{room}("inspector fit")
except MissingExtraError as error:
    print(error.message)
    print(error.hint)
"""


def test_rooms_open_where_the_extra_is_installed() -> None:
    """`models` and `calibration` are imported, and so is one module of them."""
    assert extras.models().__name__ == "models"
    assert extras.calibration().__name__ == "calibration"
    assert extras.room("calibration.conformal").__name__ == "calibration.conformal"


@pytest.mark.parametrize(
    ("package", "shown", "room"),
    [
        ("torch", "torch", "models"),
        ("sklearn", "scikit-learn", "calibration"),
        ("scipy", "scipy", "calibration"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(package: str, shown: str, room: str) -> None:
    """Without a package of the extra, one line says which one and one what to install."""
    code = textwrap.dedent(WITHOUT.format(package=package, room=room))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, hint = run.stdout.splitlines()
    assert message == f"'inspector fit' needs {shown}, which is not installed"
    assert hint == "pip install 'wae-inspector[train]'"


def test_a_mistake_of_our_own_is_not_a_missing_extra() -> None:
    """A module that does not exist stays the import error that it is."""
    with pytest.raises(ModuleNotFoundError, match="no_such_room"):
        extras.room("calibration.no_such_room")


def test_every_package_of_the_extra_is_known() -> None:
    """An import error of any module below a package of the extra becomes the same one line."""
    for name, shown in extras.PACKAGES.items():
        error = extras.missing_extra(ImportError("gone", name=f"{name}.inner"), "inspector demo")
        assert isinstance(error, MissingExtraError)
        assert shown in error.message
    assert extras.missing_extra(ImportError("gone"), "inspector demo") is None
