"""Test folders in the MVTec layout are read, and others are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.labelled import labelled_folder
from inspector.errors import DatasetError, NoImagesError
from tests.inspector.tiny_bundle import bad_picture, good_picture, write_picture


def write_labelled(tmp_path: Path) -> Path:
    """A test folder in the MVTec layout: good pictures, dents with masks, and scratches without."""
    test = tmp_path / "parts" / "test"
    for seed in range(6):
        write_picture(test / "good" / f"{seed}.png", good_picture(seed, 64, 96))
        write_picture(test / "dent" / f"{seed}.png", bad_picture(seed, 64, 96))
    for seed in range(3):
        write_picture(test / "scratch" / f"{seed}.jpg.png", bad_picture(10 + seed, 80, 64))
    mask = np.zeros((64, 96), dtype=np.uint8)
    mask[8:21, 12:32] = 1  # not black is enough
    for seed in range(5):
        write_picture(test.parent / "ground_truth" / "dent" / f"{seed}_mask.png", mask)
    write_picture(test.parent / "ground_truth" / "dent" / "5_mask.png", 0 * mask)
    return test


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test folder with good pictures, dents with masks, and scratches without."""
    return write_labelled(tmp_path)


def make(root: Path, *names: str) -> Path:
    """Make empty files, and return the folder `test` among them: listing them needs no content."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root / "test"


def found(test: Path) -> dict[str, list[str]]:
    """Return the names of the masks of each picture, from the folder above `test`."""
    return {
        picture.name: [mask.relative_to(test.parent.resolve()).as_posix() for mask in picture.masks]
        for picture in labelled_folder(test).pictures
    }


def test_pictures_and_masks_are_found(folder: Path) -> None:
    """Good pictures come first; each defect gets the mask of its kind and name, if there is one."""
    (folder / "notes.txt").write_text("not a kind")
    for name in (".cache", "@eaDir", "#recycle"):
        (folder / name).mkdir()
        (folder / name / "a.png").touch()
        (folder / "good" / name).mkdir()
        (folder / "good" / name / "a.png").touch()
    pictures = labelled_folder(folder).pictures
    assert [picture.kind for picture in pictures] == ["good"] * 6 + ["dent"] * 6 + ["scratch"] * 3
    masks = folder.resolve().parent / "ground_truth"
    assert [picture.masks for picture in pictures[6:12]] == [
        (masks / "dent" / f"{i}_mask.png",) for i in range(6)
    ]
    assert {picture.masks for picture in pictures[:6] + pictures[12:]} == {()}
    assert [picture.name for picture in pictures][5:7] == ["good/5.png", "dent/0.png"]


def test_the_folder_may_be_named_relatively(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks are also found if the test folder is the current folder."""
    monkeypatch.chdir(folder)
    assert sum(bool(picture.masks) for picture in labelled_folder(Path()).pictures) == 6


@pytest.mark.parametrize(
    "mask",
    [
        "ground_truth/dent/0_mask.bmp",
        "Ground Truth/dent/0.png",
        "masks/dent/0.png",
        "ground_truth/0.png",
        "test/ground_truth/dent/0_mask.png",
        "test/GroundTruth/Dent/0.tif",
        "test/gt/0_mask.png",
        "test/dent/ground_truth/0.png",
        "test/dent/masks/0_mask.png",
        "test/dent/0_mask.png",
        "test/dent/0_GT.bmp",
        "test/dent/0_label.png",
        "test/annotations/dent/0.png",
        "mask/dent/0.png",
    ],
)
def test_masks_beside_and_inside(tmp_path: Path, mask: str) -> None:
    """Masks may lie beside the test folder, in it, in a kind's folder and beside their picture.

    They are no pictures, and their folder is no kind.
    """
    test = make(tmp_path, "test/good/0.png", "test/dent/0.jpg", mask)
    assert found(test) == {"good/0.png": [], "dent/0.jpg": [mask]}


