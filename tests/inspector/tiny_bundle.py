"""A real but tiny model: it scores how much darker or brighter than grey a picture is.

Its graphs are ONNX with the inputs and outputs of every bundle, so tests run the real scoring path in
milliseconds and without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from inspector.bundle.folder import INT8_GOLDEN, INT8_GRAPH, Bundle, Fill, write_bundle
from inspector.bundle.golden import INT8_TOLERANCE, write_golden
from inspector.bundle.records import (
    SCHEMA_VERSION,
    Calibration,
    Column,
    ImageContract,
    Int8Summary,
    Manifest,
    ParitySummary,
    TrainingSummary,
)
from inspector.bundle.reference import (
    HELDOUT_LATENTS,
    MEMORY_BANK_DIGESTS,
    TRAINING_DIGESTS,
    write_reference,
)
from inspector.imaging.encode import encode_png
from inspector.scoring.runtime import DetectorSession
from inspector.types import Pixels

COMPONENTS = {"reconstruction": 1.0, "latent_mmd": 0.8, "head": 0.6}
SHARES = (0.0007, 0.005, 0.03, 0.15)
SIDE = 64
TWELVE_BITS = ImageContract(height=SIDE, width=SIDE, full_scale=4095, bits=(16,))
CELL = 8
THRESHOLD = 20.0
MAP_LIMIT = 0.2


def good_picture(seed: int = 0, height: int = SIDE, width: int = SIDE) -> Pixels:
    """Grey with a little noise; the tiny model passes it."""
    noise = np.random.default_rng(seed).integers(-8, 9, (height, width, 3))
    return (128 + noise).astype(np.uint8)


def bad_picture(seed: int = 0, height: int = SIDE, width: int = SIDE) -> Pixels:
    """Grey with a black square in the upper left quarter; the tiny model fails it."""
    picture = good_picture(seed, height, width)
    picture[height // 8 : height // 3, width // 8 : width // 3] = 0
    return picture


def write_picture(path: Path, pixels: Pixels) -> Path:
    """Write a PNG, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
    return path


def tiny_bundle(path: Path, *, threshold: float = THRESHOLD, review_threshold: float | None = None) -> Bundle:
    """Write a tiny model at `path`."""
    return write_bundle(path, tiny_fill(threshold=threshold, review_threshold=review_threshold))


def tiny_fill(
    *,
    threshold: float = THRESHOLD,
    review_threshold: float | None = None,
    spread: float = 1.0,
    training_digests: Sequence[int] | None = None,
    memory_bank_digests: Sequence[int] | None = None,
    folder: Path | None = None,
    int8: bool = False,
    contract: ImageContract | None = None,
    map_limit: float = MAP_LIMIT,
) -> Fill:
    """Return a fill for `write_bundle` and `Store.publish`; another threshold or spread gives another model.

    `folder` is the folder of the training pictures in the manifest.  With `int8` the bundle also ships a
    graph that rounds to 8 bits.  `contract` replaces the preparation of pictures.
    """
    trained_in = folder

    def fill(folder: Path) -> Manifest:
        onnx.save(_detector(), folder / "detector.onnx")
        onnx.save(_encoder(), folder / "encoder.onnx")
        onnx.save(_decoder(), folder / "decoder.onnx")
        graph = DetectorSession(folder / "detector.onnx", threads=1)
        heldout = np.stack([good_picture(seed) for seed in range(19)])
        raw = graph.run(heldout)
        arrays: dict[str, Any] = {HELDOUT_LATENTS: raw.latent}
        if training_digests is not None:
            arrays[TRAINING_DIGESTS] = np.array(training_digests, np.uint64)
        if memory_bank_digests is not None:
            arrays[MEMORY_BANK_DIGESTS] = np.array(memory_bank_digests, np.uint64)
        write_reference(folder, arrays)
        write_golden(folder, heldout[:3], graph.run(heldout[:3]))
        (folder / "report.html").write_text("<!doctype html><title>tiny</title>", encoding="utf-8")
        numbers = tiny_calibration(raw.statistics, threshold, review_threshold, spread, map_limit)
        (folder / "calibration.json").write_text(numbers.model_dump_json(), encoding="utf-8")
        manifest = tiny_manifest(folder=trained_in)
        if contract is not None:
            manifest = manifest.model_copy(update={"image": contract})
        if not int8:
            return manifest
        onnx.save(_detector(rounded=True), folder / INT8_GRAPH)
        rounded = DetectorSession(folder / INT8_GRAPH, threads=1).run(heldout[:3])
        write_golden(folder, heldout[:3], rounded, INT8_TOLERANCE, INT8_GOLDEN)
        summary = Int8Summary(shipped=True, reduced_range=False, convolutions=1, tolerance=0.1, speedup=1.5)
        return manifest.model_copy(update={"int8": summary})

    return fill


