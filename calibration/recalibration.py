"""Sets new thresholds from new good pictures; the networks and the standardisation stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.new_normals import NewNormals, Reason, inspect_normals
from calibration.report.fit_page import ReportContent, UnusualPicture, write_report
from calibration.report.wording import show_number
from calibration.suspicion import FENCE, AboveBefore, outlyingness
from calibration.thresholds import changes, check_rates, set_thresholds
from inspector.bundle.atomic import link_or_copy
from inspector.bundle.folder import (
    CALIBRATION,
    REFERENCE,
    REPORT,
    Bundle,
    Fill,
    refuse_existing,
    write_bundle,
)
from inspector.bundle.names import slug
from inspector.bundle.records import Calibration, CalibrationMethod, Manifest
from inspector.bundle.reference import (
    CALIBRATION_DIGESTS,
    HELDOUT_LATENTS,
    content_digest,
    read_reference,
    write_reference,
)
from inspector.bundle.store import Store
from inspector.imaging.files import printable
from inspector.imaging.good_images import list_good_images
from inspector.scoring import decision
from inspector.scoring.detector import Detector
from inspector.scoring.preparation import ScaleTally
from inspector.settings import Settings

Progress = Callable[[int, int], None]

SHOWN_PICTURES = 6
SHOWN_RECONSTRUCTIONS = 8
REWRITTEN = frozenset({CALIBRATION, REFERENCE, REPORT})


@dataclass(frozen=True)
class Recalibration:
    """The result of a recalibration.

    Attributes
    ----------
    bundle : Bundle
        The new version.
    images : int
        Number of pictures that set the thresholds.
    skipped : tuple of (name, reason)
        Files that were left out: damaged pictures, exact copies, and pictures used in the fit.
    scale : ScaleTally
        Pictures whose brightness scale is odd for the model.
    above_before : AboveBefore
        Pictures that the threshold before would reject.
    """

    bundle: Bundle
    images: int
    skipped: tuple[tuple[str, Reason], ...]
    scale: ScaleTally
    above_before: AboveBefore


def recalibrate(
    bundle: Bundle,
    normal_dir: Path,
    target: Store | Path,
    *,
    max_false_reject: float | None = None,
    max_review: float | None = None,
    strict: bool = False,
    recursive_anyway: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Recalibration:
    """Write a version of a model whose thresholds come from new good pictures.

    Pictures of the training set and of the memory bank are left out.  They score lower than new pictures, and
    the model could not keep a promise that was made with them.  Exact copies count once.

    Parameters
    ----------
    bundle : Bundle
        The model.
    normal_dir : Path
        Searched recursively.
    target : Store or Path
        A store gets the next version under the model's name; a path receives the bundle.
    max_false_reject : float, optional
        The rate of good pictures that may fail; by default the rate of the old calibration.
    max_review : float, optional
        The rate of good pictures that may be sent to review; without it there is no review.
    strict : bool
        Refuse the folder if one picture is damaged, instead of leaving the picture out.
    recursive_anyway : bool
        Take every picture, even from a labelled set.
    settings : Settings, optional
        Limits on pictures, and the number of threads.
    progress : callable, optional
        Called after each picture with the number of pictures done and the number of all pictures.

    Returns
    -------
    Recalibration

    Raises
    ------
    UsageError
        A rate is out of its range, or the target path exists.
    DatasetError
        The folder is a labelled set, fewer than 5 pictures can be used, or one is damaged and `strict` was
        given.
    """
    rate = bundle.calibration.asked_false_reject_rate if max_false_reject is None else max_false_reject
    check_rates(rate, max_review)
    if isinstance(target, Path):
        refuse_existing(target)
    files = list_good_images(
        normal_dir, anyway=recursive_anyway, half="test", command=("inspector", "calibrate")
    )
    detector = Detector(bundle, settings)
    normals = inspect_normals(detector, normal_dir, files, strict=strict, progress=progress)
    before = bundle.calibration
    scores = decision.score(normals.statistics, bundle.manifest.columns, before)
    calibration = set_thresholds(
        scores,
        normals.peaks,
        before,
        max_false_reject=rate,
        max_review=max_review,
        source=f"{len(scores)} new good pictures from {printable(normal_dir.resolve().name)}",
        method=CalibrationMethod.NEW,
    )
    names = [path.relative_to(normal_dir).as_posix() for path in normals.paths]
    above = AboveBefore.of(scores, names, before.threshold, before.promised_false_reject_rate)
    fill = _filler(detector, calibration, normals, scores, normal_dir, target, above)
    return Recalibration(_write(bundle, target, fill), len(scores), normals.skipped, normals.scale, above)


def _write(bundle: Bundle, target: Store | Path, fill: Fill) -> Bundle:
    if isinstance(target, Path):
        return write_bundle(target, fill)
    return target.publish(slug(bundle.manifest.name), fill)


def _filler(
    detector: Detector,
    calibration: Calibration,
    normals: NewNormals,
    scores: NDArray[np.float64],
    normal_dir: Path,
    target: Store | Path,
    above: AboveBefore,
) -> Fill:
    """Return the function that fills the new version's folder: shared files, new thresholds, new report."""
    bundle = detector.bundle

    def fill(folder: Path) -> Manifest:
        for name in bundle.manifest.files:
            if name not in REWRITTEN:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(bundle.path / name, folder / name)
        text = calibration.model_dump_json(indent=2) + "\n"
        (folder / CALIBRATION).write_text(text, encoding="utf-8")
        digests = np.array([content_digest(path) for path in normals.paths], np.uint64)
        new: dict[str, NDArray[np.generic]] = {HELDOUT_LATENTS: normals.latents, CALIBRATION_DIGESTS: digests}
        write_reference(folder, {**read_reference(bundle), **new})
        manifest = bundle.manifest.model_copy(update={"version": _next_version(bundle, target)})
        content = ReportContent(
            manifest=manifest,
            calibration=calibration,
            unusual=_unusual(detector.with_calibration(calibration), normals.paths, scores, normal_dir),
            reconstructions=_reconstructions(detector, normals.paths),
            notes=[*_notes(bundle, calibration, normals), *above.in_words()],
        )
        write_report(folder / REPORT, content)
        return manifest

    return fill


