"""Writes the files of a bundle: graphs, calibration, reference, golden images and report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.report import fit_page as report
from calibration.thresholds import make_calibration
from inspector.bundle.folder import GRAPH, INT8_GOLDEN, INT8_GRAPH, REPORT
from inspector.bundle.golden import INT8_TOLERANCE, write_golden
from inspector.bundle.records import (
    SCHEMA_VERSION,
    Calibration,
    CalibrationMethod,
    ImageContract,
    Manifest,
    TrainingSummary,
)
from inspector.bundle.reference import (
    CALIBRATION_DIGESTS,
    HELDOUT_LATENTS,
    MEMORY_BANK,
    TRAINING_DIGESTS,
    short_digest,
    write_reference,
)
from inspector.imaging.files import printable
from inspector.imaging.one_colour import one_colour_in_words
from inspector.imaging.subfolders import count_folders, folders_in_words
from inspector.scoring.runtime import DetectorSession
from inspector.types import RawScores
from models.defects import corrupt
from models.export import int8, onnx_graphs, unusual
from models.export.fitted import Fitted

UNUSUAL, SHOWN = 6, 8  # pictures in the report: unusual ones of each kind, and reconstructions
FLOOR = -0.5  # a component far below the usual does not make up for a defect that another one sees
LOSS_MEANINGS = {
    "total": "the weighted sum, which training lowers",
    "reconstruction": "difference between the repaired picture and the true one",
    "mmd": "distance of the latents from the prior",
    "gan": "how well the adversary tells latents from the prior, which the encoder lowers",
    "adversary": "how badly the adversary tells latents from the prior, which the adversary lowers",
    "kl": "distance of each latent's distribution from the prior",
    "head": "how badly the head finds corrupted patches",
}
PACKAGES = (
    "torch",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "simplejpeg",
)


def calibrate(fitted: Fitted, scores: RawScores) -> Calibration:
    """Set the thresholds from scores of the pictures that are kept for it."""
    model, options = fitted.model, fitted.options
    crossed = model.is_cross_fitted
    return make_calibration(
        scores.statistics if crossed else model.training.statistics,
        scores.statistics,
        scores.anomaly_map.max((1, 2)),
        model.columns,
        fused=tuple(model.weights),
        weights=tuple(model.weights.values()),
        floor=FLOOR,
        disturbed_statistics=model.disturbed_statistics,
        max_false_reject=options.max_false_reject,
        max_review=options.max_review,
        source=_source(fitted),
        method=CalibrationMethod.CROSS if crossed else CalibrationMethod.HELD_OUT,
    )


def _source(fitted: Fitted) -> str:
    """Say which pictures set the thresholds."""
    number, folder = len(fitted.model.calibration_rows), printable(fitted.folder)
    if not fitted.model.is_cross_fitted:
        return f"{number} held-out pictures of {folder}"
    return f"{number} of {len(fitted.pictures.known)} pictures of {folder}"


def write_files(fitted: Fitted, calibration: Calibration, target: Path) -> Manifest:
    """Write everything but the manifest into `target`, and return the manifest without its files.

    If a graph with 8-bit convolutions pays, the bundle ships it, and is calibrated with its scores.

    Raises
    ------
    ParityError
        The exported graph does not score as the trained network does.
    """
    model, options, pixels = fitted.model, fitted.options, fitted.pictures.pixels
    rows, threads = model.calibration_rows, fitted.settings.threads
    onnx_graphs.write_graphs(model, target, options.image_size)
    fitted.progress("exporting", 2, 5)
    exported = onnx_graphs.score_by_folds(target / GRAPH, threads, pixels, rows, model.calibration_folds)
    scores = model.calibration_scores
    parity = onnx_graphs.check_parity(scores.statistics, exported.statistics, calibration, model.columns)
    _write_probes(target, DetectorSession(target / GRAPH, threads), pixels, rows, options.seed)
    fitted.progress("exporting", 3, 5)
    summary = None
    if model.try_int8:
        trial = _try_int8(fitted, target, calibration)
        summary = trial.summary
        if trial.scores is not None:
            scores = trial.scores
            calibration = calibrate(fitted, scores)
            int8_session = DetectorSession(target / INT8_GRAPH, threads)
            _write_probes(target, int8_session, pixels, rows, options.seed)
    fitted.progress("exporting", 4, 5)
    sides = _scores(fitted, scores, calibration)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=fitted.name,
        version=1,
        created=calibration.created,
        inspector_version=version("wae-inspector"),
        image=ImageContract(
            height=options.image_size,
            width=options.image_size,
            background=options.background,
            full_scale=fitted.pictures.known.full_scale,
            bits=fitted.pictures.known.bits,
        ),
        architecture=model.architecture,
        columns=model.columns,
        latent_dim=options.latent_dim,
        training=_summary(fitted, sides),
        parity=parity,
        int8=summary,
        files={},
    )
    (target / "calibration.json").write_text(calibration.model_dump_json(indent=1))
    _write_reference(target, fitted, scores)
    _write_report(target, fitted, manifest, calibration, sides)
    fitted.progress("exporting", 5, 5)
    return manifest


def _try_int8(fitted: Fitted, target: Path, calibration: Calibration) -> int8.Int8Trial:
    course = fitted.course
    return int8.attempt(
        int8.Int8Request(
            folder=target,
            pixels=fitted.pictures.pixels,
            training=fitted.model.training_rows,
            compared=fitted.model.calibration_rows,
            folds=fitted.model.calibration_folds,
            columns=fitted.model.columns,
            scored=fitted.model.calibration_scores,
            calibration=calibration,
            seed=fitted.options.seed,
            threads=1 if course.one_thread_from is not None else course.threads,
        )
    )


def _summary(fitted: Fitted, sides: Sequence[unusual.Scores]) -> TrainingSummary:
    course, pictures = fitted.course, fitted.pictures
    last = {name: float(np.mean([v for _, v in points[-50:]])) for name, points in course.curves.items()}
    return TrainingSummary(
        preset=fitted.options.preset,
        options=fitted.options.as_dict(),
        steps=course.step,
        seconds=round(course.seconds, 1),
        seed=fitted.options.seed,
        threads=course.threads,
        one_thread_from=course.one_thread_from,
        device=fitted.options.resolved_device(),
        images=len(_learned_from(fitted)),
        heldout_images=len(pictures.known) - len(_learned_from(fitted)),
        skipped_images=len(pictures.known.skipped),
        dataset_digest=pictures.known.digest,
        parameters=fitted.model.parameters,
        losses=last,
        figures=fitted.model.figures,
        heldout_errors=fitted.model.heldout_errors,
        packages={package: version(package) for package in PACKAGES},
        folder=_recorded(fitted.folder),
        smallest_picture=pictures.known.smallest,
        largest_picture=pictures.known.largest,
        suspicious_images=unusual.count_suspicious(sides),
        most_unusual=unusual.most_unusual(sides, pictures.known.names),
    )


def _recorded(folder: Path) -> str | None:
    """Return the folder's full path, or None if JSON cannot hold it."""
    path = str(folder.resolve())
    return path if path.isprintable() else None


