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
from inspector.records import Calibration, Column, ParitySummary
from models import landmarks
from models.graph import (
    COLUMNS,
    DecoderGraph,
    DetectorGraph,
    EncoderGraph,
    KernelDistance,
    Maps,
    MapStatistics,
    Normalise,
    RawMaps,
)
from models.light import refocused, relit
from models.networks import InspectionNetwork

OPSET = 18
LANDMARKS = (
    2048  # half as many at the coarse scale; codes of normal pictures that the kernel distance is taken to
)
UNIT_PICTURES = 500  # training pictures that landmarks and units are taken from
RELIT_PICTURES = 100  # of them, looked at again under other light
TOLERANCE = 1e-3  # fp32
SCORING_BATCH = 8


@dataclass(frozen=True)
class Graphs:
    """The modules that were exported, and what the units were measured on.

    Attributes
    ----------
    landmarks : float32 (m, d)
        Of the latent.
    rows : int (n,)
        The training pictures that landmarks and units come from.
    training : RawScores
        Of these pictures, none of them compared with its own landmarks: what they would be if the landmarks
        came from other pictures only, as they do for every picture that is scored later.
    relit_statistics : float32 (m, C), optional
        Of training pictures under other light: what moves a score without being a defect.
    """

    detector: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    landmarks: NDArray[np.float32]
    rows: NDArray[np.intp]
    training: RawScores
    relit_statistics: NDArray[np.float32] | None


@torch.no_grad()
def assemble(
    network: InspectionNetwork,
    target_mean: float,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    groups: NDArray[np.integer],
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
        The training pictures; 500 of them, evenly spread, are looked at.
    groups : int (N,)
        Pictures that share one are near-duplicates.
    seed : int
        Picks the landmarks.
    """
    network = network.to("cpu", memory_format=torch.contiguous_format).float().eval()  # type: ignore[call-overload]  # as torch documents it
    normalise = Normalise(target_mean)
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), UNIT_PICTURES)).astype(int)]
    whose = torch.from_numpy(np.asarray(groups[chosen], np.int64))
    found = _landmarks(network, (normalise(batch) for batch in _batches(pixels, chosen)), whose, seed)
    maps = Maps(network, *(KernelDistance(each.codes, each.reach) for each in found)).eval()

    def measure(batches: Iterator[Tensor], whose: Tensor) -> RawMaps:
        raw = []
        for own, batch in zip(torch.split(whose, SCORING_BATCH), batches, strict=True):
            fine, wide, coarse = (each.own(own) for each in found)
            raw.append(maps(normalise(batch), (fine, wide, coarse)))
        return RawMaps(*(torch.cat(parts) for parts in zip(*raw, strict=True)))

    measured = measure(_batches(pixels, chosen), whose)
    detector = DetectorGraph(normalise, maps, _units(measured)).eval()
    statistics, anomaly_map = detector.read(measured)
    some = np.linspace(0, len(chosen) - 1, min(len(chosen), RELIT_PICTURES)).astype(int)
    relit_maps = measure(_relit_batches(pixels, chosen[some], seed), whose[torch.from_numpy(some)])
    training = RawScores(statistics.numpy(), anomaly_map.numpy(), measured.z.mean((2, 3)).numpy())
    encoder = EncoderGraph(normalise, network).eval()
    decoder = DecoderGraph(network).eval()
    return Graphs(
        detector,
        encoder,
        decoder,
        found[2].codes.numpy(),
        chosen,
        training,
        detector.read(relit_maps)[0].numpy(),
    )


def _landmarks(
    network: InspectionNetwork, batches: Iterator[Tensor], whose: Tensor, seed: int
) -> list[landmarks.Landmarks]:
    """Choose landmarks of the fine codes, of those at half the size, and of the latent."""
    fine, wide, coarse = [], [], []
    for x in batches:
        codes = network.encoder(x)
        fine.append(codes.fine)
        wide.append(network.encoder.wide(x))
        coarse.append(codes.z)
    counts = (LANDMARKS, LANDMARKS // 2, LANDMARKS // 2)
    return [
        landmarks.choose(torch.cat(found), whose, count, seed)
        for found, count in zip((fine, wide, coarse), counts, strict=True)
    ]


def _batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    for start in range(0, len(rows), SCORING_BATCH):
        yield torch.from_numpy(np.array(pixels[rows[start : start + SCORING_BATCH]]))


def _relit_batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp], seed: int) -> Iterator[Tensor]:
    """Batches of the same pictures under other light."""
    rng = np.random.default_rng(seed)
    for batch in _batches(pixels, rows):
        lit = [refocused(rng, relit(rng, picture.numpy().astype(np.float32) / 255, 1.0)) for picture in batch]
        yield torch.from_numpy((np.clip(np.stack(lit), 0, 1) * 255).round().astype(np.uint8))


def _units(measured: RawMaps) -> MapStatistics:
    """Look at training pictures' maps: by position for the error, over all places for the others."""
    error = measured.error  # (n, 1, H/4, W/4): 8 MB for 500 pictures of 256 px
    smooth = nn.AvgPool2d(9, 1, 4, count_include_pad=False)
    spread = smooth(error.var(0, keepdim=True, unbiased=False)).sqrt()
    return MapStatistics(
        smooth(error.mean(0, keepdim=True)),
        spread + 0.5 * error.std() + 1e-6,
        _center_and_scale(measured.fine),
        _center_and_scale(measured.wide),
        _center_and_scale(measured.coarse),
        _center_and_scale(measured.logits),
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
    columns: tuple[Column, ...] = COLUMNS,
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
    return compare(trained, exported.statistics, calibration, columns)


def compare(
    trained: NDArray[np.float32],
    exported: NDArray[np.float32],
    calibration: Calibration,
    columns: tuple[Column, ...] = COLUMNS,
) -> ParitySummary:
    """Compare two sets of raw statistics (n, C); see `check_parity`."""
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
            hint="nothing was stored; update onnxruntime and torch, or fit with another --seed",
        )
    return ParitySummary(
        images=len(trained),
        largest_relative_difference=difference,
        tolerance=TOLERANCE,
        verdict_flips=flips,
    )
