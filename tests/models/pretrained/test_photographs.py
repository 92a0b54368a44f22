"""A folder of photographs as one array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inspector.errors import NoImagesError, TruncatedImageError
from models.pretrained.photographs import SIDE, find_photographs, photograph_bank


def write(path: Path, width: int, height: int, colour: tuple[int, int, int]) -> None:
    """A picture whose middle square has this colour, and whose rest is white."""
    side = min(width, height)
    pixels = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photographs of four shapes, in two folders."""
    write(tmp_path / "photos" / "b.png", 300, 230, (10, 0, 0))
    write(tmp_path / "photos" / "a.png", 41, 97, (20, 0, 0))
    write(tmp_path / "photos" / "c" / "b.png", SIDE, SIDE, (30, 0, 0))
    write(tmp_path / "photos" / "c" / "a.webp", 801, 40, (40, 0, 0))
    (tmp_path / "photos" / "licence.txt").write_text("free")
    return tmp_path / "photos"


class Calls:
    """Notes how far the reading came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note one call."""
        self.seen.append((stage, done, total))


def read(folder: Path, path: Path) -> tuple[NDArray[np.uint8], Calls]:
    """The bank, and the progress of its making."""
    calls = Calls()
    return np.array(photograph_bank(find_photographs(folder), path, calls)), calls


def test_a_bank_has_the_middle_square_of_each_photograph(folder: Path, tmp_path: Path) -> None:
    """In the order of the paths, whatever the shape: smaller ones are enlarged, larger ones reduced."""
    bank, calls = read(folder, tmp_path / "bank.npy")
    assert bank.shape == (4, SIDE, SIDE, 3)
    reds = bank[..., 0].reshape(4, -1)
    assert [(int(row.min()), int(row.max())) for row in reds] == [(20, 20), (10, 10), (40, 40), (30, 30)]
    assert calls.seen == [("photographs", done, 4) for done in range(5)]


def test_a_bank_is_made_once(folder: Path, tmp_path: Path) -> None:
    """The second call reads the file; so it does if the same photographs lie elsewhere."""
    path = tmp_path / "bank.npy"
    first, _ = read(folder, path)
    stamp = path.stat().st_mtime_ns
    again, calls = read(folder.rename(tmp_path / "elsewhere"), path)
    assert not calls.seen
    assert path.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("change", ["other content", "one more", "one less", "other order"])
def test_a_changed_folder_makes_the_bank_anew(folder: Path, tmp_path: Path, change: str) -> None:
    """The bank never holds photographs of before."""
    path = tmp_path / "bank.npy"
    before, _ = read(folder, path)
    if change == "other content":
        write(folder / "a.png", 41, 97, (21, 0, 0))
    elif change == "one more":
        write(folder / "z.png", 50, 50, (50, 0, 0))
    elif change == "one less":
        (folder / "b.png").unlink()
    else:
        (folder / "a.png").rename(folder / "z.png")
    after, calls = read(folder, path)
    fresh, _ = read(folder, tmp_path / "fresh.npy")
    assert calls.seen
    np.testing.assert_array_equal(after, fresh)
    assert not np.array_equal(after, before)


def test_a_bank_that_was_not_finished_is_made_anew(folder: Path, tmp_path: Path) -> None:
    """An unreadable photograph is named; when it is whole again, all are read."""
    path, whole = tmp_path / "bank.npy", (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TruncatedImageError, match=r"b\.png"):
        read(folder, path)
    (folder / "b.png").write_bytes(whole)
    bank, calls = read(folder, path)
    assert len(calls.seen) == 5
    assert int(bank[1, 0, 0, 0]) == 10


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    """Whether it is missing or has none; the message names it."""
    with pytest.raises(NoImagesError, match="nowhere does not exist"):
        find_photographs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="empty holds no picture"):
        find_photographs(tmp_path / "empty")
