"""From a trained network to a model that scores: normal models, units, and the scores of normal pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inspector.types import RawScores
from models.export.scoring_model import LEARNED_FROM, HeldoutFold, ScoringModel, batches
from models.inspection import components
from models.inspection.cross_fitting import (
    CrossFitting,
    Output,
    folds_like,
    folds_of_groups,
    heldout_folds,
)
from models.inspection.detector import DecoderGraph, DetectorGraph, EncoderGraph, Normalise, RawMaps
from models.inspection.features import features_of
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import InspectionNetwork
from models.inspection.normal_model import Learned, NormalModel
from models.inspection.units import Units
from models.lighting import refocused, relit
from models.split import cross_fitting_groups

RELIT_PICTURES = 100  # training pictures that are scored under other light, too


@torch.no_grad()
def build(
    network: InspectionNetwork,
    target_mean: float,
    pixels: NDArray[np.uint8],
    training: NDArray[np.intp],
    heldout: NDArray[np.intp],
    groups: NDArray[np.integer],
    seed: int,
) -> ScoringModel:
    """Learn the normal models and units, and score the normal pictures by cross-fitting.

    The normal models learn from at most 500 pictures, evenly spread over training and held-out pictures.
    Three kinds of scores are returned:

    - `training`: training pictures, each without itself;
    - `disturbed_statistics`: training pictures, each without its duplicate group, and some of them also under
      other light.  They show how far a score moves without a defect;
    - `heldout`: held-out pictures, each without its fold.

    Parameters
    ----------
    network : InspectionNetwork
        Trained, in evaluation mode.
    target_mean : float
        Brightness that pictures are brought to, 0 to 1.
    pixels : uint8 (N, H, W, 3)
    training, heldout : int (n,)
        Rows of `pixels`.
    groups : int (N,)
        Near-duplicates have the same number.
    seed : int
        Chooses the entries of memory banks, the folds, and the light.
    """
    network = folded(network.to("cpu", memory_format=torch.contiguous_format).float())  # type: ignore[call-overload]  # as torch documents it
    normalise = Normalise(target_mean)
    groups = cross_fitting_groups(groups, training, heldout)
    everything = np.sort(np.concatenate([training, heldout]))
    known = everything[np.linspace(0, len(everything) - 1, min(len(everything), LEARNED_FROM)).astype(int)]
    models = learn(network, map(normalise, batches(pixels, known)), groups[known], seed)
    raw_maps = RawMaps(network, models).eval()

    # Training pictures: each without itself, and each without its group, also under other light.
    here = np.flatnonzero(np.isin(known, training))
    some = here[np.linspace(0, len(here) - 1, min(len(here), RELIT_PICTURES)).astype(int)]
    without_self = CrossFitting(models, _folds(models, np.arange(len(known)), seed))
    without_group = CrossFitting(models, _folds(models, groups[known], seed))
    alone, apart = measure(
        raw_maps,
        map(normalise, batches(pixels, known[here])),
        [without_self.scores_known(here), without_group.scores_known(here)],
    )
    (relit_apart,) = measure(
        raw_maps,
        map(normalise, _relit_batches(pixels, known[some], seed)),
        [without_group.scores_known(some)],
    )
    detector = DetectorGraph(normalise, raw_maps, measure_units(apart.maps)).eval()

    # Held-out pictures: each without its fold.
    folds = heldout_folds(groups[heldout])
    known_folds = folds_like(groups[known], groups[heldout], folds)
    without_fold = CrossFitting(models, dict.fromkeys(models, known_folds))
    (unseen,) = measure(
        raw_maps,
        map(normalise, batches(pixels, heldout)),
        [without_fold.scores(dict.fromkeys(models, folds))],
    )
    return ScoringModel(
        architecture="inspection",
        columns=components.columns(),
        weights=components.weights(),
        detector=detector,
        encoder=EncoderGraph(normalise, network).eval(),
        decoder=DecoderGraph(network).eval(),
        parameters={part: _parameters(getattr(network, part)) for part in ("encoder", "decoder", "head")},
        memory_bank=_latents(models),
        memory_bank_has_heldout=True,
        training_rows=known[here],
        training=alone.scores(detector),
        disturbed_statistics=np.concatenate(
            [each.scores(detector).statistics for each in (apart, relit_apart)]
        ),
        heldout=unseen.scores(detector),
        heldout_folds=tuple(
            HeldoutFold(
                np.flatnonzero(folds == fold), changed_constants(raw_maps, without_fold.without(fold))
            )
            for fold in np.unique(folds).tolist()
        ),
        try_int8=True,
    )


def _folds(
    models: Iterable[Learned], groups: NDArray[np.integer], seed: int
) -> dict[Learned, NDArray[np.integer]]:
    """Divide pictures with these group numbers into the folds of each model."""
    return {each: folds_of_groups(groups, each.folds, seed) for each in models}


def _parameters(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _latents(models: Mapping[Learned, NormalModel]) -> NDArray[np.float32]:
    """Return the latents in the memory bank, (m, d)."""
    bank = models[components.LATENT_BANK]
    assert isinstance(bank, MemoryBank)
    return bank.coreset.vectors.numpy()


def learn(
    network: InspectionNetwork, normalised: Iterator[Tensor], groups: NDArray[np.integer], seed: int
) -> dict[Learned, NormalModel]:
    """Learn every normal model from batches of normal pictures with group numbers (n,)."""
    learned = components.learned()
    fields = sorted({name for each in learned for name in each.inputs})
    seen: dict[str, list[Tensor]] = {name: [] for name in fields}
    for x in normalised:
        features = features_of(network, x)
        for name in fields:
            seen[name].append(getattr(features, name))
    inputs = {name: torch.cat(parts) for name, parts in seen.items()}
    return {each: each.learn(*(inputs[name] for name in each.inputs), groups, seed) for each in learned}


@dataclass(frozen=True)
class Measured:
    """Raw maps of pictures, and their latents (n, d, h, w) averaged over patches."""

    maps: list[Tensor]
    latent: Tensor

    def scores(self, detector: DetectorGraph) -> RawScores:
        """Put the maps into units and pool them."""
        statistics, anomaly_map = detector.read(self.maps)
        return RawScores(statistics.numpy(), anomaly_map.numpy(), self.latent.numpy())


def measure(raw_maps: RawMaps, normalised: Iterator[Tensor], ways: Sequence[Output]) -> list[Measured]:
    """Compute the raw maps of pictures, once for each way to compute the maps of the normal models."""
    found: list[list[list[Tensor]]] = [[] for _ in ways]
    latents: list[Tensor] = []
    start = 0
    for x in normalised:
        features, here = features_of(raw_maps.network, x), slice(start, start + len(x))
        for of_way, output in zip(found, ways, strict=True):
            of_way.append(raw_maps(features, partial(output, features, here)))
        latents.append(features.latent.mean((2, 3)))
        start += len(x)
    latent = torch.cat(latents)
    return [Measured([torch.cat(parts) for parts in zip(*of_way, strict=True)], latent) for of_way in found]


def changed_constants(
    raw_maps: RawMaps, models: Mapping[Learned, NormalModel]
) -> dict[str, NDArray[np.float32]]:
    """Return the constants of the detector that other normal models would change, by name."""
    before = dict(raw_maps.named_buffers())
    changed = RawMaps(raw_maps.network, models).named_buffers()
    return {f"raw_maps.{name}": value.numpy() for name, value in changed if value is not before[name]}


def measure_units(raw: Sequence[Tensor]) -> list[Units]:
    """Measure the units of each raw map."""
    kinds = [each.units for each in components.maps() for _ in each.computed]
    return [units(maps) for units, maps in zip(kinds, raw, strict=True)]


def folded(network: InspectionNetwork) -> InspectionNetwork:
    """Copy a trained network with each batch norm put into the convolution before it.

    ONNX Runtime does the same for convolutions of 32 bits, but not of 8 bits.
    """
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(list(block))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    block[i], block[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network


def _relit_batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp], seed: int) -> Iterator[Tensor]:
    """Return batches of pictures under other light."""
    rng = np.random.default_rng(seed)
    for batch in batches(pixels, rows):
        lit = [refocused(rng, relit(rng, picture.numpy().astype(np.float32) / 255, 1.0)) for picture in batch]
        yield torch.from_numpy((np.clip(np.stack(lit), 0, 1) * 255).round().astype(np.uint8))
