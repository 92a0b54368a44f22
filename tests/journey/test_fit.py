"""`inspector fit`: its result, the model that it stores, and a fit that goes on after Ctrl-C."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime

import inspector
from inspector.bundle.folder import Bundle
from inspector.bundle.store import Store
from inspector.imaging.decode import decode
from tests.inspector.image_samples import write_twelve_bits
from tests.inspector.tiny_bundle import write_picture
from tests.journey.conftest import BAD_FILES
from tests.journey.program import (
    FIT,
    PROGRAM,
    SIDE,
    Fitted,
    complaint,
    environment,
    listing,
    rows,
    run,
    undocumented,
)


def scores(bundle: Path, fitted: Fitted) -> list[tuple[str, float, float]]:
    """Return verdict, score and p-value of every test picture."""
    ended = run("score", fitted.test, "--model", bundle, "--exit-zero", store=fitted.store)
    return [(row["verdict"], row["score"], row["p_value"]) for row in rows(ended)]


def test_json_outcome_tells_what_was_made(fitted: Fitted) -> None:
    """A pipe gets one object with the model, its promise and the numbers of pictures."""
    outcome = fitted.outcome
    opened = Bundle.open(fitted.bundle)
    assert not undocumented("fit", outcome)
    assert outcome["model"] == {"name": "flange", "version": 1, "digest": opened.digest}
    assert Path(outcome["path"]) == fitted.bundle
    assert outcome["threshold"] == opened.calibration.threshold
    assert outcome["promised_false_reject_rate"] == 0.05
    assert (outcome["images"], outcome["heldout_images"], outcome["steps"]) == (40, 0, 30)
    assert (outcome["bits"], outcome["full_scale"]) == ([8], 65535)
    assert outcome["smallest_picture"] == outcome["largest_picture"] == [SIDE, SIDE]
    page = Path(outcome["report"]).read_text(encoding="utf-8")
    assert "one pixel of the model covers 2.0 x 2.0 pixels of the picture" in page
    assert "flange@1 is now current\n" in fitted.said


def test_a_bad_part_among_good_ones_of_twelve_bits(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """The fit says what white is and names the bad part first; 12 bits in 16 score as their 8 bits do."""
    eight, deep = tmp_path / "eight", tmp_path / "deep"
    good = [path for path in (fitted.data / "train/good").glob("*.png") if path.name[0] not in "ehn"]
    for path in [*good, fitted.data / "test/broken/000.png"]:
        grey = np.repeat(decode(path).pixels[..., :1], 3, axis=2)
        name = "broken.png" if path not in good else path.name
        write_picture(eight / name, grey)
        write_twelve_bits(deep / name, grey)
    ended = run("fit", deep, *FIT, "--format", "table", store=store)
    assert "16-bit pictures with 12 bits in use: white is 4095" in ended.stdout
    assert "one pixel of the model covers" in ended.stdout
    told = ended.stdout.splitlines()[-3]
    assert told.split()[0] == str(deep / "broken.png")
    assert told.endswith(", suspicious")
    (manifest,) = store.glob("deep/versions/1/manifest.json")
    assert json.loads(manifest.read_text())["image"]["full_scale"] == 4095
    assert "white is 4095" in manifest.with_name("report.html").read_text(encoding="utf-8")
    found, expected = (rows(run("score", folder, "--exit-zero", store=store)) for folder in (deep, eight))
    assert [row["score"] for row in found] == [row["score"] for row in expected]
    assert {row["image"]["full_scale"] for row in found} == {4095}
    run("models", "verify", "deep", store=store)


def test_the_most_unusual_pictures_are_named(fitted: Fitted) -> None:
    """The answer counts suspicious pictures, the last lines name three, and the report shows them."""
    unusual = fitted.outcome["most_unusual"]
    assert [Path(one["path"]).is_file() for one in unusual] == [True] * 3
    assert [line.split()[0] for line in fitted.said.splitlines()[-3:]] == [one["path"] for one in unusual]
    assert sum(one["suspicious"] for one in unusual) <= fitted.outcome["suspicious_images"]
    page = Path(fitted.outcome["report"]).read_text()
    assert "Pictures that set the threshold" in page
    assert "Pictures that the model learned from" not in page
    assert all(Path(one["path"]).name in page for one in unusual)


def test_the_store_stands_after_a_fit(fitted: Fitted) -> None:
    """The model is promoted and current, and no work in progress is left."""
    store = Store(fitted.store)
    assert (store.names(), store.versions("flange")) == (["flange"], [1])
    assert (store.promoted("flange"), store.current()) == (1, "flange")
    beside = {name for name in listing(fitted.store) if not name.startswith("flange/versions/1/")}
    assert beside == {"current", "flange", "flange/promoted", "flange/versions", "flange/versions/1"}


def test_manifest_states_facts(fitted: Fitted) -> None:
    """The manifest states the request, the pictures, and the input of the graphs."""
    manifest = Bundle.open(fitted.bundle).manifest
    assert (manifest.image.height, manifest.image.width) == (64, 64)
    assert manifest.inspector_version == inspector.__version__
    training = manifest.training
    assert (training.steps, training.seed, training.threads, training.skipped_images) == (30, 0, 1, 3)
    assert training.options["image_size"] == 64
    assert training.folder == str(fitted.normal.resolve())
    assert training.packages["onnxruntime"] == onnxruntime.__version__
    assert manifest.parity.verdict_flips == 0
    assert manifest.parity.largest_relative_difference <= 1e-3
    assert manifest.parity.images == 40
    assert not any(name.endswith((".pt", ".pkl", ".pickle")) for name in manifest.files)
    session = onnxruntime.InferenceSession(fitted.bundle / "detector.onnx")
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [64, 64, 3])


def test_report_opens_offline(fitted: Fitted) -> None:
    """The report is one page that loads nothing from the network."""
    page = Path(fitted.outcome["report"]).read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!data:|#)[^"'\s>]""", page)
    assert not re.search(r"url\((?!['\"]?(?:data:|#))|@import", page)
    assert page.count("data:image/") >= 12
    assert "are these really good" in page.lower()


