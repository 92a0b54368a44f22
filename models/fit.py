"""From a folder of normal pictures to a bundle: read, split, train, export, calibrate, prove, publish."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from calibration.conformal import heldout_count
from inspector import extras
from inspector.bundle.atomic import storage_errors
from inspector.bundle.folder import refuse_existing, write_bundle
from inspector.bundle.names import slug
from inspector.bundle.records import Manifest
from inspector.bundle.store import Store
from inspector.errors import ResumeError, StoreBusyError
from inspector.imaging.files import printable
from inspector.settings import Settings
from models import dataset
from models.article import train as article
from models.article.options import ArticleOptions
from models.export.bundle_writer import Learned, Material, Pictures, Progress, fill
from models.fit_options import FitOptions
from models.inspection import build
from models.inspection.batches import CropSampler
from models.inspection.detector import COLUMNS, FUSED, WEIGHTS
from models.inspection.options import InspectionOptions
from models.inspection.panel import InspectionPanel
from models.inspection.train import InspectionLearner, TrainOptions, train
from models.options import choose
from models.split import duplicate_groups, split, valid_flips
from models.training.course import Plan
from models.training.loop import Watch
from models.training.tensorboard import Board

CROP, BATCH = 128, 16
MMD_WEIGHT = 1.0
CHECKPOINT = "checkpoint.pt"
FINISH_SECONDS, FINISH_SECONDS_PER_PICTURE = 28.0, 0.06  # set aside for export, calibration, report
ARTICLE_FINISH_SECONDS = 15.0  # likewise, whose export is small
# And for the graph with 8-bit convolutions; a short budget is for the training, and may be overrun by that.
INT8_SECONDS, INT8_FROM_SECONDS = 10.0, 120.0


def fit(
    normal_dir: str | Path,
    *,
    name: str | None = None,
    store: Path | None = None,
    output: Path | None = None,
    resume: bool = False,
    tensorboard: Path | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
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
    tensorboard : Path, optional
        A folder of TensorBoard runs, in which this training gets one.
    progress : callable, optional
        Called as `progress(stage, done, total)`; a total of 0 is not known yet.
    note : callable, optional
        Called with one line for each file that was left out, and why.
    **options
        The fields of `models.inspection.options.InspectionOptions`, or with `preset="article"` those of
        `models.article.options.ArticleOptions`.

    Returns
    -------
    Path
        Of the bundle.

    Raises
    ------
    UsageError, DatasetError, TrainingError, StoreError
    """
    started = time.monotonic()
    chosen = choose(**options)
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
    with _board(tensorboard, model_name, resume=resume) as board, _workspace(workspace, model_name):
        run = _Run(
            folder,
            model_name,
            chosen,
            settings,
            workspace,
            resume,
            progress or _silent,
            note or _unheard,
            started,
            board,
        )
        if output is not None:
            path = write_bundle(output, run.prepare()).path
        else:
            path = target_store.publish(model_name, run.prepare()).path
        (workspace / CHECKPOINT).unlink()  # the work is done, and the folder goes with its last use
    return path


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def _unheard(line: str) -> None:
    """Tell nobody."""


@contextmanager
def _board(folder: Path | None, name: str, *, resume: bool) -> Iterator[Board | None]:
    """Open a TensorBoard run, if one was asked for."""
    if folder is None:
        yield None
        return
    try:
        board = Board(Path(folder), name, resume=resume)
    except ImportError as exc:
        error = extras.missing_extra(exc, "inspector fit --tensorboard")
        raise (error or exc) from exc
    try:
        yield board
    finally:
        board.close()


