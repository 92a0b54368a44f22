"""`inspector sweep` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspector.demo.dataset import write_dataset
from tests.journey.program import complaint, listing, run

TINY = ("--latent-dim", "2,4", "--width", "8", "--lambda", "10", "--steps", "3", "--output", "out")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good parts, and labelled ones."""
    folder = tmp_path_factory.mktemp("parts")
    write_dataset(folder, train=10, good=3, per_kind=1, size=96)
    return folder


def test_a_sweep_compares_recommends_and_goes_on(parts: Path, store: Path, tmp_path: Path) -> None:
    """Each combination is fitted, measured and drawn; a second run fits none and prints the same."""
    (tmp_path / "out" / ".tmp-00ff00ff").mkdir(parents=True)  # a first one was killed while it wrote
    words = ("sweep", parts / "train" / "good", *TINY, "--test", parts / "test")
    first = json.loads(run(*words, store=store, cwd=tmp_path).stdout)
    assert [(row["latent_dim"], row["width"]) for row in first["trials"]] == [(2, 8), (4, 8)]
    assert first["recommended"] in first["trials"]
    assert "AUROC" in first["reason"]
    assert first["doubts"][-1].startswith("Each combination was fitted once")
    assert any("3 good and " in doubt for doubt in first["doubts"])  # too few to tell two fits apart
    for row in first["trials"]:
        assert 0 <= row["auroc"] <= 1
        assert row["figures"]["heldout_squared_error"] > 0
        assert (tmp_path / row["bundle"] / "detector.onnx").exists()
    made = {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in listing(tmp_path / "out")}
    assert (tmp_path / "out" / "sweep.svg").read_text().startswith("<svg")
    again = run(*words, "--format", "table", store=store, cwd=tmp_path)
    assert again.stdout.splitlines()[0].split()[:3] == ["dims", "width", "lambda"]
    assert f"recommended  --latent-dim {first['recommended']['latent_dim']} --width 8" in again.stdout
    kept = {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in made if path != "sweep.svg"}
    assert kept == {path: when for path, when in made.items() if path != "sweep.svg"}
    other = run("sweep", parts / "train" / "good", *TINY, store=store, cwd=tmp_path, code=2)
    message, hint = complaint(other)
    assert "another request: test differs" in message
    assert "--output" in hint


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--width", "9"], 2, "--width is 9"),
        (["--width", "64,100"], 2, "multiples of 8"),
        (["--test", "nowhere"], 4, "nowhere"),
        (["--output", "taken"], 2, "taken"),
        (["--output", "file"], 2, "file"),
    ],
)
def test_bad_requests_are_refused(
    words: list[str], code: int, named: str, parts: Path, store: Path, tmp_path: Path
) -> None:
    """One line with a hint before any fit, and nothing is written."""
    (tmp_path / "taken").mkdir()
    for name in ("taken/mine.txt", "file"):
        (tmp_path / name).write_text("mine")
    before = listing(tmp_path)
    message, hint = complaint(
        run("sweep", parts / "train" / "good", *words, store=store, cwd=tmp_path, code=code)
    )
    assert named in message
    assert hint
    assert listing(tmp_path) == before
