"""The pictures that a model learned from, found again by their content."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inspector.bundle.folder import write_bundle
from inspector.bundle.reference import content_digest
from inspector.errors import NoImagesError
from inspector.generation import training_images
from tests.inspector.tiny_bundle import good_picture, tiny_fill, write_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, the last one twice."""
    place = tmp_path / "good"
    for seed in range(6):
        write_picture(place / f"{seed}.png", good_picture(seed))
    shutil.copy(place / "5.png", place / "copy.png")
    return place


def names(found: training_images.TrainingPictures) -> list[str]:
    """Return the names of the files."""
    return [path.name for path in found.files]


def test_only_what_was_learned_is_found(folder: Path, tmp_path: Path) -> None:
    """Pictures are found by their content under any name, and identical ones once."""
    digests = [content_digest(folder / f"{seed}.png") for seed in (1, 2, 5)]
    bundle = write_bundle(tmp_path / "model", tiny_fill(training_digests=[*digests, 7]))
    (folder / "2.png").rename(folder / "renamed.png")
    found = training_images.find(bundle, folder)
    assert names(found) == ["1.png", "5.png", "renamed.png"]
    assert (found.recognised, found.learned) == (True, 4)


@pytest.mark.parametrize("digests", [None, [1, 2]])
def test_where_nothing_is_known_all_count(folder: Path, tmp_path: Path, digests: list[int] | None) -> None:
    """If no digest matches, all pictures of the folder are returned as not recognised."""
    bundle = write_bundle(tmp_path / "model", tiny_fill(training_digests=digests))
    found = training_images.find(bundle, folder)
    assert len(found.files) == 6
    assert not found.recognised


def test_the_recorded_folder(folder: Path, tmp_path: Path) -> None:
    """The folder of the fit is found; if it is gone, or holds other pictures, the result is None."""
    digests = [content_digest(folder / "1.png")]
    bundle = write_bundle(tmp_path / "model", tiny_fill(training_digests=digests, folder=folder))
    found = training_images.find_recorded(bundle)
    assert found is not None
    assert names(found) == ["1.png"]
    (folder / "1.png").unlink()
    assert training_images.find_recorded(bundle) is None
    shutil.rmtree(folder)
    assert training_images.find_recorded(bundle) is None


def test_a_model_that_recorded_no_folder(tmp_path: Path) -> None:
    """A model that recorded no folder finds none."""
    assert training_images.find_recorded(write_bundle(tmp_path / "model", tiny_fill())) is None


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A missing folder and an empty one are named in the error."""
    bundle = write_bundle(tmp_path / "model", tiny_fill())
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        with pytest.raises(NoImagesError, match=name):
            training_images.find(bundle, tmp_path / name)
