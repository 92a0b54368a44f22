"""Names of folders mean the same to every command that meets a labelled set."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.imaging.label_names import (
    holds_masks_beside_pictures,
    is_defective,
    is_good,
    is_good_alone,
    is_ground_truth,
    masks_among,
    may_hold_masks,
)


@pytest.mark.parametrize(
    "name", ["good", "OK", "Normal", "i.O.", "Gutteile", "conforme", "defect-free", "good_2"]
)
def test_good(name: str) -> None:
    """Whole names of good folders are never defects or masks."""
    assert is_good(name)
    assert is_good_alone(name)
    assert not is_defective(name)
    assert not may_hold_masks(name)


def test_a_first_word_is_enough_for_a_fit_and_not_for_an_evaluation() -> None:
    """`ok_front` holds good pictures, but a kind of defect may begin with such a word, too."""
    assert is_good("ok_front")
    assert not is_good_alone("ok_front")
    assert not is_good("io_board")  # `io` alone is German for good


@pytest.mark.parametrize("name", ["NG", "niO", "non conforme", "Ausschuss", "defect_front", "not good"])
def test_defects(name: str) -> None:
    """Names of defects are never good."""
    assert is_defective(name)
    assert not is_good(name)


@pytest.mark.parametrize(
    "name", ["ground_truth", "GroundTruth", "ground-truth", "gt", "mask", "masks", "annotations"]
)
def test_masks(name: str) -> None:
    """Every name of masks is one beside kinds of defects; only the plainest are so everywhere."""
    assert may_hold_masks(name)
    assert is_ground_truth(name) or holds_masks_beside_pictures(name)


def test_labels_may_be_parts() -> None:
    """Beside defects `labels` means masks; among good pictures it may be the labels of bottles."""
    assert may_hold_masks("labels")
    assert not holds_masks_beside_pictures("labels")


@pytest.mark.parametrize("mask", ["a_mask.png", "A-gt.bmp", "a ground truth.tif", "a_label.png"])
def test_masks_among_pictures(mask: str) -> None:
    """A file is a mask if another one in the same folder has its name without the word."""
    files = [Path("x/a.jpg"), Path("x", mask), Path("y", mask)]
    assert masks_among(files) == {Path("x", mask)}
