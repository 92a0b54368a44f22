"""`inspector generate` draws pictures from the prior and finds copies of training pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from inspector.bundle.folder import write_bundle
from inspector.bundle.reference import content_digest
from inspector.bundle.store import Store
from inspector.demo.photograph import render
from inspector.imaging import montage
from tests.inspector.conftest import Command, Ended
from tests.inspector.tiny_bundle import SIDE, good_picture, tiny_fill, vector_fill, write_picture

SPATIAL, VECTOR, BLURRED = "spatial", "vector", "blurred"
LEARNED = 24


@pytest.fixture(scope="session")
def parts() -> NDArray[np.uint8]:
    """Rendered parts that the vector models know."""
    return np.stack([render(seed, size=SIDE).picture for seed in range(LEARNED)])


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, parts: NDArray[np.uint8]) -> Path:
    """The same parts as files, and one part that no model learned from; tests must not change them."""
    folder = tmp_path_factory.mktemp("learned")
    for number, picture in enumerate(parts):
        write_picture(folder / f"{number:02}.png", picture)
    write_picture(folder / "heldout.png", render(999, size=SIDE).picture)
    return folder


@pytest.fixture(scope="session")
def digests(learned: Path) -> list[int]:
    """Content digests of the pictures that the models learned from."""
    return [content_digest(learned / f"{number:02}.png") for number in range(LEARNED)]


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory, parts: NDArray[np.uint8], learned: Path, digests: list[int]
) -> Store:
    """A model with a latent for each patch, a model that repeats its parts, and a model that blurs them."""
    store = Store(tmp_path_factory.mktemp("published"))
    store.publish(SPATIAL, tiny_fill())
    store.publish(VECTOR, vector_fill(parts, softness=1e-3, training_digests=digests, folder=learned))
    store.publish(BLURRED, vector_fill(parts, softness=50.0, training_digests=digests))
    return store


@pytest.fixture
def models(published: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same, as the store of the command line."""
    monkeypatch.setenv("INSPECTOR_STORE", str(published.root))
    monkeypatch.setenv("INSPECTOR_THREADS", "1")
    return published


def cells(path: Path, count: int, columns: int) -> list[NDArray[np.uint8]]:
    """Read the pictures of a grid back."""
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        grid = np.asarray(image)
    assert grid.shape == (*montage.extent(count, columns, SIDE, SIDE), 3)
    step, between = SIDE + montage.gap(SIDE, SIDE), montage.gap(SIDE, SIDE)
    corners = [(between + n // columns * step, between + n % columns * step) for n in range(count)]
    return [grid[top : top + SIDE, left : left + SIDE] for top, left in corners]


def figures(ended: Ended) -> dict[str, Any]:
    """The object of `--format json`."""
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


# --- the grid -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [SPATIAL, VECTOR])
def test_the_grid_shows_what_the_decoder_makes_of_the_latents(
    command: Command, models: Store, tmp_path: Path, name: str
) -> None:
    """Decoding the latents of `--latents` gives the pictures of the grid, one by one."""
    grid, latents = tmp_path / "grid.png", tmp_path / "latents.npy"
    assert (
        command(
            "generate", "--model", name, "--count", 7, "--seed", 4, "--output", grid, "--latents", latents
        ).code
        == 0
    )
    drawn = np.load(latents, allow_pickle=False)
    assert drawn.dtype == np.float32
    assert drawn.shape == ((7, 3, 8, 8) if name == SPATIAL else (7, LEARNED))
    decoder = onnxruntime.InferenceSession(models.path(name, 1) / "decoder.onnx")
    for one, cell in zip(drawn, cells(grid, 7, 3), strict=True):
        assert (decoder.run(None, {"latent": one[np.newaxis]})[0][0] == cell).all()


@pytest.mark.parametrize("name", [SPATIAL, VECTOR])
def test_the_same_seed_gives_the_same_bytes(
    command: Command, models: Store, tmp_path: Path, name: str
) -> None:
    """Grid and latents depend on the seed alone."""
    made: dict[str, tuple[bytes, bytes]] = {}
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        files = tmp_path / f"{run}.png", tmp_path / f"{run}.npy"
        options = ("--seed", seed, "--count", 5, "--output", files[0], "--latents", files[1])
        assert command("generate", "--model", name, *options).code == 0
        made[run] = files[0].read_bytes(), files[1].read_bytes()
    assert made["a"] == made["b"]
    assert made["a"][0] != made["c"][0]
    assert made["a"][1] != made["c"][1]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (10, 10), (10, 4), (3, 9)])
