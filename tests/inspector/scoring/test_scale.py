"""A model's full scale holds in every way of scoring; oddities of pictures are counted and put into words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import inspector
from inspector.bundle.folder import Bundle, write_bundle
from inspector.bundle.records import ImageContract, Manifest
from inspector.bundle.store import Store
from inspector.scoring.detector import Detector
from inspector.scoring.familiarity import REMARK
from tests.inspector.conftest import Command
from tests.inspector.image_samples import tiff, twelve_bits, write_twelve_bits
from tests.inspector.tiny_bundle import (
    SIDE,
    TWELVE_BITS,
    bad_picture,
    good_picture,
    tiny_fill,
    write_picture,
)

EIGHT = ImageContract(height=SIDE, width=SIDE, full_scale=65535, bits=(8,))
BOTH = ImageContract(height=SIDE, width=SIDE, full_scale=4095, bits=(8, 16))


def detector(tmp_path: Path, contract: ImageContract) -> Detector:
    """Open a tiny model with this preparation of pictures."""
    return Detector(write_bundle(tmp_path / "model", tiny_fill(contract=contract)))


def test_files_bytes_and_arrays_score_as_their_eight_bits(tmp_path: Path) -> None:
    """12 bits in 16 score as the same picture of 8 bits does, from a file, bytes or an array."""
    model = detector(tmp_path, TWELVE_BITS)
    for picture in (good_picture(3), bad_picture(3)):
        grey = np.ascontiguousarray(picture[..., 0])
        expected = model.score(grey)
        samples = twelve_bits(picture)
        path = write_twelve_bits(tmp_path / "part.png", picture)
        colour = np.dstack([samples] * 3)
        for source in (samples, colour, path, path.read_bytes(), tiff(samples, 1), tiff(colour, 2)):
            found = model.score(source)
            assert (found.score, found.verdict) == (expected.score, expected.verdict)
            assert found.remarks == ()
            assert found.picture is not None
            np.testing.assert_array_equal(found.picture[..., 0], grey)
            drawn, plain = model.draw(found), model.draw(expected)
            np.testing.assert_array_equal(drawn, plain)


def test_pixels_beyond_the_full_scale_are_counted(tmp_path: Path) -> None:
    """Such pixels are white; the inspection has their number, and states it in words."""
    model = detector(tmp_path, TWELVE_BITS)
    record = model.score(write_twelve_bits(tmp_path / "part.png", good_picture(1), brighter=5)).record()
    assert record.image is not None
    assert (record.image.bits, record.image.full_scale, record.image.clipped_pixels) == (16, 4095, 5)
    assert record.remarks == ("5 pixels are brighter than the full scale 4095 and were clipped",)


@pytest.mark.parametrize(
    ("contract", "deep", "said"),
    [
        (TWELVE_BITS, False, "8 bits, but the model learned 16-bit pictures; white is 255"),
        (EIGHT, True, "16 bits, but the model learned 8-bit pictures; white is 65535, which neither"),
        (BOTH, True, ""),
        (BOTH, False, ""),
        (EIGHT, False, ""),
        (ImageContract(height=SIDE, width=SIDE), True, ""),
    ],
)
def test_another_number_of_bits_is_said(
    tmp_path: Path, contract: ImageContract, deep: bool, said: str
) -> None:
    """A picture with a number of bits that the model did not learn keeps its own scale, and gets a remark."""
    picture = good_picture(1)
    found = detector(tmp_path, contract).score(twelve_bits(picture) if deep else picture)
    remark = "".join(each for each in found.remarks if each != REMARK)  # too dark is unfamiliar as well
    assert remark.startswith(said)
    assert bool(remark) == bool(said)


def test_a_stated_full_scale_wins(tmp_path: Path) -> None:
    """A file that states 10 bits is scaled by them, also by a model that learned 8 or 12 bits."""
    samples = np.asarray(np.rint(good_picture(1)[..., 0] * (1023 / 255)), np.uint16)
    for contract in (TWELVE_BITS, EIGHT):
        found = detector(tmp_path / str(contract.full_scale), contract).score(tiff(samples, 1, {281: 1023}))
        assert found.image is not None
        assert found.image.full_scale == 1023
        assert found.verdict == "pass"


def test_old_bundles_score_as_before(tmp_path: Path, tiny: Bundle) -> None:
    """A manifest without the new fields is read, and 65535 is white, whatever the file states."""
    manifest = json.loads((tiny.path / "manifest.json").read_text())
    for name in ("full_scale", "bits"):
        del manifest["image"][name]
    for name in ("smallest_picture", "largest_picture"):
        del manifest["training"][name]
    read = Manifest.model_validate(manifest)
    assert read.image == ImageContract(height=SIDE, width=SIDE)
    assert (read.image.depth_in_words(), read.coverage_in_words()) == (None, None)
    samples = twelve_bits(good_picture(1))
    expected = Detector(tiny).score(np.rint(samples / 257).astype(np.uint8))
    assert Detector(tiny).score(tiff(samples, 1, {281: 4095})).score == expected.score


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def model(store: Store) -> Store:
    """A store whose current model learned 12 bits in 16."""
    store.publish("tiny", tiny_fill(contract=TWELVE_BITS))
    return store


def test_score_says_what_was_clipped(command: Command, model: Store, tmp_path: Path) -> None:
    """The table names it behind the picture, JSON has the number and the sentence, CSV the sentence."""
    path = write_twelve_bits(tmp_path / "part.png", good_picture(1), brighter=1)
    ended = command("score", path, "--format", "table")
    assert f"{path}  (1 pixel is brighter than the full scale 4095 and was clipped)" in ended.out
    row = json.loads(command("score", path).out)
    assert row["image"]["clipped_pixels"] == 1
    assert row["remarks"] == ["1 pixel is brighter than the full scale 4095 and was clipped"]
    header, cells = command("score", path, "--format", "csv").out.splitlines()
    assert header.endswith(",reason,remarks,unfamiliar")
    assert cells.endswith(f"{row['remarks'][0]},False")


def test_score_says_what_one_pixel_of_the_model_covers(
    command: Command, model: Store, tmp_path: Path
) -> None:
    """JSON states it for each picture, a table once for all."""
    large = write_twelve_bits(tmp_path / "large.png", good_picture(1, 320, 640))
    small = write_twelve_bits(tmp_path / "small.png", good_picture(1))
    row = json.loads(command("score", large).out)
    assert row["image"]["model_pixel"] == {"width": 10.0, "height": 5.0}
    said = command("score", large, "--format", "table").err
    assert "one pixel of the model covers 10.0 x 5.0 pixels of the picture" in said
    said = command("score", large, small, "--format", "table").err
    assert "covers 1.0 x 1.0 to 10.0 x 5.0 pixels of the picture, which differ in size" in said
    said = command("score", small, "--format", "table").err
    assert "the model sees every pixel of the picture" in said


def test_evaluate_counts_clipped_pictures(command: Command, model: Store, tmp_path: Path) -> None:
    """The figures have the number, and the sentences stand below the table."""
    for seed in range(3):
        write_twelve_bits(tmp_path / "test" / "good" / f"{seed}.png", good_picture(seed), brighter=seed)
        write_picture(tmp_path / "test" / "dark" / f"{seed}.png", bad_picture(seed))
    figures = json.loads(command("evaluate", tmp_path / "test").out)
    assert figures["clipped_images"] == 2
    ended = command("evaluate", tmp_path / "test", "--format", "table")
    assert "2 of 6 pictures: pixels brighter than the model's full scale 4095 were clipped" in ended.out
    assert "3 of 6 pictures: their number of bits is new to the model" in ended.out


def test_drift_uses_the_models_full_scale(command: Command, model: Store, tmp_path: Path) -> None:
    """12 bits in 16 are no drift, and clipped pictures are counted."""
    for seed in range(20):
        write_twelve_bits(tmp_path / "day" / f"{seed}.png", good_picture(seed + 40), brighter=seed < 4)
    figures = json.loads(command("drift", tmp_path / "day").out)
    assert figures["clipped_images"] == 4
    deep = inspector.open_model()
    latent = deep.score(tmp_path / "day" / "9.png").latent
    eight = deep.score(np.ascontiguousarray(good_picture(49)[..., 0])).latent
    np.testing.assert_array_equal(latent, eight)


def test_a_watch_uses_the_models_full_scale(command: Command, model: Store, tmp_path: Path) -> None:
    """Each line has the score of the picture's 8 bits, and the number of clipped pixels."""
    write_twelve_bits(tmp_path / "hot" / "part.png", good_picture(1))
    write_twelve_bits(tmp_path / "hot" / "bright.png", good_picture(1), brighter=2)
    command("watch", tmp_path / "hot", "--once", "--settle", "0", "--output", tmp_path / "results.jsonl")
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    rows = {Path(row["path"]).stem: row for row in map(json.loads, lines)}
    assert rows["part"]["score"] == inspector.open_model().score(good_picture(1)[..., 0]).score
    assert {name: row["image"]["clipped_pixels"] for name, row in rows.items()} == {"part": 0, "bright": 2}
