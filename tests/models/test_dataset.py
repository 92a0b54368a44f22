"""Reading a folder, and keeping held-out pictures apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.demo.dataset import render
from inspector.errors import BadImagesError, NoImagesError, TooFewImagesError
from inspector.imaging.encode import encode_png
from inspector.imaging.resize import fit_to
from models.dataset import look_alikes, near_duplicate_groups, read_folder, split, valid_flips


def write_parts(folder: Path, count: int) -> None:
    """Write good parts as PNG files."""
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        (folder / f"{seed:03}.png").write_bytes(encode_png(render(seed, size=64).picture))


def digests(count: int) -> list[str]:
    """Make digests as files would have them."""
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def test_the_split_follows_the_content() -> None:
    """Order does not matter, both sides are disjoint, and all pictures are used."""
    names = digests(100)
    groups = np.arange(100)
    training, heldout = split(names, groups, 20)
    assert sorted([*training, *heldout]) == list(range(100))
    assert len(heldout) == 20
    backwards = split(names[::-1], groups, 20)[1]
    assert {names[i] for i in heldout} == {names[::-1][i] for i in backwards}


def test_near_duplicates_stay_on_one_side() -> None:
    """No group of look-alikes is divided, even when groups are large."""
    groups = np.repeat(np.arange(20), 5)
    training, heldout = split(digests(100), groups, 20)
    assert not set(groups[training]) & set(groups[heldout])
    assert 20 <= len(heldout) <= 40


def test_great_groups_are_learned() -> None:
    """Look-alikes of which there are many are held out only where smaller groups do not suffice."""
    groups = np.concatenate([np.zeros(30, int), np.arange(1, 71)])
    training, heldout = split(digests(100), groups, 20)
    assert len(heldout) == 20
    assert set(training) >= set(range(30))
    few = np.concatenate([np.zeros(30, int), np.ones(60, int), np.arange(2, 12)])
    assert sorted(groups_of(few, split(digests(100), few, 20)[1])) == [0, *range(2, 12)]


def groups_of(groups: np.ndarray, rows: np.ndarray) -> set[int]:
    """The groups of these rows."""
    return set(groups[rows].tolist())


def test_one_great_group_is_divided_all_the_same() -> None:
    """Where all pictures look alike there is still something held out."""
    training, heldout = split(digests(30), np.zeros(30, int), 12)
    assert len(heldout) == 12
    assert len(training) == 18


def test_a_stray_beside_one_great_group() -> None:
    """It does not set the threshold alone: some of the look-alikes are held out, too."""
    groups = np.concatenate([np.zeros(299, int), [1]])
    training, heldout = split(digests(300), groups, 60)
    assert (len(training), len(heldout)) == (240, 60)
    assert 299 in heldout


def test_who_vouches_for_whom() -> None:
    """Near-duplicates do not for each other, unless they lie on both sides, or there is little else."""
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 5])
    assert look_alikes(groups, np.array([0, 1, 2, 5]), np.array([3, 4, 6, 7])).tolist() == [
        0, 0, 6, 7, 2, 3, 4, 5,
    ]  # fmt: skip
    great = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    found = look_alikes(great, np.arange(8), np.array([], int))
    assert len(set(found[:4])) == 4
    assert found[4] == found[5]


def test_another_exposure_is_a_near_duplicate(pixels: NDArray[np.uint8]) -> None:
    """A brighter, noisier copy joins its original; other parts stay apart."""
    rng = np.random.default_rng(0)
    brighter = np.clip(pixels * 1.2 + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
    both = np.concatenate([pixels, brighter])
    thumbnails = np.stack([fit_to(p, 32, 32).astype(np.float32).mean(2).ravel() for p in both])
    groups = near_duplicate_groups(thumbnails)
    np.testing.assert_array_equal(groups[:12], groups[12:])
    assert len(set(groups)) >= 10


def test_flips_are_valid_where_the_set_is_symmetric() -> None:
    """A texture without direction may be flipped; pictures lit from one side may not."""
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(60, 1024)).astype(np.float32)
    ramp = np.tile(np.linspace(0, 5, 32, dtype=np.float32), 32)
    assert valid_flips(texture, np.arange(60)) == (True, True, True)
    assert valid_flips(texture + 3 * ramp, np.arange(60)) == (False, True, False)
    assert valid_flips(texture + 3 * ramp, np.zeros(60, int)) == (False, True, False)


def test_reading_a_folder(tmp_path: Path) -> None:
    """Every picture once, sorted, at the asked size; copies and damaged files are named."""
    folder = tmp_path / "good"
    write_parts(folder, 9)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "text.png").write_text("no picture")
    seen: list[tuple[str, int, int]] = []
    cache = tmp_path / "cache"
    cache.mkdir()
    found = read_folder(folder, cache, 96, report=lambda *a: seen.append(a))
    assert found.names == tuple(f"{i:03}.png" for i in range(9))
    assert found.pixels.shape == (9, 96, 96, 3)
    assert isinstance(found.pixels, np.memmap)
    assert dict(found.skipped) == {"copy.png": "exact copy", "text.png": "unknown_format"}
    assert seen[-1] == ("reading pictures", 11, 11)


def test_a_strict_read_names_the_damaged(tmp_path: Path) -> None:
    """With `strict` a damaged picture refuses the folder."""
    write_parts(tmp_path / "good", 9)
    (tmp_path / "good" / "text.png").write_text("no picture")
    with pytest.raises(BadImagesError, match=r"text\.png \(unknown_format\)"):
        read_folder(tmp_path / "good", tmp_path, 64, strict=True)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    """No folder, an empty one and one with too few pictures are told apart."""
    with pytest.raises(NoImagesError):
        read_folder(tmp_path / "nowhere", tmp_path, 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="no pictures"):
        read_folder(tmp_path / "empty", tmp_path, 64)
    write_parts(tmp_path / "few", 3)
    with pytest.raises(TooFewImagesError, match="3 usable"):
        read_folder(tmp_path / "few", tmp_path, 64)
