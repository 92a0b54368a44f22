"""The page that a person reads after a fit: one HTML file that opens offline."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from calibration.conformal import beta_binomial_interval
from calibration.report import charts
from calibration.thresholds import promise
from inspector.bundle.atomic import write_bytes
from inspector.bundle.records import Calibration, Manifest
from inspector.imaging.encode import encode_jpeg
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to
from inspector.scoring.decision import is_flagged

Pixels = NDArray[np.uint8]

THIN_SPACE = "\u202f"  # narrow and unbreakable: between a number and its unit
CHART_SIZES = {"wide": (1072, 270), "narrow": (350, 230)}  # SVG units, for a desk and for a phone
NEXT_PARTS = (100, 1000)  # of how many good parts the page says how many may be rejected
INTERVAL = 0.95
# Longest side in pixels and JPEG quality, from the best to what fits a mail whatever the pictures show.
PICTURE_SIZES = ((440, 84), (340, 80), (240, 72), (160, 60))
PICTURE_BYTES = 1_200_000  # of all JPEG files together; base64 adds a third

LOSS_MEANINGS = {
    "total": "the weighted sum, which training lowers",
    "reconstruction": "repaired picture against the true one",
    "mmd": "distance of the codes from the prior",
    "gan": "codes that the adversary tells from the prior",
    "adversary": "the adversary, telling codes from the prior",
    "kl": "distance of each code's distribution from the prior",
    "head": "finding corrupted places",
}


@dataclass(frozen=True)
class UnusualPicture:
    """One good picture that looks unlike the others.

    Attributes
    ----------
    name : str
        File name; anything that a file can be called.
    overlay : uint8 array (H, W, 3)
        RGB, the heatmap already drawn over the picture.
    picture : uint8 array (H, W, 3)
        RGB, as it was inspected.
    score : float
        Rises with anomaly.
    components : dict of str to float
        Component scores; those that are not fused are marked as such.
    """

    name: str
    overlay: Pixels
    picture: Pixels
    score: float
    components: dict[str, float]


@dataclass(frozen=True)
class ReportContent:
    """Everything that the page shows.

    Attributes
    ----------
    manifest : Manifest
        Its `files` may be empty: the page is one of them.
    calibration : Calibration
        The threshold, its promise and the held-out scores.
    unusual : sequence of UnusualPicture
        The most unusual first.
    reconstructions : sequence of (picture, reconstruction)
        Held-out pictures and what the auto-encoder makes of them, uint8 (H, W, 3).
    curves : mapping of str to sequence of (step, value)
        Each loss against the step.
    notes : sequence of str
        Warnings, such as files that were skipped.
    """

    manifest: Manifest
    calibration: Calibration
    unusual: Sequence[UnusualPicture] = ()
    reconstructions: Sequence[tuple[Pixels, Pixels]] = ()
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def render_report(content: ReportContent) -> str:
    """Return the page as HTML; the same content gives the same text.

    Parameters
    ----------
    content : ReportContent

    Returns
    -------
    str
        Loads nothing and needs no script; under 2 MB.
    """
    manifest, calibration = content.manifest, content.calibration
    addresses = iter(
        _data_addresses(
            [pixels for entry in content.unusual for pixels in (entry.picture, entry.overlay)]
            + [pixels for pair in content.reconstructions for pixels in pair]
        )
    )
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            manifest=manifest,
            calibration=calibration,
            promise=promise(calibration),
            heldout=_heldout(calibration),
            expected=_expected(calibration),
            histograms=_histograms(calibration),
            unusual=[
                {
                    "entry": entry,
                    "over": is_flagged(entry.score, calibration.threshold),
                    "components": _ordered(entry.components, calibration.fused),
                    "picture": next(addresses),
                    "overlay": next(addresses),
                }
                for entry in content.unusual
            ],
            reconstructions=[(next(addresses), next(addresses)) for _ in content.reconstructions],
            curves={name: charts.curve(points) for name, points in content.curves.items()},
            loss_meanings=LOSS_MEANINGS,
            notes=content.notes,
            name=shlex.quote(manifest.name),
            reference=shlex.quote(f"{manifest.name}@{manifest.version}"),
        )
    )


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


def _ordered(components: Mapping[str, float], fused: Sequence[str]) -> list[tuple[str, float]]:
    """The components that decide before those that do not, the largest first."""
    return sorted(components.items(), key=lambda item: (item[0] not in fused, -item[1]))


# --- numbers ------------------------------------------------------------------------------------


def _heldout(calibration: Calibration) -> dict[str, Any]:
    """Count the verdicts of the held-out pictures, and describe their scores."""
    scores = np.sort(np.asarray(calibration.heldout_scores, dtype=np.float64))
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


def _expected(calibration: Calibration) -> list[dict[str, int]]:
    """How many of the next good parts will be rejected, in 95 of 100 cases."""
    images_heldout = len(calibration.heldout_scores)
    if not images_heldout:
        return []
    rate = calibration.asked_false_reject_rate
    intervals = {parts: beta_binomial_interval(images_heldout, parts, rate, INTERVAL) for parts in NEXT_PARTS}
    return [{"parts": parts, "low": low, "high": high} for parts, (low, high) in intervals.items()]


def _histograms(calibration: Calibration) -> dict[str, charts.Histogram]:
    """The same chart for a desk and for a phone; none without held-out scores."""
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


# --- pictures -----------------------------------------------------------------------------------


def _data_addresses(pictures: Sequence[Pixels]) -> list[str]:
    """Encode all pictures as JPEG data addresses, as large as fits the page's size."""
    files: list[bytes] = []
    for side, quality in PICTURE_SIZES:
        files = [encode_jpeg(_shrink(pixels, side), quality) for pixels in pictures]
        if sum(map(len, files)) <= PICTURE_BYTES:
            break
    return [f"data:image/jpeg;base64,{base64.b64encode(file).decode('ascii')}" for file in files]


