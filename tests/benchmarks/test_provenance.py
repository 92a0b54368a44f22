"""The recorded origin of a measurement is true."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.benchmarks import provenance


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit of measured files."""
    for name in (
        "models/fit.py",
        "calibration/thresholds.py",
        "inspector/scoring/detector.py",
        "constraints.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git with an author of its own."""
    names = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    ended = subprocess.run(
        ["git", *names, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def commit(folder: Path) -> str:
    """Commit everything, and return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", "something")
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.system
def test_the_commit_is_the_last_one_that_changed_what_is_measured(checkout: Path) -> None:
    """A commit of results or documentation leaves the measured commit as it is."""
    before = provenance.commit(checkout)
    assert before == {"id": git(checkout, "rev-parse", "HEAD"), "dirty": False}
    (checkout / "README.md").write_text("words")
    assert provenance.commit(checkout) == before
    commit(checkout)
    assert provenance.commit(checkout) == before


@pytest.mark.system
def test_a_change_makes_the_code_dirty_until_it_is_committed(checkout: Path) -> None:
    """A new measured file makes the code dirty; its commit is the measured commit afterwards."""
    before = provenance.commit(checkout)
    (checkout / "models" / "new.py").write_text("new")
    assert provenance.commit(checkout) == {"id": before["id"], "dirty": True}
    after = commit(checkout)
    assert provenance.commit(checkout) == {"id": after, "dirty": False}


@pytest.mark.system
def test_the_digest_follows_the_bytes(checkout: Path) -> None:
    """The digest changes with a measured file and with no other file, committed or not."""
    before = provenance.digest(checkout)
    (checkout / "models" / "__pycache__").mkdir()
    (checkout / "models" / "__pycache__" / "fit.pyc").write_text("compiled")
    (checkout / "inspector" / "daemon").mkdir()
    (checkout / "inspector" / "daemon" / "app.py").write_text("not measured")
    assert provenance.digest(checkout) == before
    (checkout / "models" / "fit.py").write_text("changed")
    changed = provenance.digest(checkout)
    assert changed != before
    commit(checkout)
    assert provenance.digest(checkout) == changed


def test_there_need_not_be_a_repository(tmp_path: Path) -> None:
    """Outside of a repository there is no commit, and nothing else fails."""
    assert provenance.commit(tmp_path) == {"id": None, "dirty": False}
