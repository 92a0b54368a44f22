"""From trained networks to a model that scores: detectors, their units, and the scores of normal pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inspector.types import RawScores
from models.export.scoring_model import CalibrationFold, ScoringModel, batches
from models.inspection import components
from models.inspection.cross_fitting import Folds, head_of_folds, positions_of_folds
from models.inspection.detector import DecoderGraph, DetectorGraph, EncoderGraph, RawMaps
from models.inspection.features import features_of
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import Head, InspectionNetwork
from models.inspection.normal_model import without
from models.inspection.normals import Normals
from models.inspection.units import Units
from models.lighting import refocused, relit

RELIT_PICTURES = 100  # pictures that are scored under other light, too
Pixels = NDArray[np.uint8]
Rows = NDArray[np.intp]
Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def build(
    network: InspectionNetwork,
    heads: Sequence[Head],
    normals: Normals,
    pixels: Pixels,
    scored: Rows,
    single: Rows,
    heldout: Rows,
    seed: int,
    *,
    split: bool,
    progress: Callable[[int, int], None],
) -> ScoringModel:
    """Make the detector, and score normal pictures by detectors that were learned without them.

    Parameters
    ----------
    network : InspectionNetwork
        Trained, in evaluation mode.
    heads : sequence of Head
        Those of the folds, then the final one.
    normals : Normals
    pixels : uint8 (N, H, W, 3)
    scored : int (m,)
        Pictures of the folds, which are scored by cross-fitting.
    single : int (s,)
        One of them of each duplicate group: they set the thresholds.
    heldout : int (h,)
        Pictures that the auto-encoder did not learn from.
    seed : int
        Chooses the entries of the bank of latents, and the light.
    split : bool
        The held-out pictures were held out of everything, and the thresholds come from them alone.
    progress : callable
        Called as `progress(done, total)` while pictures are scored.
    """
    network = folded(network.to("cpu", memory_format=torch.contiguous_format).float())  # type: ignore[call-overload]  # as torch documents it
    raw_maps = _raw_maps(network, heads, normals, seed)
    folds, of_folds = normals.folds[scored], raw_maps[:-1]
    some = np.linspace(0, len(scored) - 1, min(len(scored), RELIT_PICTURES)).astype(int)
    tick = _ticks(len(scored) + len(some) + (len(heldout) if split else 0), progress)
    measured = _measure(of_folds, normals, pixels, scored, folds, tick)
    relit_pixels = _relit(pixels, scored[some], seed)
    disturbed = _measure(of_folds, normals, relit_pixels, np.arange(len(some)), folds[some], tick)
    detector = DetectorGraph(normals.normalise, raw_maps[-1], measure_units(measured.maps)).eval()
    training = measured.scores(detector)
    calibration_rows, calibration = single, training.of(np.isin(scored, single))
    unseen = np.flatnonzero(np.isin(single, heldout))
    calibration_folds = tuple(
        CalibrationFold(positions, _changed_constants(raw_maps[-1], raw_maps[fold]))
        for fold, positions in enumerate(positions_of_folds(normals.folds[single]))
        if len(positions)
    )
    if split:
        whole = np.full(len(heldout), len(of_folds))  # the position of the final detector
        calibration_rows, unseen = heldout, np.arange(len(heldout))
        calibration = _measure(raw_maps, normals, pixels, heldout, whole, tick).scores(detector)
        calibration_folds = (CalibrationFold(unseen, {}),)
    return ScoringModel(
        architecture="inspection",
        columns=components.columns(),
        weights=components.weights(),
        detector=detector,
        encoder=EncoderGraph(normals.normalise, network).eval(),
        decoder=DecoderGraph(network).eval(),
        parameters={
            "encoder": _parameters(network.encoder),
            "decoder": _parameters(network.decoder),
            "head": _parameters(heads[-1]),
        },
        memory_bank=_bank_of_latents(detector).coreset.vectors.numpy(),
        training_rows=scored,
        training=training,
        disturbed_statistics=disturbed.scores(detector).statistics,
        calibration_rows=calibration_rows,
        calibration_scores=calibration,
        calibration_folds=calibration_folds,
        heldout_positions=unseen,
        try_int8=True,
    )


def _parameters(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _raw_maps(
    network: InspectionNetwork, heads: Sequence[Head], normals: Normals, seed: int
) -> list[RawMaps]:
    """Return the maps of each fold's detector, then those of the final one."""
    latents = torch.cat([network.encoder.to_latent(some) for some in torch.split(normals.s16, 32)])
    folds = normals.folds[normals.rows]
    late = {each: each.learn(latents, folds, seed) for each in components.learned() if each.of_latents}
    apart = [{**early, **without(late, folds == fold)} for fold, early in enumerate(normals.apart)]
    finished = [folded(head) for head in heads]
    of_folds = [finished[head] for head in head_of_folds(np.arange(len(apart)))]
    return [
        RawMaps(network, head, models).eval()
        for head, models in zip([*of_folds, finished[-1]], [*apart, {**normals.models, **late}], strict=True)
    ]


