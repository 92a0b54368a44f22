"""A folder is cut out: fingerprints, interrupted runs, foreign files, the contact sheet."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from inspector.cutout import contact_sheet
from inspector.cutout.folder import PNG_KEY, fingerprint_of
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.imaging.png_text import encode_png_with_text
from tests.inspector.conftest import Command, unmeasured
from tests.inspector.cutout.scenes import SIDE, disc, painted, plain, write
from tests.inspector.image_samples import write_twelve_bits


def test_a_fingerprint_leaves_the_pixels_alone(tmp_path: Path) -> None:
    """A PNG with a fingerprint decodes to the same pixels; half a file, and another's PNG, have none."""
    picture = painted(plain(), disc(), (10, 90, 160))
    whole = encode_png_with_text(picture, PNG_KEY, "made so")
    for name, data in (("whole", whole), ("half", whole[:-20]), ("other", encode_png(picture))):
        (tmp_path / name).write_bytes(data)
    assert np.array_equal(decode(whole).pixels, picture)
    assert [fingerprint_of(tmp_path / name) for name in ("whole", "half", "other")] == ["made so", None, None]


def test_an_interrupted_run_goes_on(tmp_path: Path, command: Command) -> None:
    """After Ctrl-C only whole cut-outs exist; the same command makes the rest, with the bytes of one run."""
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


def test_half_written_files_are_removed(tmp_path: Path, command: Command) -> None:
    """The next run removes half-written files of a killed run."""
    photos, cutouts = write(tmp_path / "photos", 1), tmp_path / "cutouts"
    cutouts.mkdir()
    (cutouts / ".tmp-0123").write_bytes(b"half")
    assert command("cutout", photos, "--output", cutouts).code == 0
    assert not (cutouts / ".tmp-0123").exists()


def test_files_of_others_are_not_replaced(tmp_path: Path, command: Command) -> None:
    """A foreign file with the name of a cut-out or of the contact sheet stops the run before it begins."""
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


def test_folders_below_are_repeated(tmp_path: Path, command: Command) -> None:
    """Folders below are repeated in the output; identical pictures give identical cut-outs."""
    photos = write(tmp_path / "photos", 1)
    (photos / "again").mkdir()
    (photos / "again" / "00.png").write_bytes((photos / "00.png").read_bytes())
    assert command("cutout", photos, "--output", tmp_path / "cutouts").code == 0
    one, other = tmp_path / "cutouts" / "00.png", tmp_path / "cutouts" / "again" / "00.png"
    assert one.read_bytes() == other.read_bytes()


def test_the_sheet_has_room_for_few_and_for_many(tmp_path: Path, command: Command) -> None:
    """A page fits a single pair; of a thousand pictures sixty are shown, the last one included."""
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


def test_pictures_of_twelve_bits(tmp_path: Path, command: Command) -> None:
    """12 bits in 16 are cut out as the same pictures of 8 bits, in the same files and on the same sheet."""
    eight, deep = tmp_path / "eight", tmp_path / "deep"
    for name, colour in (("a", (210, 210, 210)), ("b", (255, 255, 255))):
        picture = np.repeat(painted(plain(40), disc(), colour)[..., :1], 3, axis=2)
        (eight / f"{name}.png").parent.mkdir(exist_ok=True)
        (eight / f"{name}.png").write_bytes(encode_png(picture))
        write_twelve_bits(deep / f"{name}.png", picture)
    for folder in (eight, deep):
        assert command("cutout", folder, "--output", tmp_path / "cut" / folder.name).code == 0
    for name in ("eight/a.png", "eight/b.png", "eight-sheet.png"):
        one, other = (tmp_path / "cut" / path for path in (name, name.replace("eight", "deep")))
        assert np.array_equal(decode(one).pixels, decode(other).pixels)
    again = command("cutout", deep, "--output", tmp_path / "cut" / "deep")
    assert '"done_before": 2' in again.out
