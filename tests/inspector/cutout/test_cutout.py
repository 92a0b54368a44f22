"""How an object is found, how its edge is drawn, and what an interrupted folder leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.cutout import contact_sheet, evidence, matte
from inspector.cutout.border import Mask
from inspector.cutout.folder import PNG_KEY, fingerprint_of
from inspector.cutout.matte import MatteOptions
from inspector.cutout.picture import Options, cut_out
from inspector.cutout.segmentation import SegmentationOptions, find_object
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.imaging.png_text import encode_png_with_text
from inspector.types import Pixels
from tests.inspector.conftest import Command, unmeasured

SIDE = 160


def noisy(values: NDArray[np.floating], seed: int = 0) -> Pixels:
    """Return what a camera makes of it."""
    noise = np.random.default_rng(seed).normal(0, 2, values.shape)
    return np.clip(values + noise, 0, 255).astype(np.uint8)


def disc(x: int = 80, y: int = 80, radius: int = 40) -> Mask:
    """Return the mask of a disc."""
    row, column = np.indices((SIDE, SIDE))
    return np.asarray((row - y) ** 2 + (column - x) ** 2 <= radius**2)


def painted(ground: NDArray[np.floating], mask: Mask, colour: tuple[int, int, int]) -> Pixels:
    """Return a picture of one colour where the mask is, on a ground."""
    values = ground.copy()
    values[mask] = colour
    return noisy(values)


def plain(grey: float = 200) -> NDArray[np.floating]:
    """Return a ground of one grey."""
    return np.full((SIDE, SIDE, 3), grey)


def overlap(found: Mask | None, true: Mask) -> float:
    """Intersection over union."""
    assert found is not None
    return float((found & true).sum() / (found | true).sum())


def write(folder: Path, count: int) -> Path:
    """Write pictures of discs into a new folder."""
    folder.mkdir()
    for place in range(count):
        mask = disc(70 + 2 * place, 80)
        picture = encode_png(painted(plain(), mask, (180, 60, 40)))
        (folder / f"{place:02}.png").write_bytes(picture)
    return folder


# --- finding --------------------------------------------------------------------------------


def test_a_soft_shadow_stays_behind() -> None:
    """A shadow that fades over many pixels is no part of the object on a plain ground."""
    mask = disc()
    shadow = cv2.GaussianBlur(np.roll(mask, (10, 10), (0, 1)).astype(np.float64), (0, 0), 12)
    picture = painted(plain() * (1 - 0.4 * shadow[..., np.newaxis]), mask, (60, 60, 70))
    assert overlap(find_object(picture), mask) > 0.97


def test_light_that_falls_off_is_no_object() -> None:
    """A brighter middle of a plain ground is not cut out with the object in it."""
    row, column = np.indices((SIDE, SIDE))
    light = 220 - ((row - 80) ** 2 + (column - 80) ** 2)[..., np.newaxis] / 160
    picture = painted(light * np.ones(3), disc(radius=30), (90, 40, 40))
    assert overlap(find_object(picture), disc(radius=30)) > 0.97


def test_an_object_may_reach_over_one_side() -> None:
    """An object that the lower side of the picture cuts off is whole down to the last row."""
    mask = disc(80, 130, 45)
    found = find_object(painted(plain(), mask, (40, 90, 160)))
    assert overlap(found, mask) > 0.95
    assert found is not None
    assert found[-1].sum() > 0.9 * mask[-1].sum()


def test_what_is_in_focus_is_the_object() -> None:
    """Before a background out of focus, sharpness speaks for an object of the background's own colours."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(30, 220, (40, 40, 3))
    squares = np.kron(coarse, np.ones((4, 4, 1)))
    mask = disc(radius=45)
    ground = cv2.GaussianBlur(np.kron(rng.permutation(coarse), np.ones((4, 4, 1))), (0, 0), 2.0)
    picture = noisy(np.where(mask[..., np.newaxis], squares, ground))
    found = evidence.further_evidence(picture, (), ())
    assert np.median(found[disc(radius=35)]) > 0 > np.median(found[~disc(radius=60)])


