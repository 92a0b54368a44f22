"""`inspector interpolate` shows the way from one picture to another, beside a cross-fade."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from inspector.bundle.folder import Bundle, write_bundle
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store
from inspector.demo.photograph import render
from inspector.imaging import montage
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.imaging.resize import fit_to
from inspector.imaging.sharpness import sharpness
from inspector.scoring.autoencoder import AutoEncoder
from inspector.scoring.detector import Detector
from tests.conftest import Mount
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command, Ended
from tests.inspector.tiny_bundle import SIDE, bad_picture, good_picture, tiny_fill, vector_fill, write_picture

SPATIAL, VECTOR, BLURRED = "spatial", "vector", "blurred"
GAP = montage.gap(SIDE, SIDE)

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def parts() -> Pixels:
    """Rendered parts that the vector models know."""
    return np.stack([render(seed, size=SIDE).picture for seed in range(6)])


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, parts: Pixels) -> Store:
    """A model with a latent for each patch, a model that jumps between parts, and a model that blurs them."""
    store = Store(tmp_path_factory.mktemp("published"))
    store.publish(SPATIAL, tiny_fill())
    store.publish(VECTOR, vector_fill(parts, softness=1e-3))
    store.publish(BLURRED, vector_fill(parts, softness=0.6))
    return store


@pytest.fixture
def models(published: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same, as the store of the command line."""
    monkeypatch.setenv("INSPECTOR_STORE", str(published.root))
    monkeypatch.setenv("INSPECTOR_THREADS", "1")
    return published


@pytest.fixture
def ends(tmp_path: Path, parts: Pixels) -> tuple[Path, Path]:
    """Two of the parts as files."""
    return write_picture(tmp_path / "a.png", parts[0]), write_picture(tmp_path / "b.png", parts[1])


def rows_of(path: Path, steps: int) -> tuple[list[Pixels], list[Pixels]]:
    """Read both rows of a still picture back."""
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        laid = np.asarray(image)
    assert laid.shape == (*montage.extent(2 * steps, steps, SIDE, SIDE), 3)
    cells = [[laid[y : y + SIDE, x : x + SIDE] for x in places(steps)] for y in places(2)]
    return cells[0], cells[1]


def places(count: int) -> list[int]:
    """Where pictures begin."""
    return [GAP + number * (SIDE + GAP) for number in range(count)]


def figures(ended: Ended) -> dict[str, Any]:
    """The object of `--format json`."""
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


# --- the pictures ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [SPATIAL, VECTOR, BLURRED])
@pytest.mark.parametrize("steps", [2, 5])
def test_both_ends_are_in_both_rows(
    command: Command,
    models: Store,
    ends: tuple[Path, Path],
    parts: Pixels,
    tmp_path: Path,
    name: str,
    steps: int,
) -> None:
    """The upper row ends with the model's A and B; the lower row mixes the pictures A and B."""
    assert (
        command(
            "interpolate", "--model", name, *ends, "--steps", steps, "--output", tmp_path / "way.png"
        ).code
        == 0
    )
    through, fade = rows_of(tmp_path / "way.png", steps)
    autoencoder = AutoEncoder(Bundle.open(models.path(name, 1)))
    for end, part in ((0, parts[0]), (-1, parts[1])):
        assert (through[end] == autoencoder.decode(autoencoder.encode(part))).all()
        assert (fade[end] == part).all()
    for step, picture in enumerate(fade):
        t = step / (steps - 1)
        assert np.abs(picture - ((1 - t) * parts[0] + t * parts[1])).max() <= 0.5


