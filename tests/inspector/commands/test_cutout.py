"""`inspector cutout`: pictures without their background."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.inspector.conftest import Command
from tests.journey.program import undocumented

Pixels = NDArray[np.uint8]
HEIGHT, WIDTH = 120, 160


def ground(seed: int) -> Pixels:
    """Return a greenish wall with clouds and noise."""
    rng = np.random.default_rng(seed)
    clouds = cv2.resize(rng.normal(0, 14, (5, 6, 3)).astype(np.float32), (WIDTH, HEIGHT))
    wall = np.array([70, 110, 90]) + clouds + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
    return np.clip(wall, 0, 255).astype(np.uint8)


def scene(seed: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the wall with a reddish part that has a blue middle, and a mask that is True at the part."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    centre = (int(rng.integers(65, 95)), int(rng.integers(50, 70)))
    cv2.ellipse(mask, centre, (38, 27), float(rng.uniform(0, 180)), 0, 360, 1, -1)
    picture = ground(seed)
    picture[mask > 0] = (200, 60, 40)
    cv2.circle(picture, centre, 12, (40, 60, 200), -1)
    return picture, mask.astype(bool)


def overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return the intersection over the union of two masks."""
    return float((found & true).sum() / (found | true).sum())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder with three pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(scene(seed)[0]).save(folder / f"{seed}.png")
    return folder


def test_parts_are_cut_from_their_ground(command: Command, photos: Path, tmp_path: Path) -> None:
    """Each picture becomes an RGBA PNG of its size and name; the part alone is opaque, in its colours."""
    ended = command("cutout", photos, "--output", tmp_path / "out", "--threads", "1")
    assert ended.code == 0, ended.err
    for seed in range(3):
        picture, mask = scene(seed)
        with Image.open(tmp_path / "out" / f"{seed}.png") as image:
            assert (image.mode, image.size) == ("RGBA", (WIDTH, HEIGHT))
            pixels = np.asarray(image)
        assert overlap(pixels[..., 3] > 127, mask) > 0.93
        inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
        np.testing.assert_array_equal(pixels[inside][:, :3], picture[inside])
    with Image.open(tmp_path / "out-sheet.png") as sheet:
        assert sheet.width > WIDTH


def test_the_same_pictures_give_the_same_bytes(command: Command, photos: Path, tmp_path: Path) -> None:
    """Two runs write the same bytes, whatever the number of cores."""
    for name, threads in (("a", "1"), ("b", "2")):
        ended = command("cutout", photos, "--output", tmp_path / name, "--threads", threads, "--no-sheet")
        assert ended.code == 0, ended.err
    for seed in range(3):
        first, second = ((tmp_path / name / f"{seed}.png").read_bytes() for name in ("a", "b"))
        assert first == second


def test_a_second_run_skips_finished_cut_outs(command: Command, photos: Path, tmp_path: Path) -> None:
    """A second run makes only the cut-outs that are missing or that come from other options or pictures."""

    def counts(*options: str) -> tuple[int, int]:
        ended = command(
            "cutout", photos, "--output", tmp_path / "out", "--no-sheet", "--format", "json", *options
        )
        assert ended.code == 0, ended.err
        result = json.loads(ended.out)
        return result["cut"], result["done_before"]

    assert counts() == (3, 0)
    assert counts() == (0, 3)
    (tmp_path / "out" / "1.png").unlink()
    Image.fromarray(scene(7)[0]).save(photos / "2.png")
    assert counts() == (2, 1)
    assert counts("--edge", "0") == (3, 0)


def test_a_colour_behind_the_part(command: Command, photos: Path, tmp_path: Path) -> None:
    """With --onto the corners have the given colour, and no pixel is transparent."""
    ended = command("cutout", photos, "--output", tmp_path / "out", "--onto", "#102030", "--no-sheet")
    assert ended.code == 0, ended.err
    with Image.open(tmp_path / "out" / "0.png") as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert tuple(pixels[0, 0]) == (0x10, 0x20, 0x30, 255)
    assert (pixels[..., 3] == 255).all()


