"""Trained networks become three ONNX graphs, which are re-opened and compared with torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inspector import decision
from inspector.detector import Graph, RawScores
from inspector.errors import ParityError
from inspector.records import Calibration, ParitySummary
from models.graph import (
    COLUMNS,
    DecoderGraph,
    DetectorGraph,
    EncoderGraph,
    KernelDistance,
    Maps,
    MapStatistics,
    Normalise,
)
from models.networks import InspectionNetwork

OPSET = 18
LANDMARKS = 512  # codes of normal pictures that the kernel distance is taken to
UNIT_PICTURES = 400  # training pictures that landmarks and units are taken from
TOLERANCE = 1e-3  # fp32
SCORING_BATCH = 8


@dataclass(frozen=True)
class Graphs:
    """The modules that were exported, and the landmarks inside."""

    detector: DetectorGraph
    encoder: EncoderGraph
    decoder: DecoderGraph
    landmarks: NDArray[np.float32]


@torch.no_grad()
def assemble(
    network: InspectionNetwork,
    target_mean: float,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    seed: int,
) -> Graphs:
    """Put networks, landmarks and units together.

    Parameters
    ----------
    network : InspectionNetwork
        Trained, in evaluation mode.
    target_mean : float
        Brightness that pictures are brought to, 0 to 1.
    pixels : uint8 (N, H, W, 3)
    rows : int (n,)
        The training pictures; 400 of them, evenly spread, are looked at.
    seed : int
        Picks the landmarks.
    """
    network = network.to("cpu", memory_format=torch.contiguous_format).float().eval()  # type: ignore[call-overload]  # as torch documents it
    normalise = Normalise(target_mean)
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), UNIT_PICTURES)).astype(int)]
    encoder = EncoderGraph(normalise, network)
    codes = torch.cat(
        [encoder(batch).permute(0, 2, 3, 1).flatten(0, 2) for batch in _batches(pixels, chosen)]
    )
    pick = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))[:LANDMARKS]
    landmarks = codes[pick]
    maps = Maps(network, KernelDistance(landmarks)).eval()
    units = _measure(maps, normalise, pixels, chosen)
    detector = DetectorGraph(normalise, maps, units).eval()
    return Graphs(detector, encoder.eval(), DecoderGraph(network).eval(), landmarks.numpy())


def _batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    for start in range(0, len(rows), SCORING_BATCH):
        yield torch.from_numpy(np.array(pixels[rows[start : start + SCORING_BATCH]]))


def _measure(
    maps: Maps, normalise: Normalise, pixels: NDArray[np.uint8], rows: NDArray[np.intp]
) -> MapStatistics:
    """Look at training pictures' maps: by position for the error, over all places for the others."""
    errors, latents, heads = [], [], []
    for batch in _batches(pixels, rows):
        error, latent, logits, _ = maps(normalise(batch))
        errors.append(error)
        latents.append(latent.flatten())
        heads.append(logits.flatten())
    error = torch.cat(errors)  # (n, 1, H/4, W/4): 6.5 MB for 400 pictures of 256 px
    smooth = nn.AvgPool2d(9, 1, 4, count_include_pad=False)
    spread = smooth(error.var(0, keepdim=True, unbiased=False)).sqrt()
    center, scale = zip(*(_center_and_scale(torch.cat(values)) for values in (latents, heads)), strict=True)
    return MapStatistics(
        smooth(error.mean(0, keepdim=True)),
        spread + 0.5 * error.std() + 1e-6,
        center[0],
        scale[0],
        center[1],
        scale[1],
    )


def _center_and_scale(values: Tensor) -> tuple[float, float]:
    """Median, and the way from it to the 99th percentile."""
    middle, high = np.quantile(values.numpy(), [0.5, 0.99])
    return float(middle), float(max(high - middle, 1e-6))


def write_graphs(graphs: Graphs, folder: Path, size: int) -> None:
    """Export `encoder.onnx`, `decoder.onnx` and `detector.onnx`; only the batch is dynamic."""
    image = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    with torch.no_grad():
        latent = graphs.encoder(image)
    _export(graphs.encoder, image, folder / "encoder.onnx", "image", ["latent"])
    _export(graphs.decoder, latent, folder / "decoder.onnx", "latent", ["image"])
    outputs = ["statistics", "anomaly_map", "latent"]
    _export(graphs.detector, image, folder / "detector.onnx", "image", outputs)


def _export(module: nn.Module, example: Tensor, path: Path, name: str, outputs: list[str]) -> None:
    batch = torch.export.Dim("N", min=1)
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            module,
            (example,),
            path,
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's talk, and its dependencies' deprecations, off the terminal."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def score_rows(graph: Graph, pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> RawScores:
    """Score pictures with the exported graph; the maps are reduced to their peaks, shape (n, 1, 1)."""
    found = []
    for start in range(0, len(rows), SCORING_BATCH):
        raw = graph.run(np.array(pixels[rows[start : start + SCORING_BATCH]]))
        found.append(RawScores(raw.statistics, raw.anomaly_map.max((1, 2), keepdims=True), raw.latent))
    return RawScores(
        np.concatenate([raw.statistics for raw in found]),
        np.concatenate([raw.anomaly_map for raw in found]),
        np.concatenate([raw.latent for raw in found]),
    )


@torch.no_grad()
def check_parity(
    graphs: Graphs,
    exported: RawScores,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    calibration: Calibration,
) -> ParitySummary:
    """Compare torch with the exported graph on held-out pictures.

    A difference is relative to the larger of the value and the training pictures' spread of that
    statistic.  A flip is another verdict although both scores lie further than the tolerance from
    the threshold.

    Raises
    ------
    ParityError
        The largest relative difference exceeds 1e-3, or a verdict flips.
    """
    trained = np.concatenate([graphs.detector(batch)[0].numpy() for batch in _batches(pixels, rows)])
    return compare(trained, exported.statistics, calibration)


def compare(
    trained: NDArray[np.float32], exported: NDArray[np.float32], calibration: Calibration
) -> ParitySummary:
    """Compare two sets of raw statistics (n, C); see `check_parity`."""
    allowed = np.maximum(np.abs(trained), np.asarray(calibration.scale))
    difference = float((np.abs(trained - exported) / allowed).max())
    scores = np.stack([decision.score(s, COLUMNS, calibration) for s in (trained, exported)])
    margin = np.abs(scores - calibration.threshold)
    far = (margin > TOLERANCE * np.maximum(1.0, np.abs(scores))).all(0)
    flips = int((far & ((scores[0] > calibration.threshold) != (scores[1] > calibration.threshold))).sum())
    if not difference <= TOLERANCE or flips:
        raise ParityError(
            f"the exported graph differs from the trained networks by {difference:.2g} (at most "
            f"{TOLERANCE:g} is allowed) and flips {flips} of {len(trained)} verdicts (none is allowed)",
            hint="nothing was stored; update onnxruntime and torch, or fit with another --seed",
        )
    return ParitySummary(
        images=len(trained),
        largest_relative_difference=difference,
        tolerance=TOLERANCE,
        verdict_flips=flips,
    )
