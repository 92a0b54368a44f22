"""Whether the graph with 8-bit convolutions goes into a bundle: it must pay, and change no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import GRAPH, INT8_GRAPH
from inspector.bundle.records import Calibration, Int8Summary
from inspector.scoring import decision
from inspector.scoring.runtime import DetectorSession
from inspector.types import RawScores
from models.export.onnx_graphs import score_heldout, score_rows
from models.export.quantise import (
    Operation,
    Pixels,
    Quantiser,
    groups,
    needs_reduced_range,
    speedup,
    with_defects,
)
from models.inspection.cross_fitting import Parts
from models.inspection.detector import COLUMNS

TOLERANCE = 0.1  # of a score, relative to the larger of the score and 1
LEAST_CORRELATION = 0.999
LEAST_SPEEDUP = 1.2
LEAST_PRODUCTS = 500_000_000  # multiplications for a picture: a smaller graph takes a few milliseconds anyway
FEWEST_HELDOUT = 10  # fewer do not tell how scores are correlated
DAMAGED_HELDOUT = 32
# Pictures that set the ranges: so many that they take so many multiplications, some seconds.  The noise of
# each group is measured on a sixth of them.
RANGE_PRODUCTS = 100_000_000_000
RANGE_PICTURES = (8, 64)
PROBE_SHARE = 6
NOISE_SECONDS = 15.0  # several times what it takes on two idle cores
# Noise that all groups together may add, in units of what normal pictures' scores differ by.  Two scores are
# correlated by .999 at a noise of 0.045; the first that holds on the held-out pictures is taken.
NOISE_LIMITS = (0.04, 0.02, 0.01)
NOTHING_LEFT = "rounding any of its convolutions changes scores too much"


@dataclass(frozen=True)
class Trial:
    """What came of it, and if it is in the bundle, what it says of the held-out pictures."""

    summary: Int8Summary
    heldout: RawScores | None = None


@dataclass(frozen=True)
class Material:
    """What is needed to try.

    Attributes
    ----------
    folder : Path
        Of the bundle; `detector.onnx` lies in it.
    pixels : uint8 (N, H, W, 3)
    training, heldout : int (n,)
        Rows of `pixels`.
    parts : Parts, optional
        Of the held-out pictures, where they are landmarks.
    scored : RawScores
        Of the held-out pictures, by `detector.onnx`.
    calibration : Calibration
        By `detector.onnx`.
    seed, threads : int
    """

    folder: Path
    pixels: Pixels
    training: NDArray[np.intp]
    heldout: NDArray[np.intp]
    parts: Parts | None
    scored: RawScores
    calibration: Calibration
    seed: int
    threads: int

    def scores(self, raw: RawScores) -> NDArray[np.float64]:
        """Fused scores (n,) of what a graph said."""
        return decision.score(raw.statistics, COLUMNS, self.calibration)


def attempt(material: Material) -> Trial:
    """Write `detector.int8.onnx` into the bundle if it pays; otherwise leave nothing there, and say why.

    Parameters
    ----------
    material : Material

    Returns
    -------
    Trial
    """
    quantiser = Quantiser(material.folder / GRAPH, reduced_range=needs_reduced_range())
    figures: dict[str, Any] = {"reduced_range": quantiser.reduced_range, "tolerance": TOLERANCE}
    products = sum(one.products for one in quantiser.operations())
    if products < LEAST_PRODUCTS:
        reason = f"{products / 1e6:.0f} million multiplications a picture are too few to gain from it"
        return Trial(Int8Summary(shipped=False, reason=reason, **figures))
    if len(material.heldout) < FEWEST_HELDOUT:
        reason = (
            f"{len(material.heldout)} held-out pictures are too few to compare, {FEWEST_HELDOUT} are needed"
        )
        return Trial(Int8Summary(shipped=False, reason=reason, **figures))
    return _try(material, quantiser, products, figures)


def _try(material: Material, quantiser: Quantiser, products: int, figures: dict[str, Any]) -> Trial:
    target = material.folder / INT8_GRAPH
    plain, damaged = _range_pictures(material, products)
    quantiser.observe(plain[:1])  # any range will do to tell how fast it can be
    quantiser.write(target, [one.name for one in quantiser.operations()])
    figures["speedup"] = _speedup(material)
    if reason := _slow(figures["speedup"]):
        target.unlink()
        return Trial(Int8Summary(shipped=False, reason=reason, **figures))
    quantiser.observe(np.concatenate([plain, damaged]))
    figures["calibration_images"] = len(plain) + len(damaged)
    fp32 = DetectorSession(material.folder / GRAPH, material.threads)
    each = max(2, len(plain) // PROBE_SHARE)
    noise = _noise(material, quantiser, fp32, np.concatenate([plain[:each], damaged[:each]]))
    judge, reason, raw = _Judge(material, fp32), NOTHING_LEFT, None
    for names in filter(None, dict.fromkeys(chosen(noise, limit) for limit in NOISE_LIMITS)):
        quantiser.write(target, names)
        raw, compared = judge.compare(target)
        figures |= {"convolutions": len(names), **compared}
        reason = fault(**compared)
        if not reason:
            figures["speedup"] = _speedup(material)
            reason = _slow(figures["speedup"])
            break
    if reason:
        target.unlink(missing_ok=True)
        return Trial(Int8Summary(shipped=False, reason=reason, **figures))
    return Trial(Int8Summary(shipped=True, **figures), raw)


def _range_pictures(material: Material, products: int) -> tuple[Pixels, Pixels]:
    """Training pictures, and others of them with synthetic defects; about as many of both."""
    rows, (fewest, most) = material.training, RANGE_PICTURES
    count = min(len(rows), max(fewest, min(most, RANGE_PRODUCTS // products)))
    pictures = np.array(material.pixels[rows[np.linspace(0, len(rows) - 1, count).astype(int)]])
    return pictures[::2], with_defects(pictures[1::2], material.seed)


def _noise(
    material: Material, quantiser: Quantiser, fp32: DetectorSession, probes: Pixels
) -> list[tuple[float, list[Operation]]]:
    """For each group of convolutions what rounding it alone does to the scores.

    The root of the mean square of the change, in units of the held-out scores' spread; of a score over ten
    times that, in units of its tenth.
    """
    target, rows = material.folder / INT8_GRAPH, np.arange(len(probes))
    exact = material.scores(score_rows(fp32, probes, rows))
    spread = max(float(material.scores(material.scored).std()), 1e-6)
    unit = np.maximum(spread, np.abs(exact) / 10)
    found: list[tuple[float, list[Operation]]] = []
    ends = perf_counter() + NOISE_SECONDS
    for group in groups(quantiser.operations()):
        if perf_counter() > ends:  # the machine is busy, and a fit has a budget: the others stay exact
            break
        quantiser.write(target, [one.name for one in group])
        rounded = material.scores(score_rows(DetectorSession(target, material.threads), probes, rows))
        found.append((float(np.sqrt(np.mean(((rounded - exact) / unit) ** 2))), group))
    return found


def chosen(noise: list[tuple[float, list[Operation]]], limit: float) -> tuple[str, ...]:
    """Names of the convolutions to round: the most multiplications for the least noise, up to a limit.

    Rounding errors of different places are independent, so that their squares add up.
    """

    def price(entry: tuple[float, list[Operation]]) -> float:
        return entry[0] ** 2 / sum(one.products for one in entry[1])

    names: list[str] = []
    total = 0.0
    for single, group in sorted(noise, key=price):
        if total + single**2 <= limit**2:
            total += single**2
            names += [one.name for one in group]
    return tuple(names)


class _Judge:
    """Compares graphs on held-out pictures, and on some of them with defects."""

    def __init__(self, material: Material, fp32: DetectorSession) -> None:
        self._material = material
        rows = material.heldout[:DAMAGED_HELDOUT]
        self._damaged = with_defects(np.array(material.pixels[rows]), material.seed + 1)
        self._exact = material.scores(material.scored)
        self._exact_damaged = self._scores_of_damaged(fp32)

    def _scores_of_damaged(self, graph: DetectorSession) -> NDArray[np.float64]:
        return self._material.scores(score_rows(graph, self._damaged, np.arange(len(self._damaged))))

    def compare(self, path: Path) -> tuple[RawScores, dict[str, Any]]:
        """Return what a graph says of the held-out pictures, and the figures of its comparison."""
        material = self._material
        raw = score_heldout(path, material.threads, material.pixels, material.heldout, material.parts)
        rounded = material.scores(raw)
        both = (
            np.concatenate([self._exact, self._exact_damaged]),
            np.concatenate([rounded, self._scores_of_damaged(DetectorSession(path, material.threads))]),
        )
        figures: dict[str, Any] = compare(*both, material.calibration.threshold)
        return raw, figures | {
            "score_correlation": min(correlation(self._exact, rounded), correlation(*both))
        }


def compare(
    exact: NDArray[np.float64], rounded: NDArray[np.float64], threshold: float
) -> dict[str, int | float]:
    """Compare two sets of scores (n,): number, largest relative difference, flipped verdicts."""
    allowed = np.maximum(1.0, np.abs(exact))
    scores = np.stack([exact, rounded])
    far = (np.abs(scores - threshold) > TOLERANCE * allowed).all(0)
    flips = int((far & ((scores[0] > threshold) != (scores[1] > threshold))).sum())
    return {
        "images": len(exact),
        "largest_relative_difference": float((np.abs(rounded - exact) / allowed).max()),
        "verdict_flips": flips,
    }


def correlation(exact: NDArray[np.float64], rounded: NDArray[np.float64]) -> float:
    """Pearson's correlation; 0 where one of both is constant."""
    if not exact.std() > 0 or not rounded.std() > 0:
        return 0.0
    return float(np.corrcoef(exact, rounded)[0, 1])


def fault(
    *, images: int, score_correlation: float, largest_relative_difference: float, verdict_flips: int
) -> str:
    """Say what is wrong with a comparison; nothing where all is well."""
    if verdict_flips:
        return f"{verdict_flips} of {images} verdicts flip"
    if not largest_relative_difference <= TOLERANCE:
        return f"a score differs by {largest_relative_difference:.2g}, at most {TOLERANCE:g} is allowed"
    if not score_correlation > LEAST_CORRELATION:
        return f"scores are correlated by {score_correlation:.4f}, over {LEAST_CORRELATION:g} is needed"
    return ""


def _slow(times: float) -> str:
    if times >= LEAST_SPEEDUP:
        return ""
    return f"it is {times:.2f} times as fast on this machine, {LEAST_SPEEDUP:g} is worth it"


def _speedup(material: Material) -> float:
    """Time both graphs on one picture and one core."""
    picture = np.array(material.pixels[material.heldout[:1]])
    fp32, int8 = (DetectorSession(material.folder / name, 1) for name in (GRAPH, INT8_GRAPH))
    return speedup(lambda: fp32.run(picture), lambda: int8.run(picture))
