"""Masks are matched where their names have one reading, and nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from calibration.mask_matching import Matches, Place, match


def places(kind: str | None, *names: str) -> list[Place]:
    """Files of one kind."""
    return [Place(Path(f"{kind}/{name}"), name, kind, PurePosixPath(name)) for name in names]


def matched(pictures: list[str], masks: list[str], kind: str | None = "dent") -> Matches:
    """Match pictures of one kind to masks of the same kind, or of an unknown one."""
    return match(places("dent", *pictures), places(kind, *masks))


def given(matches: Matches) -> dict[str, list[str]]:
    """Return the names of each picture's masks."""
    return {path.name: sorted(mask.name for mask in masks) for path, masks in matches.masks.items()}


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("0.png", "0_mask.png"),
        ("0.png", "0.png"),
        ("0.jpg", "0_mask.bmp"),
        ("0.bmp", "0.tif"),
        ("0.png", "0-Mask.tiff"),
        ("0.png", "0_gt.png"),
        ("0.png", "0_label.bmp"),
        ("0.png", "0_ground_truth.png"),
        ("0.png", "mask_0.png"),
        ("0.jpg", "0.jpg_mask.png"),
        ("0.jpg", "0.jpg.png"),
        ("Part A.PNG", "part a_MASK.png"),
        ("007.png", "7_mask.png"),
        ("7.png", "0007.png"),
        ("part_mask.png", "part_mask_mask.png"),
        ("Gr\u00fcn.png", "Gru\u0308n_mask.png"),
        ("left/0.png", "0_mask.png"),
        ("0.png", "left/0_mask.png"),
        ("0.png", "0/000.png"),
    ],
)
def test_names_that_fit(picture: str, mask: str) -> None:
    """One mask and one picture match by suffix, words around the name, case, zeros and folders."""
    for kind in ("dent", None):
        found = matched([picture], [mask], kind)
        assert [path.name for path in found.masks] == [Path(picture).name]
        assert (found.unused, found.ambiguous) == ([], set())


@pytest.mark.parametrize(
    ("picture", "mask"),
    [("1.png", "2_mask.png"), ("1.png", "1_left.png"), ("1.png", "11.png"), ("10.png", "1.png")],
)
def test_names_that_do_not_fit(picture: str, mask: str) -> None:
    """A name that differs by more than that is no match."""
    found = matched([picture], [mask])
    assert (found.masks, [one.name for one in found.unused]) == ({}, [mask])


def test_the_usual_name_wins() -> None:
    """`NAME_mask.png` is the mask, whatever else fits; the others are left over."""
    found = matched(["0.png"], ["0.png", "0_mask.bmp", "0_mask.png"])
    assert given(found) == {"0.png": ["0_mask.png"]}
    assert [mask.name for mask in found.unused] == ["0.png", "0_mask.bmp"]


def test_a_strict_match_comes_before_a_lax_one() -> None:
    """`1` and `01` keep their own masks, and a lax round takes only what is left."""
    found = matched(["01.png", "1.png", "A.png", "a.png"], ["01.bmp", "1.bmp", "a.bmp", "A.bmp"])
    assert given(found) == {"01.png": ["01.bmp"], "1.png": ["1.bmp"], "A.png": ["A.bmp"], "a.png": ["a.bmp"]}


def test_several_readings_are_no_match() -> None:
    """Two masks for one picture, or one mask for two pictures, are reported and not used."""
    found = matched(["0.png"], ["0.bmp", "0_mask.tif"])
    assert (found.masks, len(found.ambiguous), found.unused) == ({}, 1, [])
    found = matched(["01.png", "001.png", "2.png"], ["1.png", "2.png"])
    assert given(found) == {"2.png": ["2.png"]}
    assert {path.name for path in found.ambiguous} == {"01.png", "001.png"}


def test_parts_of_one_mask_are_joined() -> None:
    """A folder called after the picture holds all its masks, and masks may be numbered."""
    found = matched(["000.png", "001.png"], ["000/000.png", "000/001.png", "001/000.png", "002/000.png"])
    assert given(found) == {"000.png": ["000.png", "001.png"], "001.png": ["000.png"]}
    assert [mask.name for mask in found.unused] == ["002/000.png"]
    found = matched(["0.png", "1.png"], ["0_mask_1.png", "0_mask_2.png", "1_mask1.png"])
    assert given(found) == {"0.png": ["0_mask_1.png", "0_mask_2.png"], "1.png": ["1_mask1.png"]}
    assert matched(["0.png"], ["0_mask_1.png", "0_mask_1.bmp"]).masks == {}


def test_folders_below_a_kind_tell_pictures_of_one_name_apart() -> None:
    """`left/0` and `right/0` get their own masks; a mask in neither folder belongs to none of them."""
    pictures = ["left/0.png", "right/0.png"]
    found = matched(pictures, ["left/0_mask.bmp", "right/0.bmp"])
    assert {path.as_posix(): masks[0].as_posix() for path, masks in found.masks.items()} == {
        "dent/left/0.png": "dent/left/0_mask.bmp",
        "dent/right/0.png": "dent/right/0.bmp",
    }
    assert len(matched(pictures, ["0.bmp"]).ambiguous) == 2


def test_a_mask_of_no_kind_must_fit_one_picture_of_all_kinds() -> None:
    """A flat folder of masks serves kinds whose pictures have different names."""
    pictures = places("dent", "0.png", "1.png") + places("crack", "0.png", "2.png")
    found = match(pictures, places(None, "0_mask.png", "1_mask.png", "2_mask.png"))
    assert given(found) == {"1.png": ["1_mask.png"], "2.png": ["2_mask.png"]}
    assert {path.as_posix() for path in found.ambiguous} == {"dent/0.png", "crack/0.png"}