def test_focus_counts_for_nothing_where_all_is_sharp() -> None:
    """A texture that is as sharp at the border as in the middle says nothing about the object."""
    texture = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    assert not evidence.further_evidence(texture, (), ()).any()


@pytest.mark.parametrize("picture", [plain(90), plain(0), plain(255) * 0 + np.arange(SIDE)[:, None, None]])
def test_nothing_stands_out_of_a_plain_picture(picture: NDArray[np.floating]) -> None:
    """One colour, or a ramp from dark to bright, holds no object."""
    assert find_object(picture.astype(np.uint8)) is None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_has_the_turned_object(turns: int) -> None:
    """Which side is up does not matter."""
    mask = disc(60, 90, 35)
    picture = painted(plain(), mask, (30, 120, 60))
    found = find_object(np.ascontiguousarray(np.rot90(picture, turns)))
    assert overlap(found, np.rot90(mask, turns)) > 0.97


# --- the edge -------------------------------------------------------------------------------


def test_crumbs_go_and_small_holes_are_filled() -> None:
    """Of three parts and two holes, the crumb is dropped and the small hole filled; options change both."""
    mask = disc(60, 80, 40) | disc(135, 80, 12)
    mask[2:4, 2:4] = True
    mask[78:81, 58:61] = False
    mask[60:72, 45:57] = False
    tidied = matte.clean(mask, MatteOptions())
    assert not tidied[2, 2]
    assert tidied[79, 59]
    assert tidied[80, 135]
    assert not tidied[66, 50]
    assert not matte.clean(mask, MatteOptions(parts=1))[80, 135]
    assert matte.clean(mask, MatteOptions(holes=1.0))[66, 50]
    assert not matte.clean(mask, MatteOptions(holes=0.0))[79, 59]


def test_the_edge_of_a_large_picture_follows_its_colours() -> None:
    """A mask of a quarter of the size is drawn at full size within two pixels of the true edge."""
    row, column = np.indices((640, 640))
    away = np.sqrt((row - 320.0) ** 2 + (column - 320.0) ** 2) - 200
    picture = noisy(np.where(away[..., np.newaxis] <= 0, (180, 50, 40), (200, 200, 190)))
    mask = cv2.resize((away <= 0).astype(np.uint8), (160, 160), interpolation=cv2.INTER_NEAREST) > 0
    alpha = matte.alpha(mask, picture, MatteOptions())
    assert alpha.shape == (640, 640)
    assert alpha[away < -2].min() > 127 > alpha[away > 2].max()


def test_a_hard_edge_has_two_values() -> None:
    """Without a smooth edge, alpha is 0 or 255."""
    alpha = matte.alpha(disc(), painted(plain(), disc(), (10, 10, 10)), MatteOptions(edge_pixels=0))
    assert set(np.unique(alpha)) == {0, 255}


def test_a_cut_out_cut_out_again_is_the_same() -> None:
    """The cut-out of a cut-out has the same pixels."""
    once = cut_out(encode_png(painted(plain(), disc(), (10, 90, 160))), Options())
    assert once is not None
    twice = cut_out(encode_png(once.rgba), Options(SegmentationOptions(iterations=1)))
    assert twice is not None
    assert twice.had_alpha
    assert np.array_equal(twice.rgba, once.rgba)


# --- a folder -------------------------------------------------------------------------------


def test_a_fingerprint_leaves_the_pixels_alone(tmp_path: Path) -> None:
    """A PNG with a fingerprint decodes to the same pixels; half a file, and another's PNG, have none."""
    picture = painted(plain(), disc(), (10, 90, 160))
    whole = encode_png_with_text(picture, PNG_KEY, "made so")
    for name, data in (("whole", whole), ("half", whole[:-20]), ("other", encode_png(picture))):
        (tmp_path / name).write_bytes(data)
    assert np.array_equal(decode(whole).pixels, picture)
    assert [fingerprint_of(tmp_path / name) for name in ("whole", "half", "other")] == ["made so", None, None]


