"""`python -m models.pretrained`: from pictures to a file of weights."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from models.pretrained import __main__ as pretraining
from models.pretrained.views import Look


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "Look", partial(Look, pictures=5))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three pictures of black and white blocks, of three sizes."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, blocks in enumerate([(9, 12), (22, 22), (30, 26)]):
        pixels = np.kron(255 * rng.integers(0, 2, blocks), np.ones((10, 10))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def make(work: Path, *words: str) -> int:
    """Train for at most four steps on two scenes; the weights lie in `work` afterwards."""
    output = work.parent / f"{work.name}.safetensors"
    common = ["--output", str(output), "--scenes", "2", "--threads", "1", "--steps", "4"]
    return pretraining.main([str(work), *common, *words])


def card(work: Path) -> dict[str, str]:
    """The card of the weights that `make` left."""
    with safe_open(work.parent / f"{work.name}.safetensors", "pt") as file:
        found: dict[str, str] = json.loads(file.metadata()["card"])
    return found


def test_the_same_command_resumes(tmp_path: Path, photographs: Path) -> None:
    """Two steps and then two give the file of four steps, bit for bit, and another file than two steps."""
    halves, whole = tmp_path / "halves", tmp_path / "whole"
    words = ("--photographs", str(photographs), "--credit", "blocks, nobody, CC0", "--credit", "more, MIT")
    assert make(halves, *words, "--stop", "2") == 0
    first = (tmp_path / "halves.safetensors").read_bytes()
    assert card(halves)["steps"] == "2 of 4"
    assert make(halves, *words) == 0
    assert make(whole, *words) == 0
    resumed = (tmp_path / "halves.safetensors").read_bytes()
    assert resumed == (tmp_path / "whole.safetensors").read_bytes()
    assert resumed != first
    made = card(whole)
    assert made["made from"] == "3 photographs and 2 invented scenes; from random weights"
    assert made["photographs"] == "blocks, nobody, CC0; more, MIT"
    assert (made["steps"], made["seed"], made["threads"]) == ("4 of 4", "5", "1")


def test_scenes_alone_suffice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without photographs the trunk learns from scenes; the stages are said on stderr, a line each."""
    assert make(tmp_path / "work", "--stop", "1") == 0
    assert card(tmp_path / "work")["made from"] == "no photographs, 2 invented scenes; from random weights"
    assert capsys.readouterr().err.splitlines() == ["scenes", "training"]


@pytest.mark.parametrize("photographs_too", [True, False])
def test_views_come_from_every_source(tmp_path: Path, photographs: Path, photographs_too: bool) -> None:
    """Three views in ten show a plain scene, the others a photograph; without photographs all are plain."""
    work = tmp_path / "work"
    words = ["--photographs", str(photographs)] if photographs_too else []
    assert make(work, *words, "--stop", "1") == 0
    scenes = np.load(work / "scenes-2.npy", mmap_mode="r+")
    scenes[:] = 200
    scenes.flush()
    options = pretraining.parse([str(work), "--output", "x", "--scenes", "2", *words])
    recipe = pretraining.recipe_of(options)
    sampler = pretraining.view_sampler(recipe, work, lambda _stage, _done, _total: None)
    pictures = np.concatenate([sampler.draw(step).pictures.numpy() for step in range(40)])
    plain = pictures.mean(1).std((1, 2)) < 0.12
    assert plain.mean() == pytest.approx(0.3 if photographs_too else 1.0, abs=0.1)


def refused(code: int, said: str, err: str, given: int) -> None:
    """The command ended with this code, and one line begins with `error:` and has these words."""
    assert given == code
    assert [line for line in err.splitlines() if line.startswith("error: ") and said in line]
    assert "Traceback" not in err


def test_bad_photographs_are_refused_in_one_line(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder, one without pictures, and a file that is cut off; whole again, it is taken."""
    work = tmp_path / "work"
    code = make(work, "--photographs", str(tmp_path / "nowhere"))
    refused(4, "nowhere does not exist", capsys.readouterr().err, code)
    (tmp_path / "empty").mkdir()
    code = make(work, "--photographs", str(tmp_path / "empty"))
    refused(4, "empty holds no picture", capsys.readouterr().err, code)
    assert not work.exists()
    damaged = photographs / "1.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    code = make(work, "--photographs", str(photographs))
    refused(3, "1.png", capsys.readouterr().err, code)
    assert not (tmp_path / "work.safetensors").exists()
    damaged.write_bytes(whole)
    assert make(work, "--photographs", str(photographs), "--stop", "1") == 0


def test_a_training_goes_on_with_its_own_pictures_alone(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another seed and a changed folder of photographs are refused."""
    work, words = tmp_path / "work", ("--photographs", str(photographs))
    assert make(work, *words, "--stop", "1") == 0
    code = make(work, *words, "--seed", "6")
    refused(2, "began with --seed 5, and cannot go on with 6", capsys.readouterr().err, code)
    shutil.copy(photographs / "0.png", photographs / "9.png")
    code = make(work, *words)
    refused(2, "began with --photographs 3 pictures", capsys.readouterr().err, code)


def test_options_that_do_not_fit_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is rendered."""
    work = tmp_path / "work"
    code = make(work, "--credit", "somebody")
    refused(2, "--credit names a source of photographs", capsys.readouterr().err, code)
    code = make(work, "--stop", "5")
    refused(2, "--stop is 5; at most --steps, 4, is allowed", capsys.readouterr().err, code)
    code = make(work, "--output", str(tmp_path / "nowhere" / "file"))
    refused(2, "in a folder that does not exist", capsys.readouterr().err, code)
    assert not work.exists()
    work.write_text("a file")
    code = make(work)
    refused(6, "work", capsys.readouterr().err, code)
    for option, value in (("--scenes", "0"), ("--steps", "-1"), ("--threads", "many"), ("--seed", "-1")):
        with pytest.raises(SystemExit):
            make(work, option, value)
        assert f"argument {option}" in capsys.readouterr().err


def test_ctrl_c_keeps_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so, and the same command goes on."""
    work = tmp_path / "work"
    whole = pretraining.view_sampler

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "view_sampler", interrupted)
    assert make(work) == 130
    assert capsys.readouterr().err.endswith("interrupted; the same command goes on\n")
    monkeypatch.setattr(pretraining, "view_sampler", whole)
    assert make(work, "--stop", "1") == 0


def test_the_defaults_are_those_of_the_shipped_weights() -> None:
    """Without options the trunk is trained as the shipped one was."""
    options = pretraining.parse(["work", "--output", "file"])
    assert (options.scenes, options.steps, options.stop, options.seed) == (4_000, 12_000, None, 5)
