"""Pictures that cannot be used are counted by reason, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.errors import UnknownFormatError
from inspector.imaging.unusable import counted, too_few


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ([("a.png", "truncated")], "1 truncated: a.png"),
        ([("b.tif", "unknown_format"), ("a.tif", "unknown_format")], "2 of unknown format, such as b.tif"),
        ([("a.png", "exact copy")], "1 exact copy: a.png"),
        (
            [("a.png", "empty"), ("b.png", "too_small"), ("c.png", "exact copy"), ("d.png", "exact copy")],
            "2 exact copies, such as c.png, 1 empty: a.png, and 1 too small: b.png",
        ),
        ([("a\nb.png", "empty")], "1 empty: a\\nb.png"),
    ],
)
def test_counted(left_out: list[tuple[str, str]], said: str) -> None:
    """The most frequent reason comes first, and each has an example on the same line."""
    assert counted(left_out) == said


def test_too_few() -> None:
    """The error counts all pictures, the usable ones, the others by their reasons, and the needed ones."""
    copies = [(f"{number}.png", "exact copy") for number in range(3)]
    assert too_few(Path("parts"), 2, copies, 8, "add more").message == (
        "5 pictures in 'parts', 2 usable: 3 exact copies, such as 0.png; at least 8 are needed"
    )
    assert too_few(Path("parts"), 1, [], 8, "add more").message == (
        "1 picture in 'parts'; at least 8 are needed"
    )


def test_the_hint_names_the_problem_if_no_picture_can_be_used() -> None:
    """If no picture is usable, the first fault is the hint; else the command's own hint stays."""
    problem = UnknownFormatError("the picture is a JPEG XL", hint="save it as PNG")
    broken = [("0.png", "unknown_format")]
    error = too_few(Path("parts"), 0, broken, 8, "add more", problem)
    assert "1 picture in 'parts', none usable: 1 of unknown format: 0.png" in error.message
    assert error.hint == "the picture is a JPEG XL; save it as PNG"
    assert too_few(Path("parts"), 1, broken, 8, "add more", problem).hint == "add more"
