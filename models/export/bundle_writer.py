"""A trained network fills a bundle: graphs, calibration, reference, golden images and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
    Column,
    ImageContract,
    Manifest,
    TrainingSummary,
)
from inspector.bundle.reference import (
    HELDOUT_LATENTS,
    MEMORY_BANK,
    MEMORY_BANK_DIGESTS,
    TRAINING_DIGESTS,
    short_digest,
    write_reference,
)
from inspector.errors import ImageError
from inspector.imaging.colour import Colour
from inspector.imaging.decode import decode
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to
from inspector.scoring import decision, heatmap
from inspector.scoring.runtime import DetectorSession
from inspector.settings import Settings
from inspector.types import RawScores
from models import dataset
from models.defects import corrupt
from models.export import int8, onnx_graphs
from models.fit_options import FitOptions
from models.inspection.build import Graphs
from models.training.course import Course

UNUSUAL, SHOWN = 12, 8  # pictures in the report
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
SHOWN_SIDE = 1024  # pixels, about twice what a report shows: the finest lines of a heatmap stay
PACKAGES = ("torch", "onnx", "onnxruntime", "scikit-learn", "numpy", "opencv-python-headless", "pillow")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pictures:
    """What a fit learns from.

    Attributes
    ----------
    known : PictureSet
        All of them.
    training, heldout : int (n,)
        Rows of the set.
    groups : int (N,)
        Pictures that share one are near-duplicates.
    """

    known: dataset.PictureSet
    training: NDArray[np.intp]
    heldout: NDArray[np.intp]
    groups: NDArray[np.integer]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W, 3)."""
        return self.known.pixels


@dataclass(frozen=True)
class Learned:
    """What a training leaves, whichever networks were trained.

    Attributes
    ----------
    architecture : str
    columns : tuple of Column
        The raw statistics of its graph.
    course : Course
    parameters : dict of str to int
        How many each network has.
    assemble : callable
        Puts networks, normalisation and scoring together.
    fusion : dict
        The arguments `fused` and `weights` of `calibration.thresholds.make_calibration`.
    figures : dict of str to float
        What else was measured, for the manifest.
    rounds : bool
        Whether a graph with 8-bit convolutions is tried.
    """

    architecture: str
    columns: tuple[Column, ...]
    course: Course
    parameters: dict[str, int]
    assemble: Callable[[], Graphs]
    fusion: dict[str, Any]
    figures: dict[str, float] = field(default_factory=dict)
    rounds: bool = False


@dataclass(frozen=True)
class Material:
    """All that a finished training leaves to be packed."""

    folder: Path
    name: str
    options: FitOptions
    settings: Settings
    device: str
    pictures: Pictures
    learned: Learned
    progress: Progress

    @property
    def heldout(self) -> NDArray[np.intp]:
        """Rows of the held-out pictures."""
        return self.pictures.heldout


def fill(material: Material, target: Path) -> Manifest:
    """Write everything but the manifest into `target`, and return the manifest without its files.

    Raises
    ------
    ParityError
        The exported graphs do not score as the trained networks do.
    """
    options, pixels, columns = material.options, material.pictures.pixels, material.learned.columns
    material.progress("exporting", 0, 5)
    graphs = material.learned.assemble()
    onnx_graphs.write_graphs(graphs, target, options.image_size)
    material.progress("exporting", 2, 5)
    threads = material.settings.threads
    heldout = onnx_graphs.score_heldout(target / GRAPH, threads, pixels, material.heldout, graphs.parts)
    calibration = _calibrate(material, graphs, heldout)
    material.progress("exporting", 3, 5)
    parity = onnx_graphs.check_parity(graphs, heldout, pixels, material.heldout, calibration, columns)
    _write_probes(target, DetectorSession(target / GRAPH, threads), pixels, material.heldout, options.seed)
    trial = _try_int8(material, target, graphs, heldout, calibration) if material.learned.rounds else None
    if trial is not None and trial.heldout is not None:  # what decides is what the thresholds belong to
        heldout = trial.heldout
        calibration = _calibrate(material, graphs, heldout)
        _write_probes(
            target, DetectorSession(target / INT8_GRAPH, threads), pixels, material.heldout, options.seed
        )
    material.progress("exporting", 4, 5)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=material.name,
        version=1,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        inspector_version=version("wae-inspector"),
        image=ImageContract(
            height=options.image_size, width=options.image_size, background=options.background
        ),
        architecture=material.learned.architecture,
        columns=columns,
        latent_dim=options.latent_dim,
        training=_summary(material),
        parity=parity,
        int8=None if trial is None else trial.summary,
        files={},
    )
    (target / "calibration.json").write_text(calibration.model_dump_json(indent=1))
    _write_reference(target, material, heldout, graphs)
    _write_report(target, material, manifest, calibration, graphs)
    material.progress("exporting", 5, 5)
    return manifest


def _try_int8(
    material: Material, target: Path, graphs: Graphs, heldout: RawScores, calibration: Calibration
) -> int8.Trial:
    course = material.learned.course
    return int8.attempt(
        int8.Material(
            folder=target,
            pixels=material.pictures.pixels,
            training=material.pictures.training,
            heldout=material.heldout,
            parts=graphs.parts,
            scored=heldout,
            calibration=calibration,
            seed=material.options.seed,
            threads=1 if course.one_thread_from is not None else course.threads,
        )
    )