def vector_fill(pictures: Pixels, *, softness: float, **options: Any) -> Fill:
    """Return a fill for a tiny model with a vector latent, one number for each picture uint8 (d, H, W, 3).

    The latent of a picture is 3 at its own number and 0 at the others.  The decoder returns the mean of the
    pictures, weighted by the softmax of the latent divided by `softness`: a small one gives single pictures,
    a large one blurs them.  The options are those of `tiny_fill`.
    """

    def fill(folder: Path) -> Manifest:
        manifest = tiny_fill(**options)(folder)
        onnx.save(_vector_encoder(pictures), folder / "encoder.onnx")
        onnx.save(_vector_decoder(pictures, softness), folder / "decoder.onnx")
        return manifest

    return fill


def tiny_columns() -> tuple[Column, ...]:
    """Twelve columns: three components, four shares each."""
    return tuple(Column(component=name, share=share) for name in COMPONENTS for share in SHARES)


def tiny_calibration(
    statistics: NDArray[np.float32],
    threshold: float = THRESHOLD,
    review_threshold: float | None = None,
    spread: float = 1.0,
    map_limit: float = MAP_LIMIT,
) -> Calibration:
    """Return a calibration from the statistics of good pictures; scores are divided by `spread`."""
    center, scale = statistics.mean(axis=0), (statistics.std(axis=0) + 1e-3) * spread
    scores = ((statistics - center) / scale).max(axis=1)
    return Calibration(
        center=tuple(map(float, center)),
        scale=tuple(map(float, scale)),
        fused=("latent_mmd", "head"),
        threshold=threshold,
        review_threshold=review_threshold,
        map_limit=map_limit,
        map_ceiling=2.5 * map_limit,
        asked_false_reject_rate=0.05,
        promised_false_reject_rate=0.05,
        promise_kept=True,
        images_missing=0,
        heldout_scores=tuple(sorted(map(float, scores))),
        source="19 grey pictures",
        created="2026-01-01T00:00:00+00:00",
    )