def test_any_count_in_any_number_of_columns(
    command: Command, models: Store, tmp_path: Path, count: int, columns: int
) -> None:
    """A grid has the requested number of pictures, and all grids of one seed begin alike."""
    options = ("--count", count, "--columns", columns, "--output", tmp_path / "grid.png")
    assert command("generate", "--model", SPATIAL, *options).code == 0
    first = cells(tmp_path / "grid.png", count, min(columns, count))
    assert command("generate", "--model", SPATIAL, "--output", tmp_path / "sixteen.png").code == 0
    for one, other in zip(first, cells(tmp_path / "sixteen.png", 16, 4), strict=False):
        assert (one == other).all()


def test_patches_that_are_drawn_independently_get_a_remark(
    command: Command, models: Store, tmp_path: Path
) -> None:
    """A remark says what to expect of a model that draws each patch independently of the others."""
    said = {
        name: command("generate", "--model", name, "--output", tmp_path / "a.png").err
        for name in (SPATIAL, VECTOR)
    }
    assert "8 x 8 patches" in said[SPATIAL]
    assert "patches" not in said[VECTOR]


# --- copies ---------------------------------------------------------------------------------


def test_copies_are_found(command: Command, models: Store, learned: Path, tmp_path: Path) -> None:
    """A sample that equals a training picture has distance 0 and names it; the copy rate is 1."""
    grid, near = tmp_path / "grid.png", tmp_path / "near.png"
    ended = command(
        "generate",
        "--model",
        VECTOR,
        "--count",
        4,
        "--output",
        grid,
        "--neighbours",
        near,
        "--format",
        "json",
    )
    found = figures(ended)
    assert (found["copies"], found["copy_rate"]) == (4, 1.0)
    assert found["training"] == {
        "folder": str(learned),
        "images": LEARNED,
        "recognised": True,
        "learned": LEARNED,
    }
    for row, cell in zip(found["samples"], cells(grid, 4, 2), strict=True):
        assert (row["distance"], row["relative"], row["copy"]) == (0.0, 0.0, True)
        assert (np.asarray(Image.open(row["nearest"])) == cell).all()
    pairs = np.asarray(Image.open(near))
    between = montage.gap(SIDE, SIDE)
    first = pairs[between : between + 2 * SIDE + between // 2, between : between + SIDE]
    assert (first[:SIDE] == first[-SIDE:]).all()
    assert (first[:SIDE] == cells(grid, 4, 2)[0]).all()


def test_a_model_that_blurs_copies_nothing(
    command: Command, models: Store, learned: Path, tmp_path: Path
) -> None:
    """The mean of all parts resembles each of them, and is a copy of none."""
    ended = command(
        "generate",
        "--model",
        BLURRED,
        "--images",
        learned,
        "--output",
        tmp_path / "a.png",
        "--format",
        "json",
    )
    found = figures(ended)
    assert (found["copies"], found["copy_rate"]) == (0, 0.0)
    assert found["limits"]["chance"] == pytest.approx(1 / 25)
    assert all(row["relative"] > found["limits"]["relative"] for row in found["samples"])


def test_held_out_pictures_are_not_compared(
    command: Command, models: Store, learned: Path, tmp_path: Path
) -> None:
    """A held-out picture is never the nearest; the table counts training pictures that are missing."""
    folder = shutil.copytree(learned, tmp_path / "learned")
    (folder / "03.png").unlink()
    options = ("--images", folder, "--output", tmp_path / "a.png")
    ended = command("generate", "--model", VECTOR, *options, "--format", "table")
    assert ended.code == 0
    assert "heldout.png" not in ended.out
    assert f"of {LEARNED} training pictures {LEARNED - 1} were found" in ended.out


def test_a_folder_that_the_model_does_not_know(command: Command, models: Store, tmp_path: Path) -> None:
    """All pictures of the folder are compared, and a remark says that the model knows none of them."""
    for seed in range(5):
        write_picture(tmp_path / "others" / f"{seed}.png", good_picture(seed))
    options = ("--images", tmp_path / "others", "--output", tmp_path / "a.png")
    ended = command("generate", "--model", VECTOR, *options, "--format", "json")
    training = figures(ended)["training"]
    assert (training["images"], training["recognised"]) == (5, False)
    assert "by its content" in command("generate", "--model", VECTOR, *options).err


def test_without_training_pictures(
    command: Command, parts: NDArray[np.uint8], digests: list[int], tmp_path: Path
) -> None:
    """The grid is written without a comparison, and a remark says why."""
    fill = vector_fill(parts, softness=1e-3, training_digests=digests, folder=tmp_path / "gone")
    options = ("--model", write_bundle(tmp_path / "model", fill).path, "--output", tmp_path / "a.png")
    found = figures(command("generate", *options, "--format", "json"))
    assert [found[name] for name in ("training", "copies", "copy_rate", "limits")] == [None] * 4
    assert set(found["samples"][0].values()) == {0, None}
    assert "--images DIR" in command("generate", *options).err
    assert cells(tmp_path / "a.png", 16, 4)


@pytest.mark.parametrize("count", [1, 2])
def test_training_pictures_that_are_all_the_same(
    command: Command, models: Store, tmp_path: Path, count: int
) -> None:
    """If all training pictures are the same there are distances, but no copy rate, and a remark says why."""
    for number in range(count):  # different files of the same pixels
        target = write_picture(tmp_path / "same" / f"{number}.png", good_picture(1))
        Image.open(target).save(target, compress_level=number)
    options = ("--images", tmp_path / "same", "--output", tmp_path / "a.png")
    found = figures(command("generate", "--model", SPATIAL, *options, "--format", "json"))
    assert (found["training"]["images"], found["limits"], found["copy_rate"]) == (count, None, None)
    assert all(row["distance"] > 0 and row["copy"] is None for row in found["samples"])
    assert "no copy rate" in command("generate", "--model", SPATIAL, *options).err
    assert command("generate", "--model", SPATIAL, *options, "--format", "table").code == 0


# --- forms of output ------------------------------------------------------------------------


def test_forms_of_output(command: Command, models: Store, tmp_path: Path) -> None:
    """A pipe gets one object, jsonl a line for each sample; the table ends with the outcome in words."""
    options = ("--count", 3, "--output", tmp_path / "a.png")
    lines, whole, table = (
        command("generate", "--model", VECTOR, *options, *more)
        for more in (("--format", "jsonl"), (), ("--format", "table"))
    )
    found = figures(whole)
    assert [json.loads(line) for line in lines.out.splitlines()] == found["samples"]
    assert (found["seed"], found["count"], found["output"]) == (0, 3, str(tmp_path / "a.png"))
    assert found["model"]["name"] == VECTOR
    assert "3 of 3 pictures (100%) copy one of 24 training pictures" in lines.err
    header, *rows = table.out.splitlines()
    assert header.split()[:3] == ["sample", "distance", "relative"]
    assert [row.split()[0] for row in rows[:4]] == ["0", "1", "2", "limits"]
    assert f"drawn from {VECTOR}@1 with seed 0" in table.out
    assert rows[-1] == lines.err.splitlines()[-1] == whole.err.splitlines()[-1]
    assert table.err == ""


def test_a_bundle_at_a_path(command: Command, tmp_path: Path) -> None:
    """`--model` takes the path of a bundle that is in no store."""
    write_bundle(tmp_path / "model", tiny_fill())
    assert command("generate", "--model", tmp_path / "model", "--output", tmp_path / "a.png").code == 0
