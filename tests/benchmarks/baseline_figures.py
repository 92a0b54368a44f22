"""The figures of the baselines on one set, measured once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibration.image_metrics import auroc, auroc_interval
from calibration.labelled import GOOD, LabelledPicture, labelled_folder
from calibration.masks import read_masks
from calibration.pixel_metrics import PixelScores
from inspector.errors import DatasetError, ImageError
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images
from inspector.imaging.resize import fit_to
from inspector.scoring.heatmap import upsample
from inspector.types import Pixels
from tests.benchmarks import provenance
from tests.benchmarks.baseline import ARTICLE_STEPS, Scorer, article, neighbour, residual, template
from tests.benchmarks.request import pictures_digest
from tests.benchmarks.result import BASELINES, Content, load, write

RECIPE = 1  # raise this number to make all stored results of baselines out of date
SIDE = 256  # px, as in a fit with the defaults

MAKERS: dict[str, Callable[[Pixels], Scorer]] = {
    "template": template,
    "PCA residual": residual,
    "nearest neighbour": neighbour,
}
ARTICLE = "article"
NAMES = (*MAKERS, ARTICLE)


def baseline_figures(
    folder: Path, results: Path, *, article_steps: int = ARTICLE_STEPS, again: bool = False
) -> Content:
    """Return the figures of the baselines on a set: stored ones if up to date, else measure and store.

    Parameters
    ----------
    folder : Path
        The set.
    results : Path
        The folder of all results.
    article_steps : int
        Training steps of the article's auto-encoder.
    again : bool
        Measure even if the figures are up to date.

    Returns
    -------
    dict
        `figures` holds the image `auroc`, its interval, and `pixel` of each baseline.
    """
    path = results / BASELINES / f"{folder.name}.json"
    makers = MAKERS | {ARTICLE: lambda training: article(training, steps=article_steps)}
    return stored_figures(folder, path, {"article_steps": article_steps}, makers, again=again)


def stored_figures(
    folder: Path, path: Path, asked: Content, makers: Mapping[str, Callable[[Pixels], Scorer]], *, again: bool
) -> Content:
    """Return the figures of detectors on a set: stored ones if up to date, else measure and store.

    Parameters
    ----------
    folder : Path
        The set.
    path : Path
        The file of the figures.
    asked : dict
        What decides the figures, beside the pictures.
    makers : dict
        Makes each detector from the good training pictures, by name.
    again : bool
        Measure even if the figures are up to date.
    """
    asked = {"recipe": RECIPE, "set": folder.name, "pictures": pictures_digest(folder)} | asked
    before = load(path)
    if before is not None and not again and before.result["request"] == asked:
        return before.result
    result, timing = measure(folder, makers)
    write(path, result | {"request": asked}, timing)
    written = load(path)
    return result if written is None else written.result


def names_of(figures: Iterable[Content]) -> list[str]:
    """Return the names of the baselines, and behind them that of a peer in the figures."""
    return list(dict.fromkeys([*NAMES, *(name for one in figures for name in one)]))


def measure(folder: Path, makers: Mapping[str, Callable[[Pixels], Scorer]]) -> tuple[Content, Content]:
    """Train every baseline and score every test picture with it."""
    training = _training_pictures(folder / "train" / "good")
    labelled = labelled_folder(folder / "test").pictures
    figures, seconds = {}, {}
    for name, make in makers.items():
        started = time.process_time()
        figures[name] = _figures(make(training), labelled)
        seconds[name] = time.process_time() - started
    result = {"figures": figures, "training_images": len(training), "images": len(labelled)}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return result, {"cpu_seconds": seconds, "machine": provenance.machine(), "date": now}


def _training_pictures(folder: Path) -> Pixels:
    """Return the good pictures, uint8 (N, 256, 256, 3), without those that cannot be decoded."""
    found = []
    for path in list_images(folder):
        try:
            picture = decode(path).pixels
        except ImageError:
            continue
        found.append(fit_to(picture, SIDE, SIDE))
    return np.stack(found)


def _figures(scorer: Scorer, labelled: Sequence[LabelledPicture]) -> Content:
    """Return image and pixel figures; a picture that cannot be decoded gets the highest score."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    counts_pixels = any(one.masks for one in labelled)
    pixels = PixelScores()
    for one in labelled:
        is_good = one.kind == GOOD
        try:
            picture = decode(one.path).pixels
        except ImageError:
            scores[is_good].append(np.inf)
            continue
        scored = scorer(fit_to(picture, SIDE, SIDE))
        scores[is_good].append(scored.score)
        if counts_pixels and (one.masks or is_good):
            with suppress(DatasetError):  # a mask that cannot be used, which the fit's evaluation names
                mask = read_masks(one.masks, picture.shape[:2]).defect if one.masks else None
                pixels.add(upsample(scored.anomaly_map, *picture.shape[:2]), mask)
    good, defective = np.array(scores[True]), np.array(scores[False])
    found = pixels.auroc()
    return {
        "auroc": auroc(good, defective),
        "auroc_interval": auroc_interval(good, defective),
        "pixel": None if found is None else {"auroc": found, "aupro": pixels.aupro()},
    }
