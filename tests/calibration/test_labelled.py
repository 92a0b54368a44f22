"""Test folders in the MVTec layout are read, and others are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.labelled import labelled_pictures, read_mask
from inspector.errors import DatasetError, NoImagesError
from inspector.settings import Settings
from tests.inspector.tiny_bundle import bad_picture, good_picture, write_picture


def labelled_folder(tmp_path: Path) -> Path:
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
    return labelled_folder(tmp_path)


def test_pictures_and_masks_are_found(folder: Path) -> None:
    """Good pictures come first; each defect gets the mask of its kind and name, if there is one."""
    (folder / "notes.txt").write_text("not a kind")
    for name in (".cache", "@eaDir", "#recycle"):
        (folder / name).mkdir()
        (folder / name / "a.png").touch()
        (folder / "good" / name).mkdir()
        (folder / "good" / name / "a.png").touch()
    found = labelled_pictures(folder)
    assert [picture.kind for picture in found] == ["good"] * 6 + ["dent"] * 6 + ["scratch"] * 3
    masks = folder.resolve().parent / "ground_truth"
    assert [picture.mask for picture in found[6:12]] == [masks / "dent" / f"{i}_mask.png" for i in range(6)]
    assert {picture.mask for picture in found[:6] + found[12:]} == {None}


def test_the_folder_may_be_named_relatively(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks are also found if the test folder is the current folder."""
    monkeypatch.chdir(folder)
    assert sum(picture.mask is not None for picture in labelled_pictures(Path())) == 6


def test_layout_errors(folder: Path, tmp_path: Path) -> None:
    """A missing folder, a missing `good/` and an empty one are refused; the folder above gets a hint."""
    with pytest.raises(NoImagesError, match="does not exist"):
        labelled_pictures(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="has no folder good/") as caught:
        labelled_pictures(folder.parent)
    assert caught.value.hint == f"did you mean {folder}?"
    with pytest.raises(DatasetError, match="has no folder good/") as caught:
        labelled_pictures(folder / "dent")
    assert "put good pictures into good/" in caught.value.hint
    (tmp_path / "empty" / "good").mkdir(parents=True)
    with pytest.raises(NoImagesError, match="holds no picture"):
        labelled_pictures(tmp_path / "empty")


def test_masks_are_read_strictly(tmp_path: Path) -> None:
    """A mask is True where it is not black; a mask of another size or a damaged one is refused by name."""
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[3, 4], mask[5, 6] = 1, 255
    path = write_picture(tmp_path / "m_mask.png", mask)
    np.testing.assert_array_equal(read_mask(path, (40, 50)), mask > 0)
    clear = np.full((40, 50, 4), 255, np.uint8)
    clear[..., 3] = mask
    clear[3, 4, 3] = 255
    drawn = write_picture(tmp_path / "drawn_mask.png", clear)
    np.testing.assert_array_equal(read_mask(drawn, (40, 50)), mask > 0)
    with pytest.raises(DatasetError, match="at most 1,999 are read"):
        read_mask(path, (40, 50), Settings(max_pixels=1999))
    with pytest.raises(DatasetError, match=r"m_mask.png has 50 x 40 pixels, its picture 40 x 50"):
        read_mask(path, (50, 40))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DatasetError, match=r"mask .*m_mask.png"):
        read_mask(path, (40, 50))
