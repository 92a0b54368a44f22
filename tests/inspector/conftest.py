"""Fixtures: a tiny model, a store, and the command line in the process of the tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.commands.main import main
from tests.inspector.tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a tiny model that tests must not change."""
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def own(tiny: Bundle, tmp_path: Path) -> Path:
    """Return a copy of the tiny model that a test may change."""
    return shutil.copytree(tiny.path, tmp_path / "own")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store that does not exist yet; the command line uses it, too."""
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("INSPECTOR_THREADS", "1")
    return Store(tmp_path / "store")


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process."""

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["inspector", *map(str, arguments)])
        code = main()
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def unmeasured() -> dict[str, str]:
    """Return the environment of a program without coverage.

    Ctrl-C while coverage holds its lock would leave the program waiting for that lock for ever.
    """
    return {key: value for key, value in os.environ.items() if not key.startswith("COV")}
