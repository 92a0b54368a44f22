"""The good pictures that look least like the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inspector.bundle.records import Calibration, Column, ImageContract
from inspector.imaging.encode import encode_png
from inspector.settings import Settings
from inspector.types import RawScores
from models.export.unusual import SHOWN_SIDE, Scores, count_suspicious, most_unusual, original

CONTRACT = ImageContract(height=64, width=64)


def test_a_report_shows_what_is_left_of_a_picture(tmp_path: Path) -> None:
    """It shows the file, or the prepared picture if the file is gone, damaged or too large."""
    prepared = np.zeros((64, 64, 3), np.uint8)
    path, settings = tmp_path / "part.png", Settings()
    assert original(path, prepared, settings, CONTRACT) is prepared
    path.write_bytes(encode_png(np.full((600, 3000, 3), 9, np.uint8)))
    shown = original(path, prepared, settings, CONTRACT)
    assert shown.shape == (205, SHOWN_SIDE, 3)
    assert (shown == 9).all()
    assert original(path, prepared, Settings(max_bytes=100), CONTRACT) is prepared
    path.write_bytes(encode_png(np.full((32, 70_000), 9, np.uint8)))
    assert original(path, prepared, settings, CONTRACT).shape == (1, SHOWN_SIDE, 3)
    path.write_bytes(path.read_bytes()[:200])
    assert original(path, prepared, settings, CONTRACT) is prepared


COLUMNS = (Column(component="head", share=1.0),)


def scores_of(values: Sequence[float], *, held_out: bool, flat: Sequence[int] = ()) -> Scores:
    """Scores of pictures that lie one after the other in the set."""
    statistics = np.array(values, np.float32)[:, np.newaxis]
    raw = RawScores(
        statistics, np.ones((len(values), 4, 4), np.float32), np.zeros((len(values), 2), np.float32)
    )
    rows = np.arange(len(values)) + (0 if held_out else 100)
    of_one_colour = np.isin(np.arange(len(values)), flat)
    return Scores.of(raw, rows, COLUMNS, CALIBRATION, held_out=held_out, of_one_colour=of_one_colour)


CALIBRATION = Calibration(
    center=(0.0,),
    scale=(1.0,),
    fused=("head",),
    threshold=1.0,
    map_limit=1.0,
    map_ceiling=2.0,
    asked_false_reject_rate=0.05,
    promised_false_reject_rate=0.05,
    promise_kept=True,
    images_missing=0,
    heldout_scores=(1.0,),
    source="",
    created="",
)


def test_a_bad_picture_is_named_whether_held_out_or_not() -> None:
    """Each kind is compared with itself; the farthest come first, and the far ones are counted."""
    names = [f"{number}.png" for number in range(200)]
    ordinary = np.linspace(0, 1, 20).tolist()
    for held_out in (True, False):
        dirty = scores_of([*ordinary, 9.0], held_out=held_out)
        sides = (dirty, scores_of(ordinary, held_out=not held_out))
        assert count_suspicious(sides) == 1
        named = most_unusual(sides, names)
        assert len(named) == 3
        assert named[0].name == ("20.png" if held_out else "120.png")
        assert (named[0].held_out, named[0].suspicious, named[0].score) == (held_out, True, 9.0)
        assert not named[1].suspicious
    clean = scores_of(ordinary, held_out=True)
    assert count_suspicious([clean]) == 0
    assert clean.order[0] == 19


def test_names_that_json_cannot_hold() -> None:
    """They are written as they are printed."""
    (named, *_) = most_unusual([scores_of([0.0] * 10, held_out=True)], ["bolt\udcff.png"] * 10)
    assert named.model_dump_json().startswith('{"name":"bolt')


def test_a_picture_of_one_colour_is_suspicious_whatever_its_score() -> None:
    """A black frame that was learned scores like the others."""
    ordinary = np.linspace(0, 1, 20).tolist()
    assert count_suspicious([scores_of(ordinary, held_out=False, flat=[3])]) == 1


def test_the_three_come_in_the_order_of_their_scores() -> None:
    """Each kind has its own spread, so the farthest of one kind may score lower than that of the other."""
    near = scores_of([*np.linspace(0, 0.1, 20), 2.0], held_out=False)
    wide = scores_of([*np.linspace(0, 4, 20), 9.0], held_out=True)
    named = most_unusual((wide, near), [f"{number}.png" for number in range(200)])
    assert [one.name for one in named] == ["20.png", "19.png", "120.png"]
    assert named[0].outlyingness < named[2].outlyingness
    assert [one.score for one in named] == sorted((one.score for one in named), reverse=True)