def _shrink(pixels: Pixels, side: int) -> Pixels:
    """Bring the longest side down to `side` pixels; smaller pictures stay as they are."""
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return pixels
    return fit_to(pixels, max(1, round(height * factor)), max(1, round(width * factor)))


# --- words --------------------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": show_number,
        "percent": show_percent,
        "count": show_count,
        "name": printable,
        "component": show_component,
        "moment": show_moment,
        "duration": show_duration,
    }
    return environment


def show_number(number: float | None) -> str:
    """Write a score with two decimals, a tiny or huge one with three digits.

    >>> show_number(3.2), show_number(-0.004), show_number(3.2e-6), show_number(None)
    ('3.20', '−0.004', '3.2e−6', '–')
    """
    if number is None or not isfinite(number):
        return "–"
    plain = number == 0 or 0.1 <= abs(number) < 1e5
    digits = f"{number:.2f}" if plain else re.sub(r"e([+-])0", r"e\1", f"{number:.3g}")
    return digits.replace("e+", "e").replace("-", "−")


def show_percent(rate: float) -> str:
    """Write a rate in percent with at most three digits.

    >>> show_percent(0.05).split(), show_percent(1 / 36).split()
    (['5', '%'], ['2.78', '%'])
    """
    return f"{100 * rate:.3g}{THIN_SPACE}%"


def show_count(number: float) -> str:
    """Write a whole number with separated thousands.

    >>> show_count(1250000)
    '1,250,000'
    """
    return f"{number:,.0f}"


def show_component(name: str) -> str:
    """Write a component's name for a reader.

    >>> show_component("latent_mmd"), show_component("head")
    ('Latent MMD', 'Head')
    """
    words = name.replace("_", " ")
    words = words[:1].upper() + words[1:]
    return re.sub(r"\b[Mm]md\b", "MMD", words)


def show_moment(moment: str) -> str:
    """Write an ISO 8601 time in UTC, to the minute; anything else as it is.

    >>> show_moment("2026-03-01T09:30:12+01:00"), show_moment("yesterday")
    ('2026-03-01 08:30 UTC', 'yesterday')
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_duration(seconds: float) -> str:
    """Write a span of time in the two largest units.

    >>> show_duration(42.4).split(), show_duration(301).split(), show_duration(7260).split()
    (['42', 's'], ['5', 'min', '1', 's'], ['2', 'h', '1', 'min'])
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}{THIN_SPACE}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}{THIN_SPACE}min {rest}{THIN_SPACE}s"
    return f"{hours}{THIN_SPACE}h {minutes}{THIN_SPACE}min"
