"""Models that are damaged or missing are refused by every verb that would use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.bundle.store import Store
from tests.inspector.commands.conftest import Plant
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import tiny_fill
from tests.journey.program import listing

Words = list[str | Path]


def change_byte(bundle: Path) -> None:
    """Turn one bit of the detector."""
    graph = bundle / "detector.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)


def raise_schema(bundle: Path) -> None:
    """Pretend that a later generation of inspector wrote the bundle."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["schema_version"] = 99
    (bundle / "manifest.json").write_text(json.dumps(manifest))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed byte": (change_byte, "detector.onnx"),
    "missing file": (lambda bundle: (bundle / "reference.npz").unlink(), "reference.npz"),
    "missing manifest": (lambda bundle: (bundle / "manifest.json").unlink(), "manifest.json"),
    "future schema": (raise_schema, "99"),
    "pickle": (lambda bundle: (bundle / "extra.pkl").write_bytes(b"\x80\x04N."), "extra.pkl"),
    "broken manifest": (lambda bundle: (bundle / "manifest.json").write_text("{"), "manifest.json"),
}

VERBS: dict[str, Callable[[Plant, Path], Words]] = {
    "score": lambda plant, _: ["score", plant.part],
    "evaluate": lambda plant, _: ["evaluate", plant.labelled],
    "calibrate": lambda plant, _: ["calibrate", plant.good],
    "drift": lambda plant, _: ["drift", plant.good],
    "generate": lambda _, place: ["generate", "--output", place / "a.png"],
    "interpolate": lambda plant, place: [
        *("interpolate", plant.part, plant.good / "01.png"),
        *("--output", place / "a.png"),
    ],
    "show": lambda _plant, _place: ["models", "show"],
    "verify": lambda _plant, _place: ["models", "verify"],
    "promote": lambda _plant, _place: ["models", "promote", "gears"],
    "export": lambda _, place: ["models", "export", "gears", "--output", place / "gears.inspector"],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_model(
    case: str, verb: str, command: Command, plant: Plant, store: Store, tmp_path: Path
) -> None:
    """Exit code 5, the file is named, and nothing is written."""
    damage, expected = DAMAGE[case]
    damage(store.publish("gears", tiny_fill(training_digests=[1])).path)
    before = listing(tmp_path)
    refused(command(*VERBS[verb](plant, tmp_path)), 5, expected)
    assert listing(tmp_path) == before


MISSING: list[Words] = [
    ["score", "part.png"],
    ["score", "part.png", "--model", "nosuch"],
    ["score", "part.png", "--model", "nosuch@3"],
    ["evaluate", "."],
    ["calibrate", ".", "--model", "nosuch"],
    ["calibrate", "nosuch", "."],
    ["drift", "."],
    ["generate", "--output", "a.png"],
    ["interpolate", "part.png", "part.png", "--output", "a.png"],
    ["watch", ".", "--once"],
    ["models", "show"],
    ["models", "verify", "nosuch"],
    ["models", "promote", "nosuch"],
    ["models", "rollback", "nosuch"],
    ["models", "remove", "nosuch"],
    ["models", "export", "nosuch"],
]


@pytest.mark.parametrize("words", MISSING, ids=lambda words: " ".join(map(str, words)))
def test_without_a_model(
    words: Words,
    command: Command,
    plant: Plant,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 6, and the hint says how a model is made."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "part.png").write_bytes(plant.part.read_bytes())
    monkeypatch.chdir(place)
    ended = command(*words)
    refused(ended, 6, "")
    assert "inspector fit" in ended.err.splitlines()[1]
    assert listing(place) == {"part.png"}
    assert not store.root.exists() or not listing(store.root)


@pytest.mark.parametrize("what", ["changed", "text", "half"])
def test_import_of_what_is_no_model(
    what: str, command: Command, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a changed byte, or of another kind, ends with 5 and leaves no model."""
    packed = tmp_path / "tiny.inspector"
    assert command("models", "export", "tiny", "--output", packed).code == 0
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    packed.write_bytes(
        {"changed": bytes(content), "text": b"hello", "half": bytes(content[: len(content) // 2])}[what]
    )
    monkeypatch.setenv("INSPECTOR_STORE", str(tmp_path / "other"))
    refused(command("models", "import", packed), 5, "")
    assert not Store(tmp_path / "other").names()
