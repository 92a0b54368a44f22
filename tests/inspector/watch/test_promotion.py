"""A running watch follows the promoted model."""

from __future__ import annotations

import time
from pathlib import Path

from inspector.bundle.store import Store
from inspector.scoring.detector import verify_bundle
from tests.inspector.tiny_bundle import tiny_fill
from tests.inspector.watch.watching import GOOD, SETTLE, Watcher, rows, rows_so_far, write
from tests.serving import until


def judge(folder: Path) -> tuple[str, int]:
    """Add a picture, wait for its line, and return name and version of the model that judged it."""
    results = folder / "inspections.jsonl"
    before = len(rows_so_far(results))
    write(folder / f"{before}.png", GOOD)
    until(lambda: len(rows_so_far(results)) == before + 1)
    model = rows(results)[-1]["model"]
    return model["name"], model["version"]


def test_promotions_are_followed(folder: Path, model: Store) -> None:
    """A promoted version scores the next picture; a broken one is refused in one line."""
    with Watcher(folder) as watcher:
        assert judge(folder) == ("tiny", 1)
        model.publish("tiny", tiny_fill(threshold=30.0))
        until(lambda: judge(folder) == ("tiny", 2))
        third = model.publish("tiny", tiny_fill(threshold=40.0))
        until(lambda: judge(folder) == ("tiny", 3))
        model.rollback("tiny", verify=verify_bundle)
        until(lambda: judge(folder) == ("tiny", 2))
        (third.path / "detector.onnx").write_bytes(b"damaged")
        (model.root / "tiny" / "promoted").write_text("3\n")
        until(lambda: any("detector.onnx" in line for line in watcher.said))
        assert judge(folder) == ("tiny", 2)
    assert len(watcher.said) == 1
    assert watcher.said[0].startswith("a new model cannot be used, tiny@2 goes on: ")


def test_a_named_version_stays(folder: Path, model: Store) -> None:
    """With `--model NAME@VERSION` promotions change nothing."""
    with Watcher(folder, "--model", "tiny@1"):
        assert judge(folder) == ("tiny", 1)
        model.publish("tiny", tiny_fill(threshold=30.0))
        assert [judge(folder) for _ in range(3)] == 3 * [("tiny", 1)]  # each takes several rounds


def test_another_name_changes_nothing(folder: Path, model: Store) -> None:
    """A watch stays with the name that was current at its start, whichever name becomes current later."""
    with Watcher(folder) as watcher:
        assert judge(folder) == ("tiny", 1)
        model.publish("other", tiny_fill(threshold=30.0))
        assert [judge(folder) for _ in range(3)] == 3 * [("tiny", 1)]  # each takes several rounds
        model.publish("tiny", tiny_fill(threshold=40.0))
        until(lambda: judge(folder) == ("tiny", 2))
    assert {row["model"]["name"] for row in rows(folder / "inspections.jsonl")} == {"tiny"}
    assert watcher.said == []


def test_pictures_wait_for_a_model(folder: Path, model: Store) -> None:
    """A removed model is reported in one line; pictures wait for it, and no other name judges them."""
    results = folder / "inspections.jsonl"
    with Watcher(folder) as watcher:
        until(results.exists)
        model.remove("tiny")
        until(lambda: len(watcher.said) == 1)
        write(folder / "a.png", GOOD)
        model.publish("other", tiny_fill())
        time.sleep(3 * SETTLE)
        assert rows(results) == []
        model.publish("tiny", tiny_fill(threshold=30.0))
        until(lambda: len(rows(results)) == 1)
    assert watcher.said[0].startswith("error: no model 'tiny' in ")
    assert {row["model"]["name"] for row in rows(results)} == {"tiny"}
