"""Pictures of one colour are found and named."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.imaging.one_colour import is_of_one_colour, of_one_colour, one_colour_in_words


def test_black_white_and_coloured_frames_are_found() -> None:
    """A frame of one colour has no contrast in any channel; a part in one channel is enough."""
    part = np.zeros((16, 16, 3), np.uint8)
    part[4:8, 4:8, 2] = 90
    frames = [np.full((16, 16, 3), colour, np.uint8) for colour in ((0, 0, 0), (255, 255, 255), (9, 80, 200))]
    assert of_one_colour(np.stack([*frames, part])).tolist() == [True, True, True, False]


def test_three_are_named_and_all_are_counted() -> None:
    """A sentence names three pictures and counts all; without such a picture there is none."""
    names = [f"{number}.png" for number in range(5)]
    assert one_colour_in_words(names, np.zeros(5, np.bool_)) == []
    (said,) = one_colour_in_words(names, np.array([True, False, True, True, True]))
    assert said.startswith("4 pictures are of one colour, such as 0.png, 2.png, 3.png: ")


@pytest.mark.parametrize(
    ("change", "expected"), [(0, True), (2, True), (3, False)], ids=["even", "rounding", "a dot"]
)
def test_a_picture_of_one_colour(change: int, expected: bool) -> None:
    """A blank frame shows nothing, whatever its colour; a single other pixel is something."""
    frame = np.full((700, 40, 3), (10, 200, 30), np.uint8)
    frame[333, 7, 2] += change
    assert is_of_one_colour(frame) is expected
