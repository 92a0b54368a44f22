"""`inspector models`: the store as people and scripts see it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.scoring.detector import verify_bundle
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import tiny_fill
from tests.journey.program import undocumented


@pytest.fixture
def models(store: Store) -> Store:
    """Publish two versions of one model, and then another model, which is current."""
    store.publish("tiles", tiny_fill(threshold=10.0))
    store.publish("tiles", tiny_fill(threshold=20.0))
    store.publish("gears", tiny_fill(threshold=30.0))
    return store


def test_list_marks_promoted_and_current(command: Command, models: Store) -> None:
    """Every version has a line; * is the promoted one, and > the current model."""
    models.promote("tiles", 1, verify=verify_bundle)
    header, *lines = command("models", "list", "--format", "table").out.splitlines()
    assert header.split() == [*["model", "fitted", "calibrated", "threshold", "asked", "promised", "MB"]]
    assert [line[:11].rstrip() for line in lines] == [" * gears@1", "   tiles@2", ">* tiles@1"]
    assert lines[0].count(" 5 % ") == 2  # the rate that was asked for, and the one that is promised


def test_list_as_json(command: Command, models: Store) -> None:
    """The JSON has the same facts under names."""
    rows = json.loads(command("models", "list", "--format", "json").out)
    assert [(row["name"], row["version"], row["promoted"], row["current"]) for row in rows] == [
        ("gears", 1, True, True),
        ("tiles", 2, True, False),
        ("tiles", 1, False, False),
    ]
    assert rows[0]["digest"] == Bundle.open(models.resolve()).digest
    assert rows[0]["error"] is None


def test_a_damaged_version_is_listed_as_such(command: Command, models: Store) -> None:
    """The list shows damaged versions beside the others."""
    (models.path("tiles", 2) / "manifest.json").write_text("{}")
    ended = command("models", "list", "--format", "table")
    assert ended.code == 0
    assert "damaged: " in ended.out
    rows = json.loads(command("models", "list", "--format", "json").out)
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    named = undocumented("models show", rows[0])
    assert not undocumented("models list", {*named, *rows[1]})


def test_an_empty_store_says_how_to_fill_it(command: Command, store: Store) -> None:
    """An empty store is no error; stdout stays data, and stderr says what to do."""
    for form, out in (("table", ""), ("json", "[]\n")):
        ended = command("models", "list", "--format", form)
        assert (ended.code, ended.out) == (0, out)
        assert "inspector fit" in ended.err


def test_show(command: Command, models: Store) -> None:
    """`show` has the promise and the report of the current model, or of the model that is named."""
    facts = json.loads(command("models", "show", "--format", "json").out)
    assert not undocumented("models show", facts)
    assert (facts["name"], facts["version"], facts["threshold"]) == ("gears", 1, 30.0)
    assert facts["promised_false_reject_rate"] == 0.05
    assert Path(facts["report"]).is_file()
    text = command("models", "show", "tiles@1", "--format", "table").out
    assert "threshold" in text
    assert "10.0" in text
    assert re.search(r"pictures +\d+ good pictures: \d+ for training \+ \d+ held out\n", text)
    assert re.search(r"threshold from +19 held-out good pictures\n", text)
    assert re.search(r"asked +5 %\n", text)
    assert command("models", "show", models.path("tiles", 1), "--format", "table").out == text


def test_promote_and_rollback(command: Command, models: Store) -> None:
    """`promote` makes a model current; `rollback` promotes the version before."""
    assert command("models", "promote", "tiles@2").err == (
        "promoted tiles@2\ntiles@2 is now current; a daemon or watch that uses gears stays with gears\n"
    )
    assert models.current() == "tiles"
    assert command("models", "rollback", "tiles").err == (
        "promoted tiles@1\ntiles@1 is now current; a daemon or watch that uses tiles changes to it\n"
    )
    assert models.promoted("tiles") == 1
    assert command("models", "rollback", "tiles").code == 6
    ended = command("models", "rollback", "tiles@2")
    assert ended.code == 2
    assert "models promote tiles@2" in ended.err
    assert command("models", "promote", "nothing").code == 6


def test_remove(command: Command, models: Store) -> None:
    """`remove` needs `--force` for the promoted version; a name alone removes all versions."""
    assert command("models", "remove", "tiles@2").code == 6
    assert command("models", "remove", "tiles@2", "--force").err == "removed tiles@2\n"
    assert command("models", "remove", "tiles").err == "removed tiles@1\n"
    assert models.names() == ["gears"]
    assert command("models", "remove", "tiles").code == 6


def test_verify(command: Command, models: Store) -> None:
    """An unchanged model is verified; a changed byte ends with 5 and names the file."""
    shown = command("models", "verify", "tiles", "--format", "table").out
    assert shown == "tiles@2: 10 files unchanged, golden pictures reproduced\n"
    ended = command("models", "verify")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["model"]["name"] == "gears"
    assert not undocumented("models verify", json.loads(ended.out))
    graph = models.path("tiles", 2) / "decoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    ended = command("models", "verify", "tiles")
    assert ended.code == 5
    assert "decoder.onnx was changed" in ended.err


def test_export_and_import(
    command: Command, models: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`export` prints the path of one file, and `import` adds that file to another store."""
    monkeypatch.chdir(tmp_path)
    assert command("models", "export", "tiles@1").out == "tiles-v1.inspector\n"
    assert command("models", "export", "tiles", "--output", "usb/t.inspector").out == "usb/t.inspector\n"
    assert command("models", "import", "usb/t.inspector").err == (
        "tiles@2 is already there; nothing was changed\n"
    )
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path / "line-pc"))
    assert command("models", "import", "usb/t.inspector").err == (
        "imported tiles@2\ntiles@2 is now current\n"
    )
    there = Store(tmp_path / "line-pc")
    assert (there.current(), there.versions("tiles")) == ("tiles", [2])
    assert command("models", "import", "nothing.inspector").code == 2
    ended = command("score", "a.png", "--model", "tiles-v1.inspector")
    assert ended.code == 2
    (tmp_path / "a.png").write_bytes(b"")
    ended = command("score", "a.png", "--model", "tiles-v1.inspector")
    assert ended.code == 6
    assert "models import tiles-v1.inspector" in ended.err