def test_bad_files_are_named_and_counted(fitted: Fitted) -> None:
    """Bad files are left out, named one by one, and counted."""
    assert fitted.outcome["skipped_images"] == 3
    page = Path(fitted.outcome["report"]).read_text(encoding="utf-8")
    for name in (*BAD_FILES, "half.png"):
        assert name in page
        assert name in fitted.said, fitted.said


def test_strict_refuses_bad_files(fitted: Fitted, store: Path) -> None:
    """With `--strict` the folder is refused, and the files are named."""
    ended = run("fit", fitted.normal, "--name", "x", *FIT, "--strict", store=store, code=4)
    message, hint = complaint(ended)
    assert "3 " in message
    assert all(name in message for name in (*BAD_FILES, "half.png"))
    assert "--strict" in hint
    assert not store.exists() or not listing(store)


def test_output_that_exists_is_refused_before_the_work(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """`--output` refuses a folder that has files."""
    target = tmp_path / "taken"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    message, _ = complaint(run("fit", fitted.normal, "--output", target, *FIT, store=store, code=2))
    assert "already exists" in message
    assert listing(tmp_path) - {"store"} == {"taken", "taken/mine.txt"}


def interrupted(command: list[str], store: Path, at: str) -> tuple[int, str]:
    """Start a fit, send Ctrl-C once it says `at`, and return its exit code and what it said."""
    with subprocess.Popen(
        command, env=environment(store), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith(at):
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr.read()
    return process.returncode, said


def test_a_resumed_fit_equals_one_that_was_never_stopped(fitted: Fitted, store: Path) -> None:
    """After Ctrl-C, `--resume` ends with the scores of an uninterrupted fit of the same request."""
    command = ["fit", str(fitted.normal), "--name", "flange", *FIT]
    code, said = interrupted([*PROGRAM, *command], store, "training")
    assert code == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert Store(store).names() == []
    ended = run(*command, "--resume", store=store)
    assert json.loads(ended.stdout)["steps"] == 30
    assert re.search(r"^resumed at step \d+ of 30$", ended.stderr, re.MULTILINE)
    assert scores(store / "flange" / "versions" / "1", fitted) == scores(fitted.bundle, fitted)
    assert "flange/work" not in listing(store)


def test_what_a_person_should_know_about_the_pictures(fitted: Fitted, store: Path, tmp_path: Path) -> None:
    """The fit names folders and pictures of one colour, counts them as suspicious, and resumes nothing."""
    good = tmp_path / "good"
    for path in sorted((fitted.data / "train/good").iterdir())[:12]:
        (good / "monday").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, good / "monday")
    for name, level in (("98_black.png", 0), ("99_white.png", 255)):
        write_picture(good / "tuesday" / name, np.full((64, 64, 3), level, np.uint8))
    command = ("fit", good, "--steps", "1", "--image-size", "64", "--resume")
    ended = run(*command, "--format", "table", store=store)
    assert "nothing to resume for good: the fit starts anew\n" in ended.stderr
    assert (
        "2 pictures are of one colour, such as tuesday/98_black.png, tuesday/99_white.png: " in ended.stderr
    )
    assert "pictures of 2 folders: monday 12, tuesday 2\n" in ended.stdout
    assert "; 1 step\n" in ended.stdout
    bundle = Bundle.open(store / "good" / "versions" / "1")
    assert (bundle.manifest.training.suspicious_images or 0) >= 2
    assert bundle.manifest.created == bundle.calibration.created
    report = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "2 pictures are of one colour" in report
    assert "pictures of 2 folders: monday 12, tuesday 2" in report
    shown = run("models", "show", "good", "--format", "table", store=store).stdout
    assert re.search(rf"^threshold +{bundle.calibration.threshold:.3f}$", shown, re.MULTILINE)
    assert re.search(rf"^fitted +{re.escape(bundle.calibration.created)}$", shown, re.MULTILINE)
