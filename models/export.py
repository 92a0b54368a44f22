"""Trained networks become three ONNX graphs, which are re-opened and compared with torch."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnxscript.optimizer import fold_constants
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inspector import decision
from inspector.detector import Graph, RawScores
from inspector.errors import ParityError
from inspector.records import Calibration, Column, ParitySummary
from inspector.storage import write_bytes
from models import landmarks
from models.graph import (
    COLUMNS,
    DecoderGraph,
    DetectorGraph,
    EncoderGraph,
    Maps,
    MapStatistics,
    Normalise,
    RawMaps,
)
from models.heldout import NO_PART, Parts, divide, graph_without, left_out
from models.landmarks import KernelDistance
from models.light import refocused, relit
from models.networks import InspectionNetwork

OPSET = 18
LANDMARKS = (3072, 3072, 1024)  # of the fine codes, of those at half the size, of the latent
LOOKED_AT = 500  # pictures that landmarks and units are taken from
RELIT_PICTURES = 100  # of them, looked at again under other light
TOLERANCE = 1e-3  # fp32
LARGEST_CONSTANT = 1_000_000  # numbers, that are computed once at the export instead of for each picture
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
        Of these pictures, none of them compared with landmarks of its own: as pictures that are scored later.
    disturbed_statistics : float32 (m, C), optional
        Of the same without landmarks of their look-alikes, and of some under other light: what moves a score
        without being a defect.
    parts : Parts, optional
        Where landmarks come from held-out pictures too.
    """

    detector: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    landmarks: NDArray[np.float32]
    rows: NDArray[np.intp]
    training: RawScores
    disturbed_statistics: NDArray[np.float32] | None
    parts: Parts | None = None