@pytest.mark.parametrize(
    ("root", "names"),
    [
        ("BTAD", ["test/ok/0000.bmp", "test/ko/0001.bmp", "ground_truth/ko/0001.png"]),
        ("MPDD", ["test/good/000.png", "test/hole/000.png", "ground_truth/hole/000_mask.png"]),
        ("VisA", ["test/Normal/0000.JPG", "test/Anomaly/000.JPG", "Masks/Anomaly/000.png"]),
        (
            "AD 2",
            ["test/good/0_regular.png", "test/bad/0_regular.png", "test/ground_truth/bad/0_regular_mask.png"],
        ),
        ("LOCO", ["test/good/000.png", "test/logical/000.png", "ground_truth/logical/000/000.png"]),
        ("3D", ["test/good/rgb/000.png", "test/dent/rgb/000.png", "test/dent/gt/000.png"]),
    ],
)
def test_layouts_of_public_sets(tmp_path: Path, root: str, names: list[str]) -> None:
    """Folders laid out as well-known sets are need no change."""
    test = make(tmp_path / root, *names)
    good, defect, mask = names
    assert found(test) == {good.removeprefix("test/"): [], defect.removeprefix("test/"): [mask]}


def test_masks_of_good_pictures_are_ignored(tmp_path: Path) -> None:
    """Masks of good pictures are given to no defect, and are not reported."""
    names = ["test/good/0.png", "test/dent/0.png", "ground_truth/good/0.png", "test/good/0_mask.png"]
    listed = labelled_folder(make(tmp_path, *names))
    assert [picture.masks for picture in listed.pictures] == [(), ()]
    assert listed.unused_masks == ()


def test_masks_without_a_picture_are_named(tmp_path: Path) -> None:
    """A mask that fits no picture, and one that fits several, are both reported."""
    test = make(
        tmp_path,
        *["test/good/0.png", "test/dent/0.png", "test/dent/1.png", "test/crack/1.png"],
        *["ground_truth/dent/7_mask.png", "ground_truth/1.png", "ground_truth/dent/0.png"],
    )
    listed = labelled_folder(test)
    assert listed.unused_masks == ("ground_truth/dent/7_mask.png",)
    assert {
        one.name: (one.is_ambiguous, len(one.masks)) for one in listed.pictures if one.kind != "good"
    } == {
        "crack/1.png": (True, 0),
        "dent/0.png": (False, 1),
        "dent/1.png": (True, 0),
    }


def test_layout_errors(folder: Path, tmp_path: Path) -> None:
    """A missing folder, a missing `good/` and an empty one are refused; the folder above gets a hint."""
    with pytest.raises(NoImagesError, match="does not exist"):
        labelled_folder(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="has no folder good/") as caught:
        labelled_folder(folder.parent)
    assert caught.value.hint == f"did you mean {folder}?"
    with pytest.raises(DatasetError, match="has no folder good/") as caught:
        labelled_folder(folder / "dent")
    assert "put good pictures into good/" in caught.value.hint
    (tmp_path / "empty" / "good").mkdir(parents=True)
    with pytest.raises(NoImagesError, match="holds no picture"):
        labelled_folder(tmp_path / "empty")


def test_two_folders_of_good_pictures_are_refused(tmp_path: Path) -> None:
    """With `good/` and `ok/`, neither is guessed to be the defective one."""
    test = make(tmp_path, "test/good/0.png", "test/OK/0.png", "test/dent/0.png")
    with pytest.raises(DatasetError, match=r"OK/ and good/, which both mean good pictures"):
        labelled_folder(test)


@pytest.mark.parametrize("name", ["good", "OK", "iO", "Gutteile", "defect-free"])
def test_good_pictures_in_a_folder_of_another_name(tmp_path: Path, name: str) -> None:
    """An evaluation knows the names of good folders that a fit knows."""
    test = make(tmp_path, f"test/{name}/0.png", "test/dent/0.jpg")
    assert [one.kind for one in labelled_folder(test).pictures] == ["good", "dent"]
