"""`inspector generate` refuses bad options, untrustworthy decoders, and disks that cannot be written."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from inspector.bundle.folder import MANIFEST, Bundle, seal
from inspector.bundle.store import Store
from tests.conftest import Mount
from tests.inspector.commands.refusal import refused
from tests.inspector.conftest import Command
from tests.inspector.tiny_bundle import tiny_fill


@pytest.fixture(autouse=True)
def _model(store: Store) -> None:
    """Put a tiny model into the store."""
    store.publish("tiny", tiny_fill())


CASES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no pictures": (("--count", "0"), 2, "'0' for '--count': it should be greater than or equal to 1"),
    "far too many": (("--count", "1000000000"), 2, "--count 1000000000 makes a picture of"),
    "one long row": (("--count", "2000", "--columns", "2000"), 2, "65,000 on a side"),
    "a seed below 0": (("--seed", "-1"), 2, "'-1' for '--seed'"),
    "no column": (("--columns", "0"), 2, "'0' for '--columns'"),
    "another suffix": (("--output", "grid.jpg"), 2, "has to end in .png"),
    "no suffix": (("--output", "grid"), 2, "has to end in .png"),
    "no such folder": (("--output", "missing/grid.png"), 2, "there is no such folder"),
    "a folder": (("--output", "folder.png"), 2, "which is a folder"),
    "latents elsewhere": (("--latents", "latents.txt"), 2, "has to end in .npy"),
    "one file twice": (("--neighbours", "./grid.png"), 2, "the file of --output"),
    "nothing to compare with": (("--neighbours", "near.png"), 2, "--neighbours needs the training pictures"),
    "no training folder": (("--images", "missing"), 4, "missing does not exist"),
    "an empty training folder": (("--images", "folder.png"), 4, "holds no picture"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """One line with the value and one with a hint, and no file appears."""
    place = tmp_path / "place"
    (place / "folder.png").mkdir(parents=True)
    monkeypatch.chdir(place)
    options, code, expected = CASES[case]
    given = options if "--output" in options else ("--output", "grid.png", *options)
    refused(command("generate", "--model", "tiny", *given), code, expected)
    assert [path.name for path in place.iterdir()] == ["folder.png"]


def test_an_unknown_model(command: Command, tmp_path: Path) -> None:
    """A name that the store does not have ends with 6."""
    refused(command("generate", "--model", "nothing", "--output", tmp_path / "a.png"), 6, "nothing")


def remove(folder: Path) -> None:
    """Take the decoder away."""
    (folder / "decoder.onnx").unlink()


def change(folder: Path) -> None:
    """Change a byte of the decoder."""
    content = (folder / "decoder.onnx").read_bytes()
    (folder / "decoder.onnx").write_bytes(content[:-1] + b"!")


def swap(folder: Path) -> None:
    """Replace the decoder by a valid graph that is no decoder."""
    reseal(folder, (folder / "encoder.onnx").read_bytes())


def break_graph(folder: Path) -> None:
    """Replace the decoder by bytes that are no graph, with the right digest."""
    reseal(folder, b"not a graph")


def shrink(folder: Path) -> None:
    """Let the decoder make pictures of half the size."""
    graph = onnx.load(folder / "decoder.onnx")
    (scales,) = [tensor for tensor in graph.graph.initializer if tensor.name == "scales"]
    scales.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales"))
    stream = io.BytesIO()
    onnx.save(graph, stream)
    reseal(folder, stream.getvalue())


def reseal(folder: Path, decoder: bytes) -> None:
    """Replace the decoder, and list it in the manifest."""
    manifest = Bundle.open(folder).manifest
    (folder / "decoder.onnx").write_bytes(decoder)
    (folder / MANIFEST).unlink()
    seal(folder, manifest)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (remove, "decoder.onnx is missing"),
        (change, "decoder.onnx was changed"),
        (swap, "decoder.onnx cannot be run"),
        (break_graph, "decoder.onnx cannot be opened"),
        (shrink, "decoder.onnx makes uint8 of shape (32, 32, 3)"),
    ],
)
def test_a_decoder_that_cannot_be_trusted(
    command: Command, own: Path, tmp_path: Path, damage: Callable[[Path], None], expected: str
) -> None:
    """A decoder that is gone, changed, or makes no picture of the model ends with 5, and writes nothing."""
    damage(own)
    refused(command("generate", "--model", own, "--output", tmp_path / "a.png"), 5, expected)
    assert not (tmp_path / "a.png").exists()


def test_a_disk_that_cannot_be_written(command: Command, mount: Mount) -> None:
    """A read-only disk is refused in one line before the work."""
    place = mount("rw")
    mount("ro")
    refused(command("generate", "--model", "tiny", "--output", place / "a.png"), 6, "read-only")


def test_a_full_disk_leaves_what_was_there(command: Command, mount: Mount) -> None:
    """If one of two files has no space, neither is written, and older files stay."""
    place = mount("size=64k")
    (place / "latents.npy").write_bytes(b"older")
    options = ("--count", 60, "--latents", place / "latents.npy", "--output", place / "a.png")
    refused(command("generate", "--model", "tiny", *options), 6, "no space left")
    assert sorted(os.listdir(place)) == ["latents.npy"]  # noqa: PTH208 - hidden ones, too
    assert (place / "latents.npy").read_bytes() == b"older"