@torch.no_grad()
def assemble(
    network: InspectionNetwork,
    target_mean: float,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    groups: NDArray[np.integer],
    seed: int,
    heldout: NDArray[np.intp],
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
        The training pictures.
    groups : int (N,)
        Pictures that share one are near-duplicates.
    seed : int
        Picks the landmarks.
    heldout : int (h,)
        The held-out pictures, of which only landmarks are taken; 500 of both, evenly spread, are looked at.
    """
    network = folded(network.to("cpu", memory_format=torch.contiguous_format).float())  # type: ignore[call-overload]  # as torch documents it
    normalise = Normalise(target_mean)
    owners = _owners(groups, rows, heldout)
    everything = np.sort(np.concatenate([rows, heldout]))
    known = everything[np.linspace(0, len(everything) - 1, min(len(everything), LOOKED_AT)).astype(int)]
    found = _landmarks(
        network, (normalise(batch) for batch in _batches(pixels, known)), _tensor(owners[known]), seed
    )
    maps = Maps(network, *(KernelDistance(each.codes, each.reach) for each in found)).eval()

    chosen = known[np.isin(known, rows)]
    here, whose = _tensor(np.searchsorted(known, chosen)), _tensor(owners[chosen])
    of_groups = [each.of_groups(whose) for each in found]
    alone, apart = _measured(
        maps,
        (normalise(batch) for batch in _batches(pixels, chosen)),
        [[each.of_pictures(here) for each in found], of_groups],
    )
    detector = DetectorGraph(normalise, maps, _units(apart)).eval()
    some = np.linspace(0, len(chosen) - 1, min(len(chosen), RELIT_PICTURES)).astype(int)
    (lit,) = _measured(
        maps,
        (normalise(batch) for batch in _relit_batches(pixels, chosen[some], seed)),
        [[own[torch.from_numpy(some)] for own in of_groups]],
    )
    statistics, anomaly_map = detector.read(alone)
    return Graphs(
        detector,
        EncoderGraph(normalise, network).eval(),
        DecoderGraph(network).eval(),
        found[2].codes.numpy(),
        chosen,
        RawScores(statistics.numpy(), anomaly_map.numpy(), alone.z.mean((2, 3)).numpy()),
        np.concatenate([detector.read(raw)[0].numpy() for raw in (apart, lit)]),
        _parts(owners[heldout], found),
    )


def _measured(maps: Maps, batches: Iterator[Tensor], owned: list[list[Tensor]]) -> list[RawMaps]:
    """Maps of pictures, once for each choice of landmarks (n, m) that do not count for them."""
    found: list[list[RawMaps]] = []
    start = 0
    for batch in batches:
        few = slice(start, start := start + len(batch))
        found.append(maps.compare(batch, [tuple(own[few] for own in choice) for choice in owned]))
    return [
        RawMaps(*(torch.cat(parts) for parts in zip(*raw, strict=True))) for raw in zip(*found, strict=True)
    ]


def _owners(
    groups: NDArray[np.integer], rows: NDArray[np.intp], heldout: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Whose codes each picture's are, (N,): those of its look-alikes, or its own where all look alike."""
    both = set(groups[rows].tolist()) & set(groups[heldout].tolist())
    owners = np.asarray(groups, np.int64).copy()
    alone = np.isin(groups, list(both))
    owners[alone] = owners.max() + 1 + np.arange(alone.sum())
    return owners


def _parts(owners: NDArray[np.int64], found: list[landmarks.Landmarks]) -> Parts | None:
    """Divide held-out pictures with these owners, and tell which landmarks are theirs."""
    if not len(owners):
        return None
    pictures = divide(owners)
    part = dict(zip(owners.tolist(), pictures.tolist(), strict=True))
    return Parts(
        pictures,
        tuple(np.array([part.get(owner, NO_PART) for owner in each.owners.tolist()]) for each in found),
    )


def _tensor(owners: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(owners)


def folded(network: InspectionNetwork) -> InspectionNetwork:
    """Copy a trained network with each batch norm put into the convolution before it.

    ONNX Runtime does the same for 32 bits, but not around a convolution with 8.
    """
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(list(block))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    block[i], block[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network


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
    return [
        landmarks.choose(torch.cat(found), whose, count, seed)
        for found, count in zip((fine, wide, coarse), LANDMARKS, strict=True)
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
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        fold_constants(program.model, input_size_limit=LARGEST_CONSTANT, output_size_limit=LARGEST_CONSTANT)
    write_bytes(path, program.model_proto.SerializeToString())  # whole, or an error


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


def score_heldout(
    path: Path, threads: int, pixels: NDArray[np.uint8], rows: NDArray[np.intp], parts: Parts | None
) -> RawScores:
    """Score held-out pictures with the exported graph, none of them by landmarks of its own part."""
    if parts is None:
        return score_rows(Graph(path, threads), pixels, rows)
    found = []
    for part, positions in parts.each():
        with graph_without(path, parts, part) as graph:
            found.append(score_rows(Graph(graph, threads), pixels, rows[positions]))
    order = np.argsort(np.concatenate([positions for _, positions in parts.each()]))
    return RawScores(
        np.concatenate([raw.statistics for raw in found])[order],
        np.concatenate([raw.anomaly_map for raw in found])[order],
        np.concatenate([raw.latent for raw in found])[order],
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
    """Compare torch with the exported graph on held-out pictures, as `score_heldout` scored them.

    A difference is relative to the larger of the value and the training pictures' spread of that
    statistic.  A flip is another verdict although both scores lie further than the tolerance from
    the threshold.

    Raises
    ------
    ParityError
        The largest relative difference exceeds 1e-3, or a verdict flips.
    """
    if graphs.parts is None:
        trained = _by_torch(graphs, pixels, rows)
    else:
        trained = np.empty_like(exported.statistics)
        for part, positions in graphs.parts.each():
            with left_out(graphs.detector.maps, graphs.parts, part):  # type: ignore[arg-type]  # a graph with parts has maps
                trained[positions] = _by_torch(graphs, pixels, rows[positions])
    return compare(trained, exported.statistics, calibration, columns)


def _by_torch(graphs: Graphs, pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    return np.concatenate([graphs.detector(batch)[0].numpy() for batch in _batches(pixels, rows)])


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
