"""Decides if a bundle ships a graph with 8-bit convolutions: it must be faster, and change no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import GRAPH, INT8_GRAPH
from inspector.bundle.records import Calibration, Column, Int8Summary
from inspector.scoring import decision
from inspector.scoring.runtime import DetectorSession
from inspector.types import RawScores
from models.export.onnx_graphs import score_by_folds, score_rows
from models.export.quantise import (
    Operation,
    Pixels,
    Quantiser,
    groups,
    needs_reduced_range,
    speedup,
    with_defects,
)
from models.export.scoring_model import CalibrationFold

TOLERANCE = 0.1  # of a score, relative to the larger of the score and 1
LEAST_CORRELATION = 0.999
LEAST_SPEEDUP = 1.2
LEAST_PRODUCTS = 500_000_000  # multiplications for a picture; a smaller graph is fast enough
FEWEST_COMPARED = 10  # pictures; a correlation of fewer means nothing
DAMAGED = 32
# The ranges are measured on as many pictures as take so many multiplications, which takes some seconds.  The
# noise of each group is measured on a sixth of them.
RANGE_PRODUCTS = 100_000_000_000
RANGE_PICTURES = (8, 64)
PROBE_SHARE = 6
NOISE_SECONDS = 15.0  # several times as long as two idle cores take
# Noise that all groups together may add, relative to the standard deviation of normal scores.  A noise of
# 0.045 means a correlation of .999.  The first limit that passes on the compared pictures is used.
NOISE_LIMITS = (0.04, 0.02, 0.01)
NOTHING_LEFT = "rounding any of its convolutions changes scores too much"


@dataclass(frozen=True)
class Int8Trial:
    """The outcome of a trial; with the new scores of the compared pictures if the graph ships."""

    summary: Int8Summary
    scores: RawScores | None = None


@dataclass(frozen=True)
class Int8Request:
    """Everything that a trial needs.

    Attributes
    ----------
    folder : Path
        Of the bundle; `detector.onnx` lies in it.
    pixels : uint8 (N, H, W, 3)
    training, compared : int (n,)
        Rows of `pixels`: those that ranges are measured on, and those that set the thresholds.
    folds : tuple of CalibrationFold
        Of the pictures that set the thresholds.
    columns : tuple of Column
    scored : RawScores
        The scores of the compared pictures, with 32 bits.
    calibration : Calibration
        From `scored`.
    seed, threads : int
    """

    folder: Path
    pixels: Pixels
    training: NDArray[np.intp]
    compared: NDArray[np.intp]
    folds: tuple[CalibrationFold, ...]
    columns: tuple[Column, ...]
    scored: RawScores
    calibration: Calibration
    seed: int
    threads: int

    def scores(self, raw: RawScores) -> NDArray[np.float64]:
        """Return the scores (n,) from the output of a graph."""
        return decision.score(raw.statistics, self.columns, self.calibration)


def attempt(request: Int8Request) -> Int8Trial:
    """Write `detector.int8.onnx` into the bundle if it pays; otherwise write nothing, and give the reason.

    Parameters
    ----------
    request : Int8Request

    Returns
    -------
    Int8Trial
    """
    # The heads of the folds differ in weights, and in the ranges of activations: one rounding fits one head.
    exact = {name for fold in request.folds for name in fold.constants}
    quantiser = Quantiser(request.folder / GRAPH, reduced_range=needs_reduced_range(), exact=exact)
    figures: dict[str, Any] = {"reduced_range": quantiser.reduced_range, "tolerance": TOLERANCE}
    products = sum(one.products for one in quantiser.operations())
    if products < LEAST_PRODUCTS:
        reason = f"{products / 1e6:.0f} million multiplications a picture are too few to gain from 8 bits"
        return Int8Trial(Int8Summary(shipped=False, reason=reason, **figures))
    if len(request.compared) < FEWEST_COMPARED:
        reason = f"{len(request.compared)} pictures are too few to compare, {FEWEST_COMPARED} are needed"
        return Int8Trial(Int8Summary(shipped=False, reason=reason, **figures))
    return _try(request, quantiser, products, figures)


def _try(request: Int8Request, quantiser: Quantiser, products: int, figures: dict[str, Any]) -> Int8Trial:
    target = request.folder / INT8_GRAPH
    plain, damaged = _range_pictures(request, products)
    quantiser.observe(plain[:1])  # any range will do to measure the speed
    quantiser.write(target, [one.name for one in quantiser.operations()])
    figures["speedup"] = _speedup(request)
    if reason := _slow(figures["speedup"]):
        target.unlink()
        return Int8Trial(Int8Summary(shipped=False, reason=reason, **figures))
    quantiser.observe(np.concatenate([plain, damaged]))
    figures["calibration_images"] = len(plain) + len(damaged)
    fp32 = DetectorSession(request.folder / GRAPH, request.threads)
    each = max(2, len(plain) // PROBE_SHARE)
    noise = _noise(request, quantiser, fp32, np.concatenate([plain[:each], damaged[:each]]))
    judge, reason, raw = _Judge(request, fp32), NOTHING_LEFT, None
    for names in filter(None, dict.fromkeys(chosen(noise, limit) for limit in NOISE_LIMITS)):
        quantiser.write(target, names)
        raw, compared = judge.compare(target)
        figures |= {"convolutions": len(names), **compared}
        reason = fault(**compared)
        if not reason:
            figures["speedup"] = _speedup(request)
            reason = _slow(figures["speedup"])
            break
    if reason:
        target.unlink(missing_ok=True)
        return Int8Trial(Int8Summary(shipped=False, reason=reason, **figures))
    return Int8Trial(Int8Summary(shipped=True, **figures), raw)


def _range_pictures(request: Int8Request, products: int) -> tuple[Pixels, Pixels]:
    """Return training pictures, and about as many other ones with synthetic defects."""
    rows, (fewest, most) = request.training, RANGE_PICTURES
    count = min(len(rows), max(fewest, min(most, RANGE_PRODUCTS // products)))
    pictures = np.array(request.pixels[rows[np.linspace(0, len(rows) - 1, count).astype(int)]])
    return pictures[::2], with_defects(pictures[1::2], request.seed)


def _noise(
    request: Int8Request, quantiser: Quantiser, fp32: DetectorSession, probes: Pixels
) -> list[tuple[float, list[Operation]]]:
    """Return for each group of operations by how much rounding it alone changes the scores.

    This is the root mean square of the changes, relative to the standard deviation of normal scores or
    to a tenth of the score, whichever is larger.
    """
    target, rows = request.folder / INT8_GRAPH, np.arange(len(probes))
    exact = request.scores(score_rows(fp32, probes, rows))
    spread = max(float(request.scores(request.scored).std()), 1e-6)
    unit = np.maximum(spread, np.abs(exact) / 10)
    found: list[tuple[float, list[Operation]]] = []
    ends = perf_counter() + NOISE_SECONDS
    for group in groups(quantiser.operations()):
        if perf_counter() > ends:  # the machine is busy: the other groups stay exact
            break
        quantiser.write(target, [one.name for one in group])
        rounded = request.scores(score_rows(DetectorSession(target, request.threads), probes, rows))
        found.append((float(np.sqrt(np.mean(((rounded - exact) / unit) ** 2))), group))
    return found


def chosen(noise: list[tuple[float, list[Operation]]], limit: float) -> tuple[str, ...]:
    """Return the names of the operations to round: the most multiplications for the least noise.

    Rounding errors of different operations are independent, so their squares add up, to the limit's square
    at most.
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
    """Compares graphs on pictures that set the thresholds, and on some of them with defects."""

    def __init__(self, request: Int8Request, fp32: DetectorSession) -> None:
        self._request = request
        rows = request.compared[:DAMAGED]
        self._damaged = with_defects(np.array(request.pixels[rows]), request.seed + 1)
        self._exact = request.scores(request.scored)
        self._exact_damaged = self._scores_of_damaged(fp32)

    def _scores_of_damaged(self, graph: DetectorSession) -> NDArray[np.float64]:
        return self._request.scores(score_rows(graph, self._damaged, np.arange(len(self._damaged))))

    def compare(self, path: Path) -> tuple[RawScores, dict[str, Any]]:
        """Return a graph's scores of the pictures, and the figures of the comparison."""
        request = self._request
        raw = score_by_folds(path, request.threads, request.pixels, request.compared, request.folds)
        rounded = request.scores(raw)
        both = (
            np.concatenate([self._exact, self._exact_damaged]),
            np.concatenate([rounded, self._scores_of_damaged(DetectorSession(path, request.threads))]),
        )
        figures: dict[str, Any] = compare(*both, request.calibration.threshold)
        return raw, figures | {
            "score_correlation": min(correlation(self._exact, rounded), correlation(*both))
        }


def compare(
    exact: NDArray[np.float64], rounded: NDArray[np.float64], threshold: float
) -> dict[str, int | float]:
    """Compare two sets of scores (n,): their number, largest relative difference, and flipped verdicts."""
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
    """Return Pearson's correlation; 0 if one of both is constant."""
    if not exact.std() > 0 or not rounded.std() > 0:
        return 0.0
    return float(np.corrcoef(exact, rounded)[0, 1])


def fault(
    *, images: int, score_correlation: float, largest_relative_difference: float, verdict_flips: int
) -> str:
    """Return the fault that a comparison found, or an empty string."""
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


def _speedup(request: Int8Request) -> float:
    """Return how many times as fast the rounded graph is, on one picture and one core."""
    picture = np.array(request.pixels[request.compared[:1]])
    fp32, int8 = (DetectorSession(request.folder / name, 1) for name in (GRAPH, INT8_GRAPH))
    return speedup(lambda: fp32.run(picture), lambda: int8.run(picture))