def _learned_from(fitted: Fitted) -> NDArray[np.intp]:
    """Return the pictures of which anything was learned."""
    if fitted.model.is_cross_fitted:
        return np.arange(len(fitted.pictures.known))
    return fitted.pictures.training


def _write_reference(target: Path, fitted: Fitted, scores: RawScores) -> None:
    """Write latents for drift, the memory bank, and digests of known files."""
    pictures, model = fitted.pictures, fitted.model

    def digests(rows: NDArray[np.intp]) -> NDArray[np.uint64]:
        return np.array([short_digest(pictures.known.digests[i]) for i in rows], np.uint64)

    arrays: dict[str, NDArray[np.generic]] = {
        HELDOUT_LATENTS: scores.latent[model.heldout_positions],
        MEMORY_BANK: model.memory_bank,
        TRAINING_DIGESTS: digests(_learned_from(fitted)),
        CALIBRATION_DIGESTS: digests(model.calibration_rows),
    }
    write_reference(target, arrays)


def _scores(fitted: Fitted, scores: RawScores, calibration: Calibration) -> list[unusual.Scores]:
    """Return the scores of the pictures that set the thresholds, then of the others, or those of all.

    The graph with 8 bits returns no whole maps.
    """
    model = fitted.model
    if model.is_cross_fitted:
        statistics = model.training.statistics.copy()
        statistics[np.isin(model.training_rows, model.calibration_rows)] = scores.statistics
        everything = RawScores(statistics, model.training.anomaly_map, model.training.latent)
        return [_side(fitted, everything, model.training_rows, calibration, held_out=False)]
    apart = RawScores(scores.statistics, model.calibration_scores.anomaly_map, scores.latent)
    return [
        _side(fitted, apart, model.calibration_rows, calibration, held_out=True),
        _side(fitted, model.training, model.training_rows, calibration, held_out=False),
    ]