@contextmanager
def _workspace(folder: Path, name: str) -> Iterator[None]:
    """Hold the folder of an unfinished fit for this process; the lock dies with it."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
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
                with contextlib.suppress(OSError):  # a folder that holds something else by now stays
                    for place in made[1:]:
                        place.rmdir()


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
    note: Callable[[str], None]
    started: float
    board: Board | None

    def prepare(self) -> Callable[[Path], Manifest]:
        """Read and train; the rest happens in the bundle's temporary folder."""
        options = self.options
        known = dataset.read_folder(
            self.folder,
            self.workspace,
            options.image_size,
            strict=options.strict,
            max_pixels=self.settings.max_pixels,
            max_bytes=self.settings.max_bytes,
            background=options.background,
            progress=self.progress,
        )
        for file in known.skipped:
            self.note(f"left out: {printable(file.name)} ({file.reason})")
        groups = duplicate_groups(known.thumbnails)
        count = heldout_count(len(known), options.max_false_reject)
        training, heldout = split(known.digests, groups, count)
        pictures = Pictures(known, training, heldout, groups)
        if isinstance(options, ArticleOptions):
            self.options = options = replace(options, width=options.width_for(len(known)))
            learned = self._learn_article(options, pictures)
        else:
            assert isinstance(options, InspectionOptions)
            learned = self._learn(options, pictures)
        material = Material(
            self.folder,
            self.name,
            options,
            self.settings,
            options.resolved_device(),
            pictures,
            learned,
            self.progress,
        )
        return lambda target: fill(material, target)

    def _learn(self, options: InspectionOptions, pictures: Pictures) -> Learned:
        """Train the inspection network."""
        thumbnails, training = pictures.known.thumbnails, pictures.training
        sampler = CropSampler(
            pictures.pixels,
            training,
            crop=min(CROP, options.image_size),
            batch=BATCH,
            flips=valid_flips(thumbnails[training], pictures.groups[training]),
            seed=options.seed,
        )
        finish = FINISH_SECONDS + FINISH_SECONDS_PER_PICTURE * min(len(pictures.known), build.LOOKED_AT)
        finish += INT8_SECONDS if options.budget_seconds >= INT8_FROM_SECONDS else 0.0
        board = self.board

        def watcher(learner: InspectionLearner) -> Watch:
            assert board is not None
            panel = InspectionPanel(board, learner, pictures.pixels, pictures.heldout, sampler.target_mean)
            return panel.watch

        trained = train(
            sampler,
            self._train_options(options),
            self._plan(finish),
            self.workspace / CHECKPOINT,
            resume=self._may_resume(pictures.known.digest),
            progress=self.progress,
            watcher=None if board is None else watcher,
        )
        network = trained.network
        if board is not None:
            board.options(options.as_dict(), {k: v[-1][1] for k, v in trained.course.curves.items()})
        return Learned(
            architecture="inspection",
            columns=COLUMNS,
            course=trained.course,
            parameters={
                name: sum(p.numel() for p in getattr(network, name).parameters())
                for name in ("encoder", "decoder", "head")
            },
            assemble=lambda: build.assemble(
                network,
                sampler.target_mean,
                pictures.pixels,
                training,
                pictures.groups,
                options.seed,
                pictures.heldout,
            ),
            fusion={"fused": FUSED, "weights": WEIGHTS},
            rounds=True,
        )

    def _learn_article(self, options: ArticleOptions, pictures: Pictures) -> Learned:
        """Train the article's auto-encoder."""
        return article.train(
            options,
            pictures,
            lambda: self._plan(ARTICLE_FINISH_SECONDS),
            self.workspace / CHECKPOINT,
            threads=self.settings.threads,
            resume=self._may_resume(pictures.known.digest),
            progress=self.progress,
            board=self.board,
        )

    def _plan(self, finish_seconds: float) -> Plan:
        """Fix the steps, or the time that they have without what is set aside for the rest of the fit."""
        options = self.options
        if options.steps:
            return Plan(options.steps)
        left = options.budget_seconds - finish_seconds - (time.monotonic() - self.started)
        return Plan(seconds=left, grace_seconds=max(20.0, 0.07 * options.budget_seconds))

    def _train_options(self, options: InspectionOptions) -> TrainOptions:
        return TrainOptions(
            width=options.width,
            latent_dim=options.latent_dim,
            mmd_weight=MMD_WEIGHT if options.regularizer == "mmd" else 0.0,
            pretrained=options.pretrained,
            seed=options.seed,
            threads=self.settings.threads,
            device=options.resolved_device(),
        )

    def _may_resume(self, digest: str) -> bool:
        """Note what is being fitted; whether a checkpoint of the very same request is there."""
        checkpoint = self.workspace / CHECKPOINT
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
