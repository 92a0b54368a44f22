"""`make test` and `make system-test` together run every test, each test once."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

EXPRESSIONS = {"test": "not system", "system-test": "system"}
TESTS = """
import pytest

def test_plain(): pass

@pytest.mark.system
def test_marked(): pass

def test_that_mounts(mount): pass
"""


def pytest_words(project: Path, target: str) -> list[str]:
    """The words of the pytest command that `make TARGET` runs."""
    shown = subprocess.run(
        ["make", "--dry-run", target], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in shown.splitlines() if " -m pytest " in line]
    return shlex.split(line)


def test_the_two_commands_differ_in_the_marker_alone(project: Path) -> None:
    """One selects `system`, the other `not system`; a test that one leaves out is run by the other."""
    words = {target: pytest_words(project, target) for target in EXPRESSIONS}
    for target, expression in EXPRESSIONS.items():
        assert words[target][-2:] == ["-m", expression]
        assert "--no-skips" in words[target]
    assert words["test"][:-2] == words["system-test"][:-2]


def test_a_fixture_that_needs_root_makes_a_system_test(pytester: pytest.Pytester, project: Path) -> None:
    """A test is `system` if it is marked so, or if it uses a fixture that needs root."""
    pytester.makeconftest((project / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = system: needs root\naddopts = --strict-markers")
    pytester.makepyfile(TESTS)
    found = {}
    for expression in EXPRESSIONS.values():
        listed = pytester.runpytest_inprocess(
            "--collect-only", "-q", "-p", "no:cacheprovider", "-m", expression
        )
        found[expression] = {line.rpartition("::")[2] for line in listed.outlines if "::" in line}
    assert found == {"not system": {"test_plain"}, "system": {"test_marked", "test_that_mounts"}}
