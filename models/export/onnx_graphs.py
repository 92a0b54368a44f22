"""Exports the graphs of a model as ONNX files, and compares them with torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import (
    CommonSubexpressionEliminationPass,
    LiftConstantsToInitializersPass,
    RemoveUnusedNodesPass,
)
from onnxscript.optimizer import fold_constants
from torch import Tensor, nn

from inspector.bundle.atomic import write_bytes
from inspector.bundle.folder import DECODER, ENCODER
from inspector.bundle.records import Calibration, Column, ParitySummary
from inspector.errors import ParityError
from inspector.scoring import decision
from inspector.scoring.runtime import DetectorSession
from inspector.types import RawScores
from models.export.scoring_model import CalibrationFold, ScoringModel, batches

OPSET = 18
TOLERANCE = 1e-3  # fp32
LARGEST_CONSTANT = 1_000_000  # numbers; smaller constant expressions are computed once, at the export
TIDY = Sequential(
    CommonSubexpressionEliminationPass(), LiftConstantsToInitializersPass(), RemoveUnusedNodesPass()
)


def write_graphs(model: ScoringModel, folder: Path, size: int) -> None:
    """Export `encoder.onnx`, `decoder.onnx` and `detector.onnx`; only the batch is dynamic."""
    image = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with torch.no_grad():
        latent = model.encoder(image)
    _export(model.encoder, image, folder / ENCODER, "image", ["latent"])
    _export(model.decoder, latent, folder / DECODER, "latent", ["image"])
    outputs = ["statistics", "anomaly_map", "latent"]
    _export(model.detector, image, folder / "detector.onnx", "image", outputs)


def _export(module: nn.Module, example: Tensor, path: Path, name: str, outputs: list[str]) -> None:
    batch = torch.export.Dim("N", min=1)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            optimize=False,  # ONNX Runtime optimises the graph when it opens it
        )
        assert program is not None
        fold_constants(program.model, input_size_limit=LARGEST_CONSTANT, output_size_limit=LARGEST_CONSTANT)
        TIDY(program.model)
    write_bytes(path, program.model_proto.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the output of the exporter, and deprecation warnings of its dependencies, off the terminal."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def score_rows(session: DetectorSession, pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> RawScores:
    """Score pictures with an exported graph; the maps are reduced to their peaks, shape (n, 1, 1)."""
    found = []
    for batch in batches(pixels, rows):
        raw = session.run(batch.numpy())
        found.append(RawScores(raw.statistics, raw.anomaly_map.max((1, 2), keepdims=True), raw.latent))
    return RawScores(
        np.concatenate([raw.statistics for raw in found]),
        np.concatenate([raw.anomaly_map for raw in found]),
        np.concatenate([raw.latent for raw in found]),
    )


@contextlib.contextmanager
def graph_with(constants: Mapping[str, NDArray[np.float32]], path: Path) -> Iterator[Path]:
    """Write a copy of an exported graph with other constants, for as long as the context lasts."""
    model = onnx.load(path)
    del model.graph.value_info[:]  # shapes may differ
    found = {constant.name: constant for constant in model.graph.initializer}
    for name, value in constants.items():
        found[name].CopyFrom(numpy_helper.from_array(value, name))
    with TemporaryDirectory() as folder:
        target = Path(folder) / path.name
        onnx.save(model, target)
        yield target


def score_by_folds(
    path: Path,
    threads: int,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    folds: Sequence[CalibrationFold],
) -> RawScores:
    """Score pictures with an exported graph, each with the constants that were learned without its fold."""
    found = []
    for fold in folds:
        with graph_with(fold.constants, path) as graph:
            found.append(score_rows(DetectorSession(graph, threads), pixels, rows[fold.positions]))
    order = np.argsort(np.concatenate([fold.positions for fold in folds]))
    return RawScores(
        np.concatenate([raw.statistics for raw in found])[order],
        np.concatenate([raw.anomaly_map for raw in found])[order],
        np.concatenate([raw.latent for raw in found])[order],
    )


def check_parity(
    trained: NDArray[np.float32],
    exported: NDArray[np.float32],
    calibration: Calibration,
    columns: tuple[Column, ...],
) -> ParitySummary:
    """Compare the statistics (n, C) of torch and of the exported graph for the same pictures.

    A difference is relative to the larger of the value and the training pictures' spread of that
    statistic.  A verdict flips if it differs although both scores lie further than the tolerance from
    the threshold.

    Raises
    ------
    ParityError
        The largest relative difference exceeds 1e-3, or a verdict flips.
    """
    allowed = np.maximum(np.abs(trained), np.asarray(calibration.scale))
    difference = float((np.abs(trained - exported) / allowed).max())
    scores = np.stack([decision.score(s, columns, calibration) for s in (trained, exported)])
    margin = np.abs(scores - calibration.threshold)
    far = (margin > TOLERANCE * np.maximum(1.0, np.abs(scores))).all(0)
    flips = int((far & ((scores[0] > calibration.threshold) != (scores[1] > calibration.threshold))).sum())
    if not difference <= TOLERANCE or flips:
        raise ParityError(
            f"the exported graph differs from the trained networks by {difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed) and flips {flips} of {len(trained)} verdicts (none is allowed)",
            hint="nothing was stored; give pictures that differ more, or fit with another --seed",
        )
    return ParitySummary(
        images=len(trained),
        largest_relative_difference=difference,
        tolerance=TOLERANCE,
        verdict_flips=flips,
    )