def _bank_of_latents(detector: DetectorGraph) -> MemoryBank:
    bank = detector.raw_maps.normal_models[components.LATENT_BANK.name]
    assert isinstance(bank, MemoryBank)
    return bank


@dataclass(frozen=True)
class Measured:
    """Raw maps of n pictures, and their latents (n, d) averaged over patches."""

    maps: list[Tensor]
    latent: Tensor

    def scores(self, detector: DetectorGraph) -> RawScores:
        """Put the maps into units, and pool them."""
        statistics, anomaly_map = detector.read(self.maps)
        return RawScores(statistics.numpy(), anomaly_map.numpy(), self.latent.numpy())


def _measure(
    raw_maps: Sequence[RawMaps],
    normals: Normals,
    pixels: Pixels,
    rows: Rows,
    folds: Folds,
    tick: Callable[[int], None],
) -> Measured:
    """Compute the raw maps of pictures, each by the detector of its fold (n,)."""
    positions = positions_of_folds(folds)
    maps: list[list[Tensor]] = []
    latents: list[Tensor] = []
    for fold, some in enumerate(positions):
        for batch in batches(pixels, rows[some]):
            features = features_of(raw_maps[fold].network, normals.normalise(batch))
            maps.append(raw_maps[fold](features))
            latents.append(features.latent.mean((2, 3)))
            tick(len(batch))
    order = torch.from_numpy(np.argsort(np.concatenate(positions)))
    return Measured([torch.cat(parts)[order] for parts in zip(*maps, strict=True)], torch.cat(latents)[order])


def _ticks(total: int, progress: Callable[[int, int], None]) -> Callable[[int], None]:
    """Return a function that adds up how many pictures are done."""
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return tick


def _changed_constants(final: RawMaps, other: RawMaps) -> dict[str, NDArray[np.float32]]:
    """Return the constants of the exported detector that a fold's normal models and head would change."""
    before = _constants(final)
    return {
        f"raw_maps.{name}": value.numpy()
        for name, value in _constants(other).items()
        if value is not before[name]
    }


def _constants(maps: RawMaps) -> dict[str, Tensor]:
    return {**dict(maps.named_buffers()), **dict(maps.named_parameters())}


def measure_units(raw: Sequence[Tensor]) -> list[Units]:
    """Measure the units of each raw map."""
    kinds = [each.units for each in components.maps() for _ in each.computed]
    return [units(maps) for units, maps in zip(kinds, raw, strict=True)]


def folded(network: Network) -> Network:
    """Copy a trained network with each batch norm put into the convolution before it.

    ONNX Runtime does the same for convolutions of 32 bits, but not of 8 bits.
    """
    network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(list(block))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    block[i], block[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network


def _relit(pixels: Pixels, rows: Rows, seed: int) -> Pixels:
    """Return pictures under other light."""
    rng = np.random.default_rng(seed)
    lit = [refocused(rng, relit(rng, pixels[row].astype(np.float32) / 255, 1.0)) for row in rows]
    return np.asarray((np.clip(np.stack(lit), 0, 1) * 255).round(), np.uint8)
