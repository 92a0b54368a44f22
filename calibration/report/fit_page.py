"""The page that a person reads after a fit: one HTML file that opens offline."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.conformal import beta_binomial_interval
from calibration.report import charts
from calibration.report.svg import Chart
from calibration.report.template import Pixels, data_address, environment, jpeg
from calibration.thresholds import promise
from inspector.bundle.atomic import write_bytes
from inspector.bundle.records import Calibration, Manifest
from inspector.scoring.decision import is_flagged

CHART_SIZES = {"wide": (1072, 270), "narrow": (350, 230)}  # SVG units, for a desk and for a phone
NEXT_PARTS = (100, 1000)  # the page says how many of this many good parts may be rejected
INTERVAL = 0.95
# Longest side in pixels and JPEG quality: the first pair whose files are small enough is used.
PICTURE_SIZES = ((440, 84), (340, 80), (240, 72), (160, 60))
PICTURE_BYTES = 1_200_000  # of all JPEG files together, so that the page fits into a mail


@dataclass(frozen=True)
class UnusualPicture:
    """One good picture that looks unlike the others of its kind, held-out or training pictures.

    Attributes
    ----------
    name : str
        File name; any characters that a file name can have.
    overlay : uint8 array (H, W, 3)
        RGB, the picture with its heatmap.
    picture : uint8 array (H, W, 3)
        RGB, the picture alone.
    score : float
        Higher is more anomalous.
    components : dict of str to float
        Component scores, including those that are not part of the score.
    held_out : bool
        True if its score was among those that set the threshold.
    suspicious : bool
        True if its score lies clearly above the others of its kind.
    rank : int
        1 for the highest score of its kind.
    """

    name: str
    overlay: Pixels
    picture: Pixels
    score: float
    components: dict[str, float]
    held_out: bool = True
    suspicious: bool = False
    rank: int = 1


@dataclass(frozen=True)
class ReportContent:
    """Everything that the page shows.

    Attributes
    ----------
    manifest : Manifest
        Its `files` may be empty, because the page is one of them.
    calibration : Calibration
        The threshold, its promise and the held-out scores.
    unusual : sequence of UnusualPicture
        The most unusual first.
    reconstructions : sequence of (picture, reconstruction)
        Held-out pictures and the auto-encoder's reconstructions of them, uint8 (H, W, 3).
    curves : mapping of str to sequence of (step, value)
        Each loss against the training step.
    loss_meanings : mapping of str to str
        A short explanation of a loss, by its name.
    notes : sequence of str
        Warnings, such as files that were skipped.
    """

    manifest: Manifest
    calibration: Calibration
    unusual: Sequence[UnusualPicture] = ()
    reconstructions: Sequence[tuple[Pixels, Pixels]] = ()
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    loss_meanings: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page in one piece: a reader sees the old file or the new one, never half of one.

    Parameters
    ----------
    path : Path
        Is replaced if it exists; its folder must exist.
    content : ReportContent

    Raises
    ------
    StorageError
        The page cannot be written there.
    """
    write_bytes(path, render_report(content).encode())


def render_report(content: ReportContent) -> str:
    """Return the page as HTML; the same content gives the same text.

    Parameters
    ----------
    content : ReportContent

    Returns
    -------
    str
        Under 2 MB; loads nothing and needs no script.
    """
    manifest, calibration = content.manifest, content.calibration
    addresses = iter(
        _addresses(
            [pixels for entry in content.unusual for pixels in (entry.picture, entry.overlay)]
            + [pixels for pair in content.reconstructions for pixels in pair]
        )
    )
    return (
        environment()
        .get_template("fit.html.j2")
        .render(
            manifest=manifest,
            calibration=calibration,
            promise=promise(calibration),
            heldout=_heldout(calibration),
            expected=_expected_rejects(calibration),
            histograms=_histograms(calibration),
            unusual=[
                {
                    "entry": entry,
                    "times": _times_threshold(entry.score, calibration.threshold),
                    "over": is_flagged(entry.score, calibration.threshold),
                    "components": _deciding_first(entry.components, calibration.fused),
                    "picture": next(addresses),
                    "overlay": next(addresses),
                }
                for entry in content.unusual
            ],
            reconstructions=[(next(addresses), next(addresses)) for _ in content.reconstructions],
            curves={name: charts.loss_curve(name, points) for name, points in content.curves.items()},
            loss_meanings=content.loss_meanings,
            notes=content.notes,
            coverage=manifest.coverage_in_words(),
            name=shlex.quote(manifest.name),
            reference=shlex.quote(f"{manifest.name}@{manifest.version}"),
        )
    )


def _times_threshold(score: float, threshold: float) -> float | None:
    """Return the score as a multiple of the threshold; None if the threshold is no size to compare with."""
    return score / threshold if threshold > 0 else None


def _deciding_first(components: Mapping[str, float], fused: Sequence[str]) -> list[tuple[str, float]]:
    """Sort components: those that are part of the score first, then the largest first."""
    return sorted(components.items(), key=lambda item: (item[0] not in fused, -item[1]))


def _heldout(calibration: Calibration) -> dict[str, Any]:
    """Count the verdicts of the held-out pictures, and describe their scores."""
    scores: NDArray[np.float64] = np.sort(np.asarray(calibration.heldout_scores, dtype=np.float64))
    threshold, review = calibration.threshold, calibration.review_threshold
    fails = int(np.count_nonzero(scores > threshold))
    reviews = 0 if review is None else int(np.count_nonzero(scores > review)) - fails
    return {
        "images": scores.size,
        "fails": fails,
        "reviews": max(0, reviews),
        "equal": int(np.count_nonzero(scores == threshold)),
        "rank": int(np.count_nonzero(scores <= threshold)),
        "smallest": scores.min(initial=np.inf),
        "median": np.median(scores) if scores.size else None,
        "ninety": np.quantile(scores, 0.9) if scores.size else None,
        "largest": scores.max(initial=-np.inf),
    }


def _expected_rejects(calibration: Calibration) -> list[dict[str, int]]:
    """Return how many of the next good parts will be rejected, in 95 of 100 cases."""
    heldout = len(calibration.heldout_scores)
    if not heldout:
        return []
    rate = calibration.asked_false_reject_rate
    intervals = {parts: beta_binomial_interval(heldout, parts, rate, INTERVAL) for parts in NEXT_PARTS}
    return [{"parts": parts, "low": low, "high": high} for parts, (low, high) in intervals.items()]


def _histograms(calibration: Calibration) -> dict[str, Chart]:
    """Draw the same histogram in each size; none without held-out scores."""
    if not calibration.heldout_scores:
        return {}
    return {
        name: charts.histogram(
            calibration.heldout_scores,
            calibration.threshold,
            calibration.review_threshold,
            width=width,
            height=height,
        )
        for name, (width, height) in CHART_SIZES.items()
    }


def _addresses(pictures: Sequence[Pixels]) -> list[str]:
    """Encode all pictures as data addresses, as large as fits the page's size."""
    files: list[bytes] = []
    for side, quality in PICTURE_SIZES:
        files = [jpeg(pixels, side, quality) for pixels in pictures]
        if sum(map(len, files)) <= PICTURE_BYTES:
            break
    return [data_address(file) for file in files]
