"""The components of the anomaly score: the one table that the rest of the project reads.

To add a component, write the function of its map in a new file, and add a row to `COMPONENTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from inspector.bundle.records import Column
from models.inspection.context import EmbeddingContext, learn_light_context
from models.inspection.features import View, relative, smooth
from models.inspection.memory_bank import MemoryBank
from models.inspection.network import evidence
from models.inspection.normal_model import Learned
from models.inspection.units import Units, by_position, overall

# Shares of a map's patches whose largest values are averaged: a small defect, and a larger one.
FINE_SHARES = (0.0007, 0.005)  # of maps with 4 or 8 px a patch
COARSE_SHARES = (0.004, 0.02)  # of maps with 16 x 16 patches

EMBEDDING_BANK = Learned("embedding_bank", ("embedding",), partial(MemoryBank.learn, size=2048))
HALF_SIZE_BANK = Learned("half_size_bank", ("half_size_embedding",), partial(MemoryBank.learn, size=2048))
LATENT_BANK = Learned("latent_bank", ("latent",), partial(MemoryBank.learn, size=1024))
EMBEDDING_CONTEXT = Learned("embedding_context", ("embedding", "half_size_embedding"), EmbeddingContext.learn)
LIGHT_CONTEXT = Learned("light_context", ("light",), learn_light_context)
# The normal models whose maps the head sees.
EVIDENCE = (EMBEDDING_BANK, HALF_SIZE_BANK, EMBEDDING_CONTEXT, LIGHT_CONTEXT)


@dataclass(frozen=True)
class Map:
    """A map of a component, and how it counts.  Higher values are more anomalous.

    Attributes
    ----------
    computed : tuple of callable
        Each computes raw maps (N, 1, h, w) from a `View`.  Each is put into units, and their mean is the map.
    learned : tuple of Learned
        The normal models that the functions read.
    shares : tuple of float
        For each share, the mean of the largest values of that share is one statistic.
    units : callable
        Measures the units from the raw maps of normal pictures.
    in_anomaly_map : float
        The weight in the anomaly map.
    around_in_anomaly_map : float
        The weight of the map's mean over 7 x 7 patches in the anomaly map.
    """

    computed: tuple[Callable[[View], Tensor], ...]
    learned: tuple[Learned, ...] = ()
    shares: tuple[float, ...] = FINE_SHARES
    units: Callable[[Tensor], Units] = overall
    in_anomaly_map: float = 0.0
    around_in_anomaly_map: float = 0.0


@dataclass(frozen=True)
class Component:
    """One row of the table.

    Attributes
    ----------
    name : str
        As in the manifest, in JSON and in the metrics.
    maps : tuple of Map
    weight : float, optional
        The weight in the score; without it the component is shown, and does not count.
    """

    name: str
    maps: tuple[Map, ...]
    weight: float | None = None


def reconstruction_error(view: View) -> Tensor:
    """Mean size of the difference between picture and reconstruction, (N, 1, H/4, W/4)."""
    return smooth(view.features.error)


def embedding_distance(view: View) -> Tensor:
    """Distance of embeddings to the memory bank, relative to the picture's, (N, 1, H/8, W/8)."""
    return relative(smooth(view.normal[EMBEDDING_BANK.name]))


def half_size_distance(view: View) -> Tensor:
    """The same for the picture at half its size, (N, 1, H/16, W/16)."""
    return relative(smooth(view.normal[HALF_SIZE_BANK.name]))


def embedding_misfit(view: View) -> Tensor:
    """Misfit of embeddings with the rest of the picture, (N, 1, 16, 16)."""
    return view.normal[EMBEDDING_CONTEXT.name]


def latent_distance(view: View) -> Tensor:
    """Distance of latents to the memory bank, (N, 1, H/16, W/16)."""
    return view.normal[LATENT_BANK.name]


def head_logits(view: View) -> Tensor:
    """Logits of the head, (N, 1, H/4, W/4)."""
    maps = evidence([view.normal[each.name] for each in EVIDENCE])
    logits: Tensor = view.head(view.features.s4, view.features.s8, maps)
    return logits


def light_misfit(view: View) -> Tensor:
    """Misfit of brightness and edges with the rest of the picture, (N, 1, 16, 16)."""
    return view.normal[LIGHT_CONTEXT.name]


COMPONENTS: tuple[Component, ...] = (
    Component("reconstruction", (Map((reconstruction_error,), units=by_position),)),
    Component(
        "latent_mmd",
        (
            Map(
                (embedding_distance, half_size_distance),
                (EMBEDDING_BANK, HALF_SIZE_BANK),
                in_anomaly_map=1.0,
            ),
            Map((embedding_misfit,), (EMBEDDING_CONTEXT,), COARSE_SHARES, in_anomaly_map=1.0),
        ),
    ),
    Component("head", (Map((head_logits,), EVIDENCE, in_anomaly_map=1.0),), weight=0.7),
    Component("latent_mmd_coarse", (Map((latent_distance,), (LATENT_BANK,)),)),
    Component(
        "context",
        (
            Map(
                (light_misfit,),
                (LIGHT_CONTEXT,),
                COARSE_SHARES,
                in_anomaly_map=2.0,
                around_in_anomaly_map=3.0,
            ),
        ),
        weight=0.3,
    ),
)


def maps() -> list[Map]:
    """Return the maps of all components, in the order of the table."""
    return [each for component in COMPONENTS for each in component.maps]


def learned() -> list[Learned]:
    """Return each normal model that a component reads, once."""
    return list(dict.fromkeys(model for each in maps() for model in each.learned))


def columns() -> tuple[Column, ...]:
    """Return the columns of the detector's statistics."""
    return tuple(
        Column(component=component.name, share=share)
        for component in COMPONENTS
        for each in component.maps
        for share in each.shares
    )


def weights() -> dict[str, float]:
    """Return the weight of each component that counts in the score."""
    return {each.name: each.weight for each in COMPONENTS if each.weight is not None}