def test_seed_colours_decide(command: Command, photos: Path, tmp_path: Path) -> None:
    """A colour given with --remove is cut away even on the part; a colour given with --keep stays."""
    shares = []
    for option in ("--keep", "--remove"):
        folder = tmp_path / option.strip("-")
        ended = command("cutout", photos, "--output", folder, option, "#283cc8", "--holes", "0", "--no-sheet")
        assert ended.code == 0, ended.err
        picture = scene(0)[0].astype(int)
        blue = (picture[..., 2] > 180) & (picture[..., 0] < 80)
        with Image.open(folder / "0.png") as image:
            shares.append(float((np.asarray(image)[..., 3][blue] > 127).mean()))
    assert shares[0] > 0.95
    assert shares[1] < 0.3


def test_alpha_that_is_there_is_kept(command: Command, tmp_path: Path) -> None:
    """A picture with transparent pixels keeps them unchanged."""
    folder = tmp_path / "photos"
    folder.mkdir()
    picture, mask = scene(0)
    Image.fromarray(np.dstack([picture, 255 * mask.astype(np.uint8)])).save(folder / "a.png")
    ended = command("cutout", folder, "--output", tmp_path / "out", "--no-sheet", "--format", "json")
    assert json.loads(ended.out)["kept_alpha"] == 1
    with Image.open(tmp_path / "out" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., 3] == 255, mask)


def test_odd_pictures_beside_good_ones(command: Command, photos: Path, tmp_path: Path) -> None:
    """Grey pictures are cut out; constant and damaged pictures are named, skipped and not written."""
    Image.fromarray(scene(1)[0]).convert("L").save(photos / "grey.png")
    Image.fromarray(np.full((80, 90, 3), 120, np.uint8)).save(photos / "plain.png")
    Image.fromarray(np.full((32, 5120, 3), 120, np.uint8)).save(photos / "long.png")
    (photos / "torn.png").write_bytes((photos / "0.png").read_bytes()[:900])
    ended = command("cutout", photos, "--output", tmp_path / "out", "--no-sheet", "--format", "json")
    assert ended.code == 3
    result = json.loads(ended.out)
    assert not undocumented("cutout", result)
    assert sorted(Path(one["path"]).name for one in result["skipped"]) == [
        "long.png",
        "plain.png",
        "torn.png",
    ]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "0.png",
        "1.png",
        "2.png",
        "grey.png",
    ]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--keep", "reddish"), "--keep is 'reddish'"),
        (("--onto", "#12345"), "--onto is '#12345'"),
        (("--margin", "0.9"), "margin"),
        (("--iterations", "0"), "iterations"),
        (("--edge", "-1"), "edge"),
        (("--sheet", "sheet.jpg"), "a name that ends in .png"),
    ],
)
def test_options_out_of_range(
    command: Command, photos: Path, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    """One line names the option and its value, and nothing is written."""
    ended = command("cutout", photos, "--output", tmp_path / "out", *options)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_bad_folders(command: Command, photos: Path, tmp_path: Path) -> None:
    """Input and output must not contain each other; two pictures of one stem are refused by name."""
    for output in (photos, photos / "out"):
        ended = command("cutout", photos, "--output", output)
        assert ended.code == 2, ended.err
    (tmp_path / "empty").mkdir()
    assert command("cutout", tmp_path / "empty", "--output", tmp_path / "out").code > 3
    Image.fromarray(scene(0)[0]).save(photos / "0.jpg")
    ended = command("cutout", photos, "--output", tmp_path / "out")
    assert ended.code > 1
    assert "0.jpg" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_refused_colour_lists_transparent_for_onto_alone(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    """`--onto` takes a word that is no colour, and its refusal lists the word."""
    for option, listed in (("--onto", True), ("--keep", False)):
        ended = command("cutout", photos, "--output", tmp_path / "out", option, "blue")
        assert ended.code == 2
        assert ("black, transparent" in ended.err) == listed
