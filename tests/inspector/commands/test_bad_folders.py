"""Folders without usable pictures are refused with exit code 4 before any work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inspector.commands.conftest import Plant
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command
from tests.inspector.image_samples import bomb_png, encoded, scene
from tests.inspector.tiny_bundle import good_picture, write_picture
from tests.journey.program import listing

Make = Callable[[Path], object]


def into_a_file(folder: Path) -> None:
    """Put a file where the folder was."""
    folder.rmdir()
    folder.write_text("x")


FOLDERS: dict[str, tuple[Make, str]] = {
    "missing": (lambda folder: folder.rmdir(), "does not exist"),
    "a file": (into_a_file, "is not a folder"),
    "empty": (lambda _folder: None, "no picture"),
    "no pictures": (lambda folder: (folder / "readme.md").write_text("# parts"), "no picture"),
    "one picture": (lambda folder: write_picture(folder / "a.png", good_picture()), "1 picture in"),
    "one text file": (lambda folder: (folder / "a.png").write_text("not a picture"), "none usable"),
    "one empty file": (lambda folder: (folder / "a.png").touch(), "none usable"),
    "one truncated JPEG": (
        lambda folder: (folder / "a.jpg").write_bytes(encoded(scene(), "JPEG")[:900]),
        "none usable",
    ),
    "one bomb": (lambda folder: (folder / "a.png").write_bytes(bomb_png()), "none usable"),
    "a newline in its name": (lambda folder: (folder / "a\nb.png").write_text("no"), "none usable"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_fit(case: str, command: Command, tmp_path: Path) -> None:
    """One line names the folder and the reason; neither a store nor a workspace appears."""
    folder = tmp_path / "parts"
    folder.mkdir()
    make, expected = FOLDERS[case]
    make(folder)
    before = listing(tmp_path)
    ended = command("fit", folder, "--steps", "30", "--image-size", "64", "--output", tmp_path / "bundle")
    error, hint = ended.err.splitlines()[-2:]
    assert (ended.code, ended.out) == (4, "")
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert expected in error
    assert "parts" in error
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("case", "verb"),
    [
        ("missing", "evaluate"),
        ("missing", "calibrate"),
        ("missing", "drift"),
        ("empty", "evaluate"),
        ("empty", "calibrate"),
        ("empty", "drift"),
        ("one text file", "calibrate"),
        ("one text file", "drift"),
    ],
)
def test_verbs_that_use_a_model(case: str, verb: str, command: Command, plant: Plant, tmp_path: Path) -> None:
    """One line and one hint, and the store stays as it was."""
    folder = tmp_path / "parts"
    folder.mkdir()
    FOLDERS[case][0](folder)
    before = listing(tmp_path), listing(plant.store.root)
    refused(command(verb, folder), 4, "")
    assert (listing(tmp_path), listing(plant.store.root)) == before


@pytest.mark.parametrize("verb", ["fit", "calibrate", "drift", "sweep"])
def test_a_labelled_set(verb: str, command: Command, plant: Plant, tmp_path: Path) -> None:
    """A set with defects is refused before any work, with the command for its good pictures."""
    before = listing(tmp_path), listing(plant.store.root)
    ended = command(verb, plant.labelled, "--format", "json")
    refused(ended, 4, "test holds more than good pictures: good, hole")
    good = shlex.quote(str(plant.labelled / "good"))
    assert f"hint: inspector {verb} {good} --format json" in ended.err
    assert "--recursive-anyway" in ended.err
    assert (listing(tmp_path), listing(plant.store.root)) == before


def test_a_labelled_set_anyway(command: Command, plant: Plant, tmp_path: Path) -> None:
    """Those who mean it get what they ask for."""
    ended = command("drift", plant.labelled, "--recursive-anyway")
    assert (ended.code, json.loads(ended.out)["images"]) == (0, 13)
    options = ("--recursive-anyway", "--output", tmp_path / "bundle")
    ended = command("calibrate", plant.labelled, *options)
    assert (ended.code, json.loads(ended.out)["images"]) == (0, 13)


def test_pictures_that_no_verb_can_use(command: Command, plant: Plant, tmp_path: Path) -> None:
    """Every verb counts them by reason, with an example."""
    for name in ("good/0.png", "good/1.png", "hole/0.png"):
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(scene(), "JPEG")[:900])
    good, counts = tmp_path / "parts" / "good", "2 truncated, such as 0.png"
    for verb, folder in (("fit", good), ("calibrate", good), ("evaluate", good.parent)):
        refused_words = command(verb, folder).err
        assert f"2 pictures in '{good}', none usable: {counts}; at least" in refused_words
    assert f"0 readable pictures ({counts})" in command("drift", good).err
    ended = command("cutout", good, "--output", tmp_path / "cut")
    assert ended.code == 3
    assert f"skipped 2 of 2 pictures: {counts}" in ended.err
