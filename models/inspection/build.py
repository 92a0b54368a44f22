"""A trained network is put together with what scores are measured by: landmarks, units, and its graphs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inspector.types import RawScores
from models.inspection import memory_bank
from models.inspection.context import GoodLayouts
from models.inspection.cross_fitting import NO_PART, Parts, divide
from models.inspection.detector import (
    LAYOUTS,
    DecoderGraph,
    DetectorGraph,
    EncoderGraph,
    Maps,
    MapStatistics,
    Normalise,
    RawMaps,
    Rows,
)
from models.inspection.memory_bank import KernelDistance
from models.inspection.network import InspectionNetwork
from models.inspection.patches import CODES, LIGHT, CodeNumbers, light
from models.lighting import refocused, relit
from models.split import cross_fitting_groups

LANDMARKS = (2048, 2048, 1024)  # of the fine codes, of those at half the size, of the latent
LOOKED_AT = 500  # pictures that landmarks and units are taken from
RELIT_PICTURES = 100  # of them, looked at again under other light
SCORING_BATCH = 8


@dataclass(frozen=True)
class Graphs:
    """The modules that are exported, and what the units were measured on.

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
    owners = cross_fitting_groups(groups, rows, heldout)
    everything = np.sort(np.concatenate([rows, heldout]))
    known = everything[np.linspace(0, len(everything) - 1, min(len(everything), LOOKED_AT)).astype(int)]
    seen = _seen(network, (normalise(batch) for batch in batches(pixels, known)))
    found = [
        memory_bank.choose(codes, _tensor(owners[known]), count, seed)
        for codes, count in zip((seen.fine, seen.wide, seen.coarse), LANDMARKS, strict=True)
    ]
    numbers = CodeNumbers(seen.fine, seen.wide)
    layouts = [
        GoodLayouts(of_places, shape, owners[known], seed)
        for of_places, shape in ((numbers(seen.fine, seen.wide), CODES), (seen.light, LIGHT))
    ]
    fine, wide, coarse = (KernelDistance(each.codes, each.reach) for each in found)
    expected, layout = (each.layout() for each in layouts)
    maps = Maps(network, fine, wide, coarse, numbers, expected, layout).eval()

    here = np.flatnonzero(np.isin(known, rows))
    chosen = known[here]
    of_groups = [each.of_groups(_tensor(owners[chosen])) for each in found]
    (alone, apart), _ = _measured(
        maps,
        (normalise(batch) for batch in batches(pixels, chosen)),
        [[each.of_pictures(_tensor(here)) for each in found], of_groups],
    )
    alone = _judged(alone, [each.alone()[here] for each in layouts])
    apart = _judged(apart, [each.apart()[here] for each in layouts])
    detector = DetectorGraph(normalise, maps, _units(apart)).eval()
    some = np.linspace(0, len(chosen) - 1, min(len(chosen), RELIT_PICTURES)).astype(int)
    (lit,), lit_rows = _measured(
        maps,
        (normalise(batch) for batch in _relit_batches(pixels, chosen[some], seed)),
        [[own[torch.from_numpy(some)] for own in of_groups]],
    )
    lit = _judged(lit, [each.again(rows, here[some]) for each, rows in zip(layouts, lit_rows, strict=True)])
    statistics, anomaly_map = detector.read(alone)
    return Graphs(
        detector,
        EncoderGraph(normalise, network).eval(),
        DecoderGraph(network).eval(),
        found[2].codes.numpy(),
        chosen,
        RawScores(statistics.numpy(), anomaly_map.numpy(), alone.z.mean((2, 3)).numpy()),
        np.concatenate([detector.read(raw)[0].numpy() for raw in (apart, lit)]),
        _parts(owners[heldout], found, layouts),
    )


def _measured(maps: Maps, batches: Iterator[Tensor], owned: list[list[Tensor]]) -> tuple[list[RawMaps], Rows]:
    """Maps of pictures, once for each choice of landmarks (n, m) that do not count; rows of their places."""
    found: list[list[RawMaps]] = []
    rows: list[Rows] = []
    start = 0
    for batch in batches:
        few = slice(start, start := start + len(batch))
        seen, of_places = maps.compare(batch, [tuple(own[few] for own in choice) for choice in owned])
        found.append(seen)
        rows.append(of_places)
    whole = [
        RawMaps(*(torch.cat(parts) for parts in zip(*raw, strict=True))) for raw in zip(*found, strict=True)
    ]
    return whole, Rows(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def _judged(raw: RawMaps, maps: list[Tensor]) -> RawMaps:
    """Put other judgements of places into raw maps, in the order of `LAYOUTS`."""
    return raw._replace(**dict(zip(LAYOUTS, maps, strict=True)))


def _parts(
    owners: NDArray[np.int64], found: list[memory_bank.Landmarks], layouts: Sequence[GoodLayouts]
) -> Parts | None:
    """Divide held-out pictures with these owners, and tell which landmarks are theirs."""
    if not len(owners):
        return None
    pictures = divide(owners)
    part = dict(zip(owners.tolist(), pictures.tolist(), strict=True))
    return Parts(
        pictures,
        tuple(np.array([part.get(owner, NO_PART) for owner in each.owners.tolist()]) for each in found),
        {
            part: tuple(each.without(owners[pictures == part]) for each in layouts)
            for part in np.unique(pictures).tolist()
        },
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


class _Seen(NamedTuple):
    """What good pictures look like: their codes, and the light of their places."""

    fine: Tensor  # (n, FINE_DIM, H/8, W/8)
    wide: Tensor  # (n, FINE_DIM, H/16, W/16)
    coarse: Tensor  # (n, d, H/16, W/16)
    light: Tensor  # (n, 2320)


def _seen(network: InspectionNetwork, batches: Iterator[Tensor]) -> _Seen:
    found = []
    for x in batches:
        codes = network.encoder(x)
        found.append((codes.fine, network.encoder.wide(x), codes.z, light(x)))
    return _Seen(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[Tensor]:
    """Pictures as tensors uint8 (8, H, W, 3), the last batch with what is left."""
    for start in range(0, len(rows), SCORING_BATCH):
        yield torch.from_numpy(np.array(pixels[rows[start : start + SCORING_BATCH]]))


def _relit_batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp], seed: int) -> Iterator[Tensor]:
    """Batches of the same pictures under other light."""
    rng = np.random.default_rng(seed)
    for batch in batches(pixels, rows):
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
        _center_and_scale(measured.expected),
        _center_and_scale(measured.logits),
        _center_and_scale(measured.layout),
    )


def _center_and_scale(values: Tensor) -> tuple[float, float]:
    """Median, and the way from it to the 99th percentile."""
    middle, high = np.quantile(values.numpy(), [0.5, 0.99])
    return float(middle), float(max(high - middle, 1e-6))