def test_the_same_call_gives_the_same_bytes(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """Two runs write the same bytes in every format."""
    for name in ("one", "two"):
        for suffix in ("png", "gif", "webp", "apng"):
            options = ("--output", tmp_path / f"{name}.{suffix}")
            assert command("interpolate", "--model", BLURRED, *ends, *options).code == 0
    for suffix in ("png", "gif", "webp", "apng"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"), [("webp", "WEBP", 0), ("apng", "PNG", 0), ("gif", "GIF", 12)]
)
def test_animations(
    command: Command,
    models: Store,
    ends: tuple[Path, Path],
    tmp_path: Path,
    suffix: str,
    kind: str,
    tolerance: int,
) -> None:
    """An animation has one frame for each step, the model's picture on the left, and repeats for ever."""
    target = tmp_path / f"way.{suffix}"
    command("interpolate", "--model", BLURRED, *ends, "--steps", 6, "--output", tmp_path / "way.png")
    command("interpolate", "--model", BLURRED, *ends, "--steps", 6, "--output", target)
    pairs = list(zip(*rows_of(tmp_path / "way.png", 6), strict=True))
    with Image.open(target) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == (kind, 6, 0)  # type: ignore[attr-defined]
        frames, durations = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGB")))
            durations.append(frame.info["duration"])
    for frame_pixels, (one, other) in zip(frames, pairs, strict=True):
        expected = montage.lay_out([one, other], 2).astype(int)
        assert np.abs(frame_pixels - expected).mean() <= tolerance / 4
        assert tolerance or (frame_pixels == expected).all()
    assert durations == [700, 400, 400, 400, 400, 700]


def test_the_arc_and_the_line_differ_between_the_ends_alone(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """`--course line` changes the steps between the ends alone; the cross-fade stays the same."""
    for course in ("arc", "line"):
        options = ("--course", course, "--steps", 4, "--output", tmp_path / f"{course}.png")
        assert (
            figures(command("interpolate", "--model", BLURRED, *ends, *options, "--format", "json"))["course"]
            == course
        )
    (arc, fade), (line, same) = (rows_of(tmp_path / f"{course}.png", 4) for course in ("arc", "line"))
    assert (np.stack(fade) == np.stack(same)).all()
    assert [(one == other).all() for one, other in zip(arc, line, strict=True)] == [True, False, False, True]


def test_pictures_of_any_kind(command: Command, models: Store, parts: Pixels, tmp_path: Path) -> None:
    """Pictures are resized, grey becomes RGB, and transparent pixels become white."""
    rgba = np.dstack([parts[0], np.full((SIDE, SIDE), 255, np.uint8)])
    rgba[: SIDE // 2, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    Image.fromarray(good_picture(1, 90, 150)[..., 0]).save(tmp_path / "grey.jpg", quality=95)
    options = ("--steps", 3, "--output", tmp_path / "way.png")
    assert (
        command(
            "interpolate", "--model", SPATIAL, tmp_path / "alpha.png", tmp_path / "grey.jpg", *options
        ).code
        == 0
    )
    _, fade = rows_of(tmp_path / "way.png", 3)
    assert (fade[0][: SIDE // 2] == 255).all()
    assert (fade[0][SIDE // 2 :] == parts[0][SIDE // 2 :]).all()
    grey = decode(tmp_path / "grey.jpg").pixels
    assert (fade[2] == fit_to(grey, SIDE, SIDE)).all()


def test_transparency_is_laid_over_the_model_s_ground(tiny: Bundle) -> None:
    """Transparent pixels get the background of the model, as in scoring."""
    ground = (16, 32, 48)
    image = tiny.manifest.image.model_copy(update={"background": ground})
    bundle = replace(tiny, manifest=tiny.manifest.model_copy(update={"image": image}))
    nothing = np.zeros((SIDE, SIDE, 4), np.uint8)
    nothing[0, 0] = (*ground, 255)  # a wholly transparent picture is invalid
    file = io.BytesIO()
    Image.fromarray(nothing).save(file, "PNG")
    seen = AutoEncoder(bundle).prepare(file.getvalue())
    assert (seen == ground).all()
    assert (Detector(bundle).prepare(file.getvalue())[1] == ground).all()


# --- printed results -----------------------------------------------------------------------


def test_a_model_that_makes_parts_stays_sharper(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """The result has the sharpness of the written pictures; this model keeps all of it between the ends."""
    options = ("--steps", 4, "--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", VECTOR, *ends, *options, "--format", "json"))
    through, fade = rows_of(tmp_path / "way.png", 4)
    for number, row in enumerate(found["steps"]):
        assert row["step"] == number
        assert row["position"] == pytest.approx(number / 3)
        assert row["model"] == pytest.approx(sharpness(through[number]), abs=1e-3)
        assert row["crossfade"] == pytest.approx(sharpness(fade[number]), abs=1e-3)
    values = np.array([[row["model"], row["crossfade"]] for row in found["steps"]])
    model_kept, fade_kept = values[1:-1].mean(0) / values[[0, -1]].mean(0)
    assert found["model_kept"] == pytest.approx(model_kept, rel=1e-4) == pytest.approx(1.0, rel=1e-4)
    assert found["crossfade_kept"] == pytest.approx(fade_kept, rel=1e-4)
    assert found["kept_ratio"] == pytest.approx(model_kept / fade_kept, rel=1e-4)
    assert found["stays_sharper"] == "model"
    assert found["ends_distance"] == 0
    said = command("interpolate", "--model", VECTOR, *ends, *options).err
    assert "the model stays sharper, " in said
    assert f"{found['kept_ratio']:.2f} times" in said


def test_a_model_that_blurs_loses(command: Command, parts: Pixels, tmp_path: Path) -> None:
    """If the model mixes in other parts, the cross-fade stays sharper, and a remark says so."""
    darker = parts[0] // 2  # nothing moves from A to B, so that a cross-fade of them stays sharp
    known = np.stack([parts[0], darker, *parts[1:]])
    model = write_bundle(tmp_path / "model", vector_fill(known, softness=0.8)).path
    ends = write_picture(tmp_path / "a.png", parts[0]), write_picture(tmp_path / "b.png", darker)
    options = ("--course", "line", "--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", model, *ends, *options, "--format", "json"))
    assert found["stays_sharper"] == "crossfade"
    assert found["kept_ratio"] < 1
    said = command("interpolate", "--model", model, *ends, *options).err
    assert f"the cross-fade stays sharper, {1 / found['kept_ratio']:.2f} times" in said


def test_a_difference_that_varies_is_no_victory(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """If the difference varies along the way by more than it amounts to, neither stays sharper."""
    options = ("--course", "line", "--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", BLURRED, *ends, *options, "--format", "json"))
    assert found["kept_ratio"] > 1
    assert found["kept_spread"] > found["model_kept"] - found["crossfade_kept"]
    assert found["stays_sharper"] is None
    said = command("interpolate", "--model", BLURRED, *ends, *options).err
    assert f"neither stays sharper, because the difference varies by {found['kept_spread']:.0%}" in said


def test_one_picture_between_the_ends_is_too_few(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """With three steps the figures are there, and a remark asks for more steps instead of naming a winner."""
    options = ("--steps", 3, "--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", VECTOR, *ends, *options, "--format", "json"))
    assert found["kept_ratio"] > 1
    assert (found["kept_spread"], found["stays_sharper"]) == (None, None)
    assert "take --steps 5 or more" in command("interpolate", "--model", VECTOR, *ends, *options).err


def test_a_model_that_makes_one_picture_of_both(command: Command, parts: Pixels, tmp_path: Path) -> None:
    """A model that draws the same blur for A and B keeps all of its sharpness, and that is no victory."""
    model = write_bundle(tmp_path / "model", vector_fill(parts, softness=5)).path
    ends = [write_picture(tmp_path / f"{number}.png", parts[number]) for number in (0, 1)]
    options = ("--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", model, *ends, *options, "--format", "json"))
    assert found["model_kept"] > 0.95
    assert found["ends_distance"] < found["pictures_distance"]
    assert found["model_distance"] < found["pictures_distance"] / 2
    assert (found["kept_ratio"], found["stays_sharper"]) == (None, None)
    said = command("interpolate", "--model", model, *ends, *options).err
    assert "the model makes nearly one picture of A and B" in said


CAUTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no regularizer": ({"options": {"regularizer": "none"}}, "trained without a regularizer"),
    "learned nothing": ({"figures": {"error_reduction": -0.1}}, "no better than their mean picture"),
    "no prior match": ({"figures": {"prior_match_p_value": 0.001}}, "do not match the prior"),
}


@pytest.mark.parametrize("case", CAUTIONS)
def test_a_model_that_is_weak_between_its_latents(
    command: Command, parts: Pixels, ends: tuple[Path, Path], tmp_path: Path, case: str
) -> None:
    """A remark names the weakness that the manifest shows."""
    changed, expected = CAUTIONS[case]

    def fill(folder: Path) -> Manifest:
        manifest = vector_fill(parts, softness=1e-3)(folder)
        return manifest.model_copy(update={"training": manifest.training.model_copy(update=changed)})

    model = write_bundle(tmp_path / "model", fill).path
    ended = command("interpolate", "--model", model, *ends, "--output", tmp_path / "way.png")
    assert expected in figures(ended)["caution"]
    assert expected in ended.err


def test_models_with_and_without_a_latent_for_each_patch(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """A model of patches has a remark about them; a model without a weakness has none."""
    cautions = [
        figures(command("interpolate", "--model", name, *ends, "--output", tmp_path / "way.png"))["caution"]
        for name in (SPATIAL, VECTOR)
    ]
    assert "a latent for each patch" in cautions[0]
    assert cautions[1] is None


def test_pictures_that_the_model_does_not_know(command: Command, models: Store, tmp_path: Path) -> None:
    """There is no comparison if the model's ends differ from A and B more than A differs from B."""
    ends = [write_picture(tmp_path / f"{seed}.png", good_picture(seed)) for seed in (1, 2)]
    options = ("--output", tmp_path / "way.png")
    found = figures(command("interpolate", "--model", VECTOR, *ends, *options, "--format", "json"))
    assert found["ends_distance"] >= found["pictures_distance"] > 0
    assert (found["kept_ratio"], found["stays_sharper"]) == (None, None)
    assert (
        "the model has not learned such pictures"
        in command("interpolate", "--model", VECTOR, *ends, *options).err
    )


def test_two_steps_have_nothing_between_them(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """With two steps there is no comparison, and a remark names the option to change."""
    options = ("--steps", 2, "--output", tmp_path / "way.gif")
    found = figures(command("interpolate", "--model", VECTOR, *ends, *options, "--format", "json"))
    assert [found[name] for name in ("model_kept", "kept_ratio", "stays_sharper")] == [None] * 3
    assert "--steps 3" in command("interpolate", "--model", VECTOR, *ends, *options).err


def test_flat_pictures(command: Command, models: Store, tmp_path: Path) -> None:
    """Two pictures of one colour each have sharpness 0, and there is no comparison."""
    ends = [
        write_picture(tmp_path / f"{grey}.png", np.full((SIDE, SIDE, 3), grey, np.uint8))
        for grey in (20, 200)
    ]
    ended = command("interpolate", "--model", SPATIAL, *ends, "--output", tmp_path / "way.png")
    assert ended.code == 0
    assert {step["crossfade"] for step in json.loads(ended.out)["steps"]} == {0.0}
    assert "are flat" in ended.err


def test_forms_of_output(command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path) -> None:
    """A pipe gets one object, jsonl a line for each step; the table ends with the outcome in words."""
    options = (*ends, "--steps", 3, "--output", tmp_path / "way.png")
    lines, whole, table = (
        command("interpolate", "--model", VECTOR, *options, *more)
        for more in (("--format", "jsonl"), (), ("--format", "table"))
    )
    found = figures(whole)
    assert [json.loads(line) for line in lines.out.splitlines()] == found["steps"]
    assert (found["a"], found["b"], found["model"]["name"]) == (str(ends[0]), str(ends[1]), VECTOR)
    header, *rows = table.out.splitlines()
    assert header.split() == ["step", "position", "model", "cross-fade", "sharpness"]
    assert [row.split()[0] for row in rows[:3]] == ["0", "1", "2"]
    assert rows[-3:] == lines.err.splitlines() == whole.err.splitlines()
    assert rows[-1].endswith(f"with {VECTOR}@1")
    assert table.err == ""


# --- refusals -------------------------------------------------------------------------------

CASES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "one step": (("--steps", "1"), 2, "'1' for '--steps': it should be greater than or equal to 2"),
    "far too many steps": (("--steps", "1000000000"), 2, "--steps 1000000000 makes a picture of"),
    "another course": (("--course", "curve"), 2, "'curve'"),
    "another suffix": (("--output", "way.jpg"), 2, "has to end in .png or .gif or .webp or .apng"),
    "no such folder": (("--output", "missing/way.gif"), 2, "there is no such folder"),
    "over A": (("--output", "a.png"), 2, "a picture that is read"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals(
    command: Command,
    models: Store,
    ends: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    """One line with the value and one with a hint, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    options, code, expected = CASES[case]
    given = options if "--output" in options else ("--output", "way.png", *options)
    refused(command("interpolate", "--model", SPATIAL, "a.png", "b.png", *given), code, expected)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


PICTURES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "cannot be opened"),
    "empty": (b"", "is empty (0 bytes)"),
    "text": (b"not a picture", "not of an image type"),
    "truncated": (encode_png(bad_picture())[:200], "ends too early"),
    "too small": (encode_png(bad_picture()[:20]), "64 x 20 pixels"),
}


@pytest.mark.parametrize("case", PICTURES)
@pytest.mark.parametrize("place", ["A", "B"])
def test_pictures_at_fault(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path, case: str, place: str
) -> None:
    """A picture that cannot be read ends with 3, in one line that names it, and nothing is written."""
    content, expected = PICTURES[case]
    other = tmp_path / "other.png"
    if content is not None:
        other.write_bytes(content)
    named = (other, ends[1]) if place == "A" else (ends[0], other)
    ended = command("interpolate", "--model", SPATIAL, *named, "--output", tmp_path / "way.png")
    refused(ended, 3, expected)
    assert str(other) in ended.err
    assert not (tmp_path / "way.png").exists()


def test_the_same_picture_twice(
    command: Command, models: Store, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """A and B have to differ in their pixels; the same file, and the same picture in another, are refused."""
    Image.open(ends[0]).save(tmp_path / "again.bmp")
    for second in (ends[0], tmp_path / "again.bmp"):
        ended = command("interpolate", "--model", SPATIAL, ends[0], second, "--output", tmp_path / "way.png")
        refused(ended, 2, "A and B are the same picture at 64 x 64 pixels")
    assert not (tmp_path / "way.png").exists()


def test_a_decoder_that_was_changed(
    command: Command, own: Path, ends: tuple[Path, Path], tmp_path: Path
) -> None:
    """A model that cannot be trusted ends with 5, and writes nothing."""
    content = (own / "decoder.onnx").read_bytes()
    (own / "decoder.onnx").write_bytes(content[:-1] + b"!")
    refused(
        command("interpolate", "--model", own, *ends, "--output", tmp_path / "way.png"),
        5,
        "decoder.onnx was changed",
    )
    assert not (tmp_path / "way.png").exists()


def test_disks_that_cannot_be_written(
    command: Command, models: Store, ends: tuple[Path, Path], mount: Mount
) -> None:
    """A full disk keeps its files; a read-only disk is refused before the work."""
    place = mount("size=16k")
    refused(
        command("interpolate", "--model", VECTOR, *ends, "--output", place / "way.png"), 6, "no space left"
    )
    assert not list(place.iterdir())
    mount("ro")
    refused(command("interpolate", "--model", VECTOR, *ends, "--output", place / "way.png"), 6, "read-only")
