"""From a folder of normal pictures to a bundle: read, split, train, export, calibrate, prove, publish."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from inspector import decision, heatmap, images, workshop
from inspector.bundle import refuse_existing, write_bundle
from inspector.detector import Graph, RawScores
from inspector.errors import ResumeError, StoreBusyError
from inspector.golden import write_golden
from inspector.records import SCHEMA_VERSION, Calibration, ImageContract, Manifest, TrainingSummary
from inspector.settings import Settings
from inspector.storage import storage_errors
from inspector.store import Store, slug
from models import data, export
from models.corruption import corrupt
from models.crops import CropSampler
from models.graph import COLUMNS
from models.preset import FitOptions
from models.train import Plan, Trained, TrainOptions, train

CROP, BATCH = 128, 16
FUSED = ("head", "latent_mmd")
CHECKPOINT = "checkpoint.pt"
UNUSUAL, SHOWN = 12, 8  # pictures in the report
SCORED_TRAINING = 2000  # training pictures that standardise the scores
FINISH_SECONDS, FINISH_SECONDS_PER_PICTURE = 15.0, 0.015  # set aside for export, calibration, report
PACKAGES = ("torch", "onnx", "onnxruntime", "scikit-learn", "numpy", "opencv-python-headless", "pillow")

Progress = Callable[[str, int, int], None]


def fit(
    normal_dir: str | Path,
    *,
    name: str | None = None,
    store: Path | None = None,
    output: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Learn a model from pictures of good parts alone.

    Parameters
    ----------
    normal_dir : path
        Searched recursively for pictures.
    name : str, optional
        The folder's name without it.
    store : Path, optional
        Where the model is kept and made current; `INSPECTOR_STORE` without it.
    output : Path, optional
        Write the bundle there instead of into the store.
    resume : bool
        Go on where an interrupted fit of the same request stopped.
    progress : callable, optional
        Called as `progress(stage, done, total)`; a total of 0 is not known yet.
    **options
        The fields of `models.preset.FitOptions`.

    Returns
    -------
    Path
        Of the bundle.

    Raises
    ------
    UsageError, DatasetError, TrainingError, StoreError
    """
    started = time.monotonic()
    chosen = FitOptions(**options)
    workshop.calibration("inspector fit")  # a missing package is better found now than after the training
    settings = Settings.from_environment()
    folder = Path(normal_dir)
    model_name = slug(name or folder.resolve().name)
    target_store = Store(store or settings.store)
    if output is not None:
        output = Path(output).absolute()
        refuse_existing(output)
        workspace = output.with_name(f".{output.name}.work")
    else:
        workspace = target_store.workspace(model_name)
    with _workspace(workspace, model_name):
        run = _Run(folder, model_name, chosen, settings, workspace, resume, progress or _silent, started)
        if output is not None:
            path = write_bundle(output, run.prepare()).path
        else:
            path = target_store.publish(model_name, run.prepare()).path
        (workspace / CHECKPOINT).unlink()  # the work is done, and the folder goes with its last use
    return path


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def _workspace(folder: Path, name: str) -> Iterator[None]:
    """Hold the folder of an unfinished fit for this process; the lock dies with it."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as exc:
            raise StoreBusyError(
                f"model '{name}' is being fitted by another process",
                hint="wait for it, or give another --name",
            ) from exc
        try:
            with storage_errors(folder):
                yield
        finally:
            lock.release()
            if not (folder / CHECKPOINT).exists():  # nothing to go on from: leave nothing behind
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.suppress(OSError):
                    folder.parent.rmdir()


@dataclass
class _Run:
    """One fit, from the folder to a function that fills a bundle."""

    folder: Path
    name: str
    options: FitOptions
    settings: Settings
    workspace: Path
    resume: bool
    progress: Progress
    started: float

    def prepare(self) -> Callable[[Path], Manifest]:
        """Read and train; the rest happens in the bundle's temporary folder."""
        options = self.options
        pictures = data.read_folder(
            self.folder,
            self.workspace,
            options.image_size,
            strict=options.strict,
            max_pixels=self.settings.max_pixels,
            max_bytes=self.settings.max_bytes,
            report=self.progress,
        )
        groups = data.near_duplicate_groups(pictures.thumbnails)
        conformal = workshop.room("calibration.conformal")
        count = conformal.heldout_count(len(pictures), options.max_false_reject)
        training, heldout = data.split(pictures.digests, groups, count)
        sampler = CropSampler(
            pictures.pixels,
            training,
            crop=min(CROP, options.image_size),
            batch=BATCH,
            flips=data.valid_flips(pictures.thumbnails[training], groups[training]),
            seed=options.seed,
        )
        trained = self._train(pictures, sampler)
        return lambda target: self._fill(target, pictures, training, heldout, sampler, trained)

    def _train(self, pictures: data.PictureSet, sampler: CropSampler) -> Trained:
        options = self.options
        finish = FINISH_SECONDS + FINISH_SECONDS_PER_PICTURE * min(len(pictures), SCORED_TRAINING)
        left = options.budget_seconds - finish - (time.monotonic() - self.started)
        grace = max(20.0, 0.07 * options.budget_seconds)
        plan = Plan(options.steps) if options.steps else Plan(seconds=left, grace_seconds=grace)
        checkpoint = self.workspace / CHECKPOINT
        return train(
            sampler,
            self._train_options(),
            plan,
            checkpoint,
            resume=self._may_resume(pictures.digest, checkpoint),
            progress=self.progress,
        )

    def _train_options(self) -> TrainOptions:
        options = self.options
        return TrainOptions(
            width=options.width,
            latent_dim=options.latent_dim,
            mmd_weight=1.0 if options.regularizer == "mmd" else 0.0,
            seed=options.seed,
            threads=self.settings.threads,
            device=options.resolved_device(),
        )

    def _may_resume(self, digest: str, checkpoint: Path) -> bool:
        """Note what is being fitted; whether a checkpoint of the very same request is there."""
        note = self.workspace / "request.json"
        request = {"pictures": digest, **self.options.as_dict()}
        if self.resume and checkpoint.exists() and note.exists():
            before = json.loads(note.read_text())
            changed = [key for key in request if before.get(key) != request[key]]
            if changed:
                listed = ", ".join(f"{key} was {before.get(key)!r}, now {request[key]!r}" for key in changed)
                raise ResumeError(
                    f"the interrupted fit of '{self.name}' was another request: {listed}",
                    hint="repeat the options of the interrupted fit, or leave --resume out to start anew",
                )
            return True
        checkpoint.unlink(missing_ok=True)
        note.write_text(json.dumps(request))
        return False

    def _fill(
        self,
        target: Path,
        pictures: data.PictureSet,
        training: NDArray[np.intp],
        heldout: NDArray[np.intp],
        sampler: CropSampler,
        trained: Trained,
    ) -> Manifest:
        """Write everything but the manifest's list of files."""
        options = self.options
        self.progress("exporting", 0, 4)
        graphs = export.assemble(
            trained.network, sampler.target_mean, pictures.pixels, training, options.seed
        )
        export.write_graphs(graphs, target, options.image_size)
        self.progress("exporting", 2, 4)
        graph = Graph(target / "detector.onnx", self.settings.threads)
        scored = training[np.linspace(0, len(training) - 1, min(len(training), SCORED_TRAINING)).astype(int)]
        on_training = export.score_rows(graph, pictures.pixels, scored)
        on_heldout = export.score_rows(graph, pictures.pixels, heldout)
        calibration: Calibration = workshop.room("calibration.calibrate").make_calibration(
            on_training.statistics,
            on_heldout.statistics,
            on_heldout.anomaly_map[:, 0, 0],
            COLUMNS,
            max_false_reject=options.max_false_reject,
            max_review=options.max_review,
            fused=FUSED,
            source=f"{len(heldout)} held-out pictures of {images.printable(self.folder)}",
        )
        self.progress("exporting", 3, 4)
        parity = export.check_parity(graphs, on_heldout, pictures.pixels, heldout, calibration)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            name=self.name,
            version=1,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            inspector_version=version("wae-inspector"),
            image=ImageContract(height=options.image_size, width=options.image_size),
            architecture="inspection",
            columns=COLUMNS,
            latent_dim=options.latent_dim,
            training=self._summary(pictures, training, heldout, trained),
            parity=parity,
            files={},
        )
        (target / "calibration.json").write_text(calibration.model_dump_json(indent=1))
        self._write_reference(target, pictures, training, on_heldout, graphs.landmarks)
        _write_probes(target, graph, pictures.pixels, heldout, options.seed)
        self._write_report(
            target, manifest, calibration, pictures, scored, heldout, on_training, trained, graphs
        )
        self.progress("exporting", 4, 4)
        return manifest

    def _summary(
        self,
        pictures: data.PictureSet,
        training: NDArray[np.intp],
        heldout: NDArray[np.intp],
        trained: Trained,
    ) -> TrainingSummary:
        network = trained.network
        parts = {"encoder": network.encoder, "decoder": network.decoder, "head": network.head}
        last = {name: float(np.mean([v for _, v in points[-50:]])) for name, points in trained.curves.items()}
        return TrainingSummary(
            preset=self.options.preset,
            options=self.options.as_dict(),
            steps=trained.steps,
            seconds=round(trained.seconds, 1),
            seed=self.options.seed,
            threads=self.settings.threads or torch.get_num_threads(),
            device=self._train_options().device,
            images=len(training),
            heldout_images=len(heldout),
            skipped_images=len(pictures.skipped),
            dataset_digest=pictures.digest,
            parameters={key: sum(p.numel() for p in part.parameters()) for key, part in parts.items()},
            losses=last,
            packages={package: version(package) for package in PACKAGES},
        )

    def _write_reference(
        self,
        target: Path,
        pictures: data.PictureSet,
        training: NDArray[np.intp],
        on_heldout: RawScores,
        landmarks: NDArray[np.float32],
    ) -> None:
        """Latents for drift (held-out pictures only), landmarks, and which files were trained on."""
        digests = np.array([int(pictures.digests[i][:16], 16) for i in training], dtype=np.uint64)
        np.savez(
            target / "reference.npz",
            heldout_latents=on_heldout.latent,
            landmarks=landmarks,
            training_digests=digests,
        )

    def _write_report(
        self,
        target: Path,
        manifest: Manifest,
        calibration: Calibration,
        pictures: data.PictureSet,
        scored: NDArray[np.intp],
        heldout: NDArray[np.intp],
        on_training: RawScores,
        trained: Trained,
        graphs: export.Graphs,
    ) -> None:
        report = workshop.room("calibration.report")
        components = decision.component_scores(on_training.statistics, COLUMNS, calibration)
        scores = decision.fuse(components, calibration)
        unusual = []
        graph = Graph(target / "detector.onnx", self.settings.threads)
        for i in np.argsort(-scores)[:UNUSUAL]:
            row = int(scored[i])
            picture = images.decode(
                self.folder / pictures.names[row], max_pixels=self.settings.max_pixels
            ).pixels
            raw = graph.run(np.array(pictures.pixels[row : row + 1]))
            full = heatmap.upsample(raw.anomaly_map[0], *picture.shape[:2])
            overlay = heatmap.overlay(
                picture, full, limit=calibration.map_limit, ceiling=calibration.map_ceiling, regions=()
            )
            parts = {key: float(values[i]) for key, values in components.items()}
            unusual.append(
                report.UnusualPicture(pictures.names[row], overlay, picture, float(scores[i]), parts)
            )
        originals = np.array(pictures.pixels[heldout[:SHOWN]])
        with torch.no_grad():
            copies = graphs.decoder(graphs.encoder(torch.from_numpy(originals))).numpy()
        notes = [f"{images.printable(name)}: left out, {reason}" for name, reason in pictures.skipped]
        content = report.ReportContent(
            manifest=manifest,
            calibration=calibration,
            unusual=unusual,
            reconstructions=list(zip(originals, copies, strict=True)),
            curves=trained.curves,
            notes=notes,
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
    write_golden(target, probes, raw)