def test_an_interrupted_run_goes_on(tmp_path: Path, command: Command) -> None:
    """Ctrl-C leaves whole cut-outs only; the same command does the rest, to the bytes of a single run."""
    photos, cutouts, straight = write(tmp_path / "photos", 40), tmp_path / "cutouts", tmp_path / "straight"
    arguments = ["-m", "inspector", "cutout", str(photos), "--output", str(cutouts), "--threads", "1"]
    program = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=unmeasured(),
    )
    deadline = time.monotonic() + 60
    while len(list(cutouts.glob("*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    done = {path.name: path.stat().st_mtime_ns for path in cutouts.glob("*.png")}
    assert program.returncode == 130
    assert said.decode().endswith("stopped; the same command goes on from here\ninterrupted\n")
    assert 3 <= len(done) < 40
    assert all(fingerprint_of(cutouts / name) for name in done)
    assert [path.name for path in cutouts.iterdir() if path.name.startswith(".tmp-")] == []

    assert command("cutout", photos, "--output", cutouts).code == 0
    assert {name: (cutouts / name).stat().st_mtime_ns for name in done} == done
    assert command("cutout", photos, "--output", straight).code == 0
    assert [path.read_bytes() for path in sorted(cutouts.glob("*.png"))] == [
        path.read_bytes() for path in sorted(straight.glob("*.png"))
    ]


def test_what_a_killed_run_left_half_is_removed(tmp_path: Path, command: Command) -> None:
    """Half-written files of a run that died are gone after the next one."""
    photos, cutouts = write(tmp_path / "photos", 1), tmp_path / "cutouts"
    cutouts.mkdir()
    (cutouts / ".tmp-0123").write_bytes(b"half")
    assert command("cutout", photos, "--output", cutouts).code == 0
    assert not (cutouts / ".tmp-0123").exists()


def test_files_of_others_are_not_replaced(tmp_path: Path, command: Command) -> None:
    """A file that has the name of a cut-out or of the sheet, and is none, stops the run before it begins."""
    photos, cutouts = write(tmp_path / "photos", 2), tmp_path / "cutouts"
    cutouts.mkdir()
    (cutouts / "01.png").write_bytes(b"mine")
    ended = command("cutout", photos, "--output", cutouts)
    assert (ended.code, len(ended.err.splitlines())) == (2, 2)
    assert "01.png exists, and is not a cut-out" in ended.err
    (cutouts / "01.png").unlink()
    (tmp_path / "cutouts-sheet.png").write_bytes(b"mine")
    assert command("cutout", photos, "--output", cutouts).code == 2
    assert list(cutouts.iterdir()) == []
    assert (tmp_path / "cutouts-sheet.png").read_bytes() == b"mine"


def test_folders_below_come_again(tmp_path: Path, command: Command) -> None:
    """Pictures of folders below lie in folders of the same names; identical ones give identical cut-outs."""
    photos = write(tmp_path / "photos", 1)
    (photos / "again").mkdir()
    (photos / "again" / "00.png").write_bytes((photos / "00.png").read_bytes())
    assert command("cutout", photos, "--output", tmp_path / "cutouts").code == 0
    one, other = tmp_path / "cutouts" / "00.png", tmp_path / "cutouts" / "again" / "00.png"
    assert one.read_bytes() == other.read_bytes()


def test_the_sheet_has_room_for_few_and_for_many(tmp_path: Path, command: Command) -> None:
    """One pair fills its own page; of a thousand pictures sixty are drawn, the last one among them."""
    photos, page = write(tmp_path / "photos", 1), tmp_path / "pages" / "one.png"
    assert command("cutout", photos, "--output", tmp_path / "cutouts", "--sheet", page).code == 0
    drawn = decode(page)
    assert (drawn.width, drawn.height) == (
        2 * contact_sheet.TILE_PIXELS + 2 * contact_sheet.GAP_PIXELS,
        contact_sheet.TILE_PIXELS + contact_sheet.CAPTION_PIXELS + 2 * contact_sheet.GAP_PIXELS,
    )
    pair = contact_sheet.draw_pair(plain().astype(np.uint8), np.zeros((SIDE, SIDE, 4), np.uint8), "name")
    shown = contact_sheet.choose_shown(1000)
    assert (len(shown), shown[-1]) == (60, 999)
    assert contact_sheet.lay_out_pairs([pair] * 60).shape[0] < 2200
