"""Scores the new good pictures of a recalibration, and leaves out those that it cannot use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import REFERENCE, Bundle
from inspector.bundle.reference import content_digest, memory_bank_digests, training_digests
from inspector.errors import BadImagesError, BundleError, ImageError, InvalidReason
from inspector.imaging.files import printable
from inspector.imaging.unusable import too_few
from inspector.scoring.detector import Detector
from inspector.scoring.preparation import ScaleTally

Progress = Callable[[int, int], None]

FEWEST_PICTURES = 5


class SkipReason(StrEnum):
    """The reasons to leave out a picture that is not damaged."""

    USED_IN_FIT = "used in the fit"
    COPY = "exact copy"


Reason = SkipReason | InvalidReason


@dataclass(frozen=True)
class NewNormals:
    """The new good pictures: files, raw statistics (n, columns), map peaks (n,), latents (n, d)."""

    paths: list[Path]
    statistics: NDArray[np.float32]
    peaks: NDArray[np.float32]
    latents: NDArray[np.float32]
    skipped: tuple[tuple[str, Reason], ...]
    scale: ScaleTally


def inspect_normals(
    detector: Detector, folder: Path, files: Sequence[Path], *, strict: bool, progress: Progress | None
) -> NewNormals:
    """Run the graph over every usable picture of a folder, one at a time."""
    known = _digests_of_fit(detector.bundle)
    scale = ScaleTally(detector.manifest.image)
    paths: list[Path] = []
    skipped: list[tuple[str, Reason]] = []
    statistics: list[NDArray[np.float32]] = []
    peaks: list[np.float32] = []
    latents: list[NDArray[np.float32]] = []
    problem: ImageError | None = None
    for done, path in enumerate(files, start=1):
        prepared = _prepare(detector, path, known, scale)
        name = path.relative_to(folder).as_posix()
        if isinstance(prepared, ImageError):
            problem = problem or prepared
            skipped.append((name, prepared.reason))
        elif isinstance(prepared, SkipReason):
            skipped.append((name, prepared))
        else:
            raw = detector.raw(prepared[np.newaxis])
            paths.append(path)
            statistics.append(raw.statistics[0])
            peaks.append(raw.anomaly_map[0].max())
            latents.append(raw.latent[0])
        if progress:
            progress(done, len(files))
    _check(folder, len(paths), skipped, problem, strict)
    return NewNormals(paths, np.stack(statistics), np.array(peaks), np.stack(latents), tuple(skipped), scale)


def _prepare(
    detector: Detector, path: Path, known: dict[int, SkipReason], scale: ScaleTally
) -> ImageError | SkipReason | NDArray[np.uint8]:
    """Return the pixels of a usable picture, uint8 (H, W, 3), and count it; else the reason to skip it."""
    try:
        picture, pixels = detector.prepare(path)
    except ImageError as error:
        return error
    digest = content_digest(path)
    if digest in known:
        return known[digest]
    known[digest] = SkipReason.COPY
    scale.add(picture.bits, picture.clipped_pixels)
    return pixels


def _digests_of_fit(bundle: Bundle) -> dict[int, SkipReason]:
    """Return the digests of all pictures that the fit used, for training or in the memory bank."""
    known = training_digests(bundle)
    if known is None:
        raise BundleError(
            f"{bundle.path / REFERENCE} does not name the pictures that the model learned from",
            hint="fit the model again",
        )
    return dict.fromkeys(known | memory_bank_digests(bundle), SkipReason.USED_IN_FIT)


def _check(
    folder: Path,
    usable: int,
    skipped: Sequence[tuple[str, Reason]],
    problem: ImageError | None,
    strict: bool,
) -> None:
    damaged = [
        f"{printable(name)} ({reason})" for name, reason in skipped if isinstance(reason, InvalidReason)
    ]
    if strict and damaged:
        raise BadImagesError(
            f"{len(damaged)} pictures in {printable(folder)} are damaged: {', '.join(damaged[:5])}",
            hint="remove them, or leave out --strict to skip them",
        )
    if usable < FEWEST_PICTURES:
        hint = "give good pictures that the fit did not use"
        raise too_few(folder, usable, skipped, FEWEST_PICTURES, hint, problem)
