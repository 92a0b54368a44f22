"""A trained network fills a bundle: graphs, calibration, reference, golden images and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inspector import decision, heatmap, images, workshop
from inspector.bundle import GRAPH, HELDOUT_LATENTS, INT8_GOLDEN, INT8_GRAPH, REFERENCE
from inspector.detector import Graph, RawScores
from inspector.golden import INT8_TOLERANCE, write_golden
from inspector.records import SCHEMA_VERSION, Calibration, ImageContract, Manifest, TrainingSummary
from inspector.settings import Settings
from models import data, export, int8
from models.corruption import corrupt
from models.graph import COLUMNS
from models.preset import FitOptions
from models.train import Trained

UNUSUAL, SHOWN = 12, 8  # pictures in the report
PACKAGES = ("torch", "onnx", "onnxruntime", "scikit-learn", "numpy", "opencv-python-headless", "pillow")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Material:
    """All that a finished training leaves to be packed."""

    folder: Path
    name: str
    options: FitOptions
    settings: Settings
    device: str
    pictures: data.PictureSet
    training: NDArray[np.intp]
    heldout: NDArray[np.intp]
    groups: NDArray[np.integer]
    target_mean: float
    trained: Trained
    progress: Progress


def fill(material: Material, target: Path) -> Manifest:
    """Write everything but the manifest into `target`, and return the manifest without its files.

    Raises
    ------
    ParityError
        The exported graphs do not score as the trained networks do.
    """
    options, pixels = material.options, material.pictures.pixels
    material.progress("exporting", 0, 5)
    graphs = export.assemble(
        material.trained.network,
        material.target_mean,
        pixels,
        material.training,
        material.groups,
        options.seed,
    )
    export.write_graphs(graphs, target, options.image_size)
    material.progress("exporting", 2, 5)
    graph = Graph(target / GRAPH, material.settings.threads)
    heldout = export.score_rows(graph, pixels, material.heldout)
    calibration = _calibrate(material, graphs, heldout)
    material.progress("exporting", 3, 5)
    parity = export.check_parity(graphs, heldout, pixels, material.heldout, calibration)
    _write_probes(target, graph, pixels, material.heldout, options.seed)
    trial = _try_int8(material, target, heldout, calibration)
    if trial.heldout is not None:  # what decides is what the thresholds belong to
        heldout = trial.heldout
        calibration = _calibrate(material, graphs, heldout)
        quick = Graph(target / INT8_GRAPH, material.settings.threads)
        _write_probes(target, quick, pixels, material.heldout, options.seed)
    material.progress("exporting", 4, 5)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=material.name,
        version=1,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        inspector_version=version("wae-inspector"),
        image=ImageContract(height=options.image_size, width=options.image_size),
        architecture="inspection",
        columns=COLUMNS,
        latent_dim=options.latent_dim,
        training=_summary(material),
        parity=parity,
        int8=trial.summary,
        files={},
    )
    (target / "calibration.json").write_text(calibration.model_dump_json(indent=1))
    _write_reference(target, material, heldout, graphs.landmarks)
    _write_report(target, material, manifest, calibration, graphs)
    material.progress("exporting", 5, 5)
    return manifest


def _try_int8(material: Material, target: Path, heldout: RawScores, calibration: Calibration) -> int8.Trial:
    return int8.attempt(
        int8.Material(
            folder=target,
            pixels=material.pictures.pixels,
            training=material.training,
            heldout=material.heldout,
            scored=heldout,
            calibration=calibration,
            seed=material.options.seed,
            threads=1 if material.trained.one_thread_from is not None else material.trained.threads,
        )
    )


def _calibrate(material: Material, graphs: export.Graphs, heldout: RawScores) -> Calibration:
    calibration: Calibration = workshop.room("calibration.calibrate").make_calibration(
        graphs.training.statistics,
        heldout.statistics,
        heldout.anomaly_map[:, 0, 0],
        COLUMNS,
        relit_statistics=graphs.relit_statistics,
        max_false_reject=material.options.max_false_reject,
        max_review=material.options.max_review,
        source=f"{len(material.heldout)} held-out pictures of {images.printable(material.folder)}",
    )
    return calibration


def _summary(material: Material) -> TrainingSummary:
    network, trained = material.trained.network, material.trained
    parts = {"encoder": network.encoder, "decoder": network.decoder, "head": network.head}
    last = {name: float(np.mean([v for _, v in points[-50:]])) for name, points in trained.curves.items()}
    return TrainingSummary(
        preset=material.options.preset,
        options=material.options.as_dict(),
        steps=trained.steps,
        seconds=round(trained.seconds, 1),
        seed=material.options.seed,
        threads=trained.threads,
        one_thread_from=trained.one_thread_from,
        device=material.device,
        images=len(material.training),
        heldout_images=len(material.heldout),
        skipped_images=len(material.pictures.skipped),
        dataset_digest=material.pictures.digest,
        parameters={key: sum(p.numel() for p in part.parameters()) for key, part in parts.items()},
        losses=last,
        packages={package: version(package) for package in PACKAGES},
        folder=_recorded(material.folder),
    )


def _recorded(folder: Path) -> str | None:
    """Return the folder's full path, or None where JSON cannot hold it."""
    path = str(folder.resolve())
    return path if path.isprintable() else None


def _write_reference(
    target: Path, material: Material, heldout: RawScores, landmarks: NDArray[np.float32]
) -> None:
    """Latents for drift (held-out pictures only), landmarks, and which files were trained on."""
    digests = np.array([int(material.pictures.digests[i][:16], 16) for i in material.training], np.uint64)
    arrays: dict[str, NDArray[np.generic]] = {
        HELDOUT_LATENTS: heldout.latent,
        "landmarks": landmarks,
        "training_digests": digests,
    }
    np.savez(target / REFERENCE, allow_pickle=False, **arrays)


def _write_report(
    target: Path,
    material: Material,
    manifest: Manifest,
    calibration: Calibration,
    graphs: export.Graphs,
) -> None:
    report = workshop.room("calibration.report")
    pictures = material.pictures
    components = decision.component_scores(graphs.training.statistics, COLUMNS, calibration)
    scores = decision.fuse(components, calibration)
    unusual = []
    for i in np.argsort(-scores)[:UNUSUAL]:
        row = int(graphs.rows[i])
        path = material.folder / pictures.names[row]
        picture = images.decode(path, max_pixels=material.settings.max_pixels).pixels
        full = heatmap.upsample(graphs.training.anomaly_map[i], *picture.shape[:2])
        overlay = heatmap.overlay(picture, full, limit=calibration.map_limit, ceiling=calibration.map_ceiling)
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
        curves=material.trained.curves,
        notes=[f"{images.printable(name)}: left out, {reason}" for name, reason in pictures.skipped],
    )
    report.write_report(target / "report.html", content)


def _write_probes(
    target: Path, graph: Graph, pixels: NDArray[np.uint8], heldout: NDArray[np.intp], seed: int
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