def _calibrate(material: Material, graphs: Graphs, heldout: RawScores) -> Calibration:
    return make_calibration(
        graphs.training.statistics,
        heldout.statistics,
        heldout.anomaly_map[:, 0, 0],
        material.learned.columns,
        disturbed_statistics=graphs.disturbed_statistics,
        max_false_reject=material.options.max_false_reject,
        max_review=material.options.max_review,
        source=f"{len(material.heldout)} held-out pictures of {printable(material.folder)}",
        **material.learned.fusion,
        floor=FLOOR,
    )


def _summary(material: Material) -> TrainingSummary:
    course, pictures = material.learned.course, material.pictures
    last = {name: float(np.mean([v for _, v in points[-50:]])) for name, points in course.curves.items()}
    return TrainingSummary(
        preset=material.options.preset,
        options=material.options.as_dict(),
        steps=course.step,
        seconds=round(course.seconds, 1),
        seed=material.options.seed,
        threads=course.threads,
        one_thread_from=course.one_thread_from,
        device=material.device,
        images=len(pictures.training),
        heldout_images=len(pictures.heldout),
        skipped_images=len(pictures.known.skipped),
        dataset_digest=pictures.known.digest,
        parameters=material.learned.parameters,
        losses=last,
        figures=material.learned.figures,
        packages={package: version(package) for package in PACKAGES},
        folder=_recorded(material.folder),
    )


def _recorded(folder: Path) -> str | None:
    """Return the folder's full path, or None where JSON cannot hold it."""
    path = str(folder.resolve())
    return path if path.isprintable() else None


def _write_reference(target: Path, material: Material, heldout: RawScores, graphs: Graphs) -> None:
    """Write latents for drift (held-out pictures only), the memory bank, and digests of known files."""
    pictures = material.pictures

    def digests(rows: NDArray[np.intp]) -> NDArray[np.uint64]:
        return np.array([short_digest(pictures.known.digests[i]) for i in rows], np.uint64)

    arrays: dict[str, NDArray[np.generic]] = {
        HELDOUT_LATENTS: heldout.latent,
        MEMORY_BANK: graphs.landmarks,
        TRAINING_DIGESTS: digests(pictures.training),
    }
    if graphs.parts is not None:
        arrays[MEMORY_BANK_DIGESTS] = digests(pictures.heldout)
    write_reference(target, arrays)


def _write_report(
    target: Path,
    material: Material,
    manifest: Manifest,
    calibration: Calibration,
    graphs: Graphs,
) -> None:
    pictures = material.pictures.known
    components = decision.component_scores(graphs.training.statistics, manifest.columns, calibration)
    scores = decision.fuse(components, calibration)
    unusual = []
    for i in np.argsort(-scores)[:UNUSUAL]:
        row = int(graphs.rows[i])
        path, prepared = material.folder / pictures.names[row], pictures.pixels[row]
        picture = original(path, prepared, material.settings, manifest.image.background)
        verdict = decision.verdict(float(scores[i]), calibration.threshold, calibration.review_threshold)
        coarse_map, size = graphs.training.anomaly_map[i], (picture.shape[0], picture.shape[1])
        overlay = heatmap.overlay(
            picture,
            coarse_map,
            limit=calibration.map_limit,
            ceiling=calibration.map_ceiling,
            regions=heatmap.listed_regions(verdict, coarse_map, size, calibration.map_limit),
        )
        parts = {name: float(values[i]) for name, values in components.items()}
        unusual.append(report.UnusualPicture(pictures.names[row], overlay, picture, float(scores[i]), parts))
    originals = np.array(pictures.pixels[material.heldout[:SHOWN]])
    with torch.no_grad():
        copies = graphs.decoder(graphs.encoder(torch.from_numpy(originals))).numpy()
    content = report.ReportContent(
        manifest=manifest,
        calibration=calibration,
        unusual=unusual,
        reconstructions=list(zip(originals, copies, strict=True)),
        curves=material.learned.course.curves,
        loss_meanings=LOSS_MEANINGS,
        notes=[f"{printable(file.name)}: left out, {file.reason}" for file in pictures.skipped],
    )
    report.write_report(target / REPORT, content)


def original(
    path: Path, prepared: NDArray[np.uint8], settings: Settings, background: Colour
) -> NDArray[np.uint8]:
    """Return a picture in a size for the report, uint8 (H, W, 3); as prepared where its file is gone."""
    try:
        picture = decode(
            path, max_pixels=settings.max_pixels, max_bytes=settings.max_bytes, background=background
        )
    except ImageError:
        return prepared
    scale = min(1.0, SHOWN_SIDE / max(picture.height, picture.width))
    height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
    return fit_to(picture.pixels, height, width)


def _write_probes(
    target: Path, graph: DetectorSession, pixels: NDArray[np.uint8], heldout: NDArray[np.intp], seed: int
) -> None:
    """Two normal pictures and one with synthetic defects, with the scores that they must reproduce."""
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