def tiny_manifest(name: str = "tiny", folder: Path | None = None) -> Manifest:
    """Return a manifest without files."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=1,
        created="2026-01-01T00:00:00+00:00",
        inspector_version="0.0.0",
        image=ImageContract(height=SIDE, width=SIDE),
        architecture="tiny",
        columns=tiny_columns(),
        latent_dim=3,
        training=TrainingSummary(
            preset="quick",
            options={},
            steps=0,
            seconds=0.0,
            seed=0,
            threads=1,
            device="cpu",
            images=19,
            heldout_images=19,
            skipped_images=0,
            dataset_digest="0" * 64,
            parameters={},
            losses={},
            packages={},
            folder=None if folder is None else str(folder),
        ),
        parity=ParitySummary(images=19, largest_relative_difference=0.0, tolerance=1e-3, verdict_flips=0),
        files={},
    )


# --- the graphs -----------------------------------------------------------------------------


def _detector(*, rounded: bool = False) -> onnx.ModelProto:
    """Return a graph whose map is the distance of each 8 x 8 cell from grey, with twelve statistics."""
    grey = [
        helper.make_node("QuantizeLinear", ["exact", "step", "zero"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "step", "zero"], ["grey"]),
    ]
    weights = np.array([[w] * len(SHARES) for w in COMPONENTS.values()], np.float32).reshape(1, -1)
    nodes = [
        *_to_cells(),
        helper.make_node("ReduceMean", ["cells"], ["exact" if rounded else "grey"], axes=[1], keepdims=0),
        *(grey if rounded else ()),
        helper.make_node("Sub", ["grey", "half"], ["signed"]),
        helper.make_node("Abs", ["signed"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map"], ["peak"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["peak", "one"], ["column"]),
        helper.make_node("Mul", ["column", "weights"], ["statistics"]),
        helper.make_node("ReduceMean", ["cells"], ["latent"], axes=[2, 3], keepdims=0),
    ]
    outputs: dict[str, list[str | int | None]] = {
        "statistics": ["N", weights.size],
        "anomaly_map": ["N", None, None],
        "latent": ["N", 3],
    }
    constants: dict[str, ArrayLike] = {
        "half": np.float32(128 / 255),
        "one": np.array([1]),
        "weights": weights,
    }
    if rounded:
        constants |= {"step": np.float32(1 / 255), "zero": np.uint8(0)}
    return _model(nodes, _image(), outputs, constants)


def _encoder() -> onnx.ModelProto:
    nodes = [*_to_cells(), helper.make_node("Identity", ["cells"], ["latent"])]
    return _model(nodes, _image(), {"latent": ["N", 3, None, None]}, {})


def _decoder() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Resize", ["latent", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Clip", ["large", "black", "white"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "full"], ["bright"]),
        helper.make_node("Transpose", ["bright"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["last"], ["reconstruction"], to=TensorProto.UINT8),
    ]
    latent = helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["N", 3, None, None])
    constants: dict[str, ArrayLike] = {
        "scales": np.array([1, 1, CELL, CELL], np.float32),
        "full": np.float32(255),
        "black": np.float32(0),
        "white": np.float32(1),
    }
    return _model(nodes, latent, {"reconstruction": ["N", None, None, 3]}, constants, TensorProto.UINT8)


def _vector_encoder(pictures: Pixels) -> onnx.ModelProto:
    """Return an encoder that maps each picture to 3 at its number, by the pseudo-inverse of all pictures."""
    weights = 3 * np.linalg.pinv(_as_rows(pictures).astype(np.float64))  # (H·W·3, d)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["latent"]),
    ]
    return _model(nodes, _image(), {"latent": ["N", len(pictures)]}, {"weights": weights.astype(np.float32)})


def _vector_decoder(pictures: Pixels, softness: float) -> onnx.ModelProto:
    height, width = pictures.shape[1:3]
    nodes = [
        helper.make_node("Div", ["latent", "softness"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["shares"], axis=1),
        helper.make_node("MatMul", ["shares", "pictures"], ["row"]),
        helper.make_node("Round", ["row"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Reshape", ["bytes", "shape"], ["image"]),
    ]
    latent = helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["N", len(pictures)])
    constants: dict[str, ArrayLike] = {
        "softness": np.float32(softness),
        "pictures": _as_rows(pictures),
        "shape": np.array([-1, height, width, 3]),
    }
    return _model(nodes, latent, {"image": ["N", height, width, 3]}, constants, TensorProto.UINT8)


def _as_rows(pictures: Pixels) -> NDArray[np.float32]:
    return pictures.reshape(len(pictures), -1).astype(np.float32)


def _to_cells() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "unit"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["first"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]
        ),
    ]


def _image() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])


def _model(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    outputs: Mapping[str, Sequence[str | int | None]],
    constants: Mapping[str, ArrayLike],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [given],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in {"unit": np.float32(1 / 255), **constants}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