def _next_version(bundle: Bundle, target: Store | Path) -> int:
    if isinstance(target, Path):
        return bundle.manifest.version + 1
    return max(target.versions(slug(bundle.manifest.name)), default=0) + 1


def _unusual(
    detector: Detector,
    paths: Sequence[Path],
    scores: NDArray[np.float64],
    normal_dir: Path,
) -> list[UnusualPicture]:
    found = []
    suspicious = outlyingness(scores) > FENCE
    for rank, i in enumerate(np.argsort(-scores, kind="stable")[:SHOWN_PICTURES], start=1):
        inspection = detector.score_file(paths[i])
        overlay = detector.draw(inspection)
        if overlay is None or inspection.picture is None or inspection.components is None:
            continue  # the file changed or disappeared meanwhile
        name = paths[i].relative_to(normal_dir).as_posix()
        found.append(
            UnusualPicture(
                name,
                overlay,
                inspection.picture,
                float(scores[i]),
                inspection.components,
                suspicious=bool(suspicious[i]),
                rank=rank,
            )
        )
    return found


def _reconstructions(
    detector: Detector, paths: Sequence[Path]
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    batch = np.stack([detector.prepare(path)[1] for path in paths[:SHOWN_RECONSTRUCTIONS]])
    return list(zip(batch, detector.reconstruct(batch), strict=True))


def _notes(bundle: Bundle, calibration: Calibration, normals: NewNormals) -> list[str]:
    version, before = bundle.manifest.version, bundle.calibration
    notes = [
        f"Recalibrated with {len(normals.paths)} new good pictures; "
        f"the networks are those of version {version}.",
        f"The threshold of version {version} was {show_number(before.threshold)}. "
        f"Different now: {'; '.join(changes(before, calibration)) or 'nothing'}.",
        *normals.scale.in_words(),
    ]
    notes += [f"{name} was left out: {reason}." for name, reason in normals.skipped[:20]]
    if len(normals.skipped) > 20:
        notes.append(f"{len(normals.skipped) - 20} more were left out.")
    return notes