def _side(
    fitted: Fitted, scores: RawScores, rows: NDArray[np.intp], calibration: Calibration, *, held_out: bool
) -> unusual.Scores:
    return unusual.Scores.of(
        scores,
        rows,
        fitted.model.columns,
        calibration,
        held_out=held_out,
        of_one_colour=fitted.pictures.of_one_colour[rows],
    )


def _write_report(
    target: Path,
    fitted: Fitted,
    manifest: Manifest,
    calibration: Calibration,
    sides: Sequence[unusual.Scores],
) -> None:
    model, pictures = fitted.model, fitted.pictures.known
    shown = [
        picture
        for side in sides
        for picture in unusual.draw(
            side, UNUSUAL, fitted.folder, pictures, calibration, manifest.image, fitted.settings
        )
    ]
    originals = np.array(pictures.pixels[fitted.pictures.heldout[:SHOWN]])
    with torch.no_grad():
        copies = model.decoder(model.encoder(torch.from_numpy(originals))).numpy()
    content = report.ReportContent(
        manifest=manifest,
        calibration=calibration,
        unusual=shown,
        reconstructions=list(zip(originals, copies, strict=True)),
        curves=fitted.course.curves,
        loss_meanings=LOSS_MEANINGS,
        notes=[
            *pictures.remarks,
            *one_colour_in_words(pictures.names, fitted.pictures.of_one_colour),
            *folders_in_words(count_folders(pictures.names)),
            *(f"{printable(file.name)}: left out, {file.reason}" for file in pictures.skipped),
        ],
    )
    report.write_report(target / REPORT, content)


def _write_probes(
    target: Path, graph: DetectorSession, pixels: NDArray[np.uint8], heldout: NDArray[np.intp], seed: int
) -> None:
    """Write golden images: two normal pictures and one with synthetic defects, with their scores."""
    probes = np.array(pixels[heldout[:2]])
    clean = probes[0].astype(np.float32) / 255
    rng = np.random.default_rng(seed)
    dirty = corrupt(rng, clean, clean[::-1].copy(), max(float(clean.std()), 0.02)).picture
    probes = np.concatenate([probes, (dirty[np.newaxis] * 255).round().astype(np.uint8)])
    raws = [graph.run(probe[np.newaxis]) for probe in probes]
    raw = RawScores(
        np.concatenate([r.statistics for r in raws]),
        np.concatenate([r.anomaly_map for r in raws]),
        np.concatenate([r.latent for r in raws]),
    )
    if graph.path.name == INT8_GRAPH:
        write_golden(target, probes, raw, INT8_TOLERANCE, INT8_GOLDEN)
    else:
        write_golden(target, probes, raw)
