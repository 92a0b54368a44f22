"""From a folder of normal pictures to a bundle: read, split, train, build, calibrate, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from calibration.conformal import heldout_count
from inspector import extras
from inspector.bundle.folder import refuse_existing, write_bundle
from inspector.bundle.names import slug
from inspector.bundle.store import Store
from inspector.imaging.files import printable
from inspector.imaging.one_colour import one_colour_in_words
from inspector.settings import Settings
from models import dataset
from models.article import train as article
from models.article.options import ArticleOptions
from models.export.bundle_writer import calibrate, write_files
from models.export.fitted import Fitted, Pictures
from models.fit_options import FitOptions
from models.inspection import train as inspection
from models.inspection.variation import check_variation
from models.options import choose
from models.split import duplicate_groups, split
from models.training.course import Plan
from models.training.tensorboard import Board
from models.types import Progress
from models.workspace import Workspace


def fit(
    normal_dir: str | Path,
    *,
    name: str | None = None,
    store: Path | None = None,
    output: Path | None = None,
    resume: bool = False,
    recursive_anyway: bool = False,
    tensorboard: Path | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
    **options: Any,
) -> Path:
    """Fit a model to pictures of good parts alone.

    Parameters
    ----------
    normal_dir : path
        Searched recursively for pictures.
    name : str, optional
        The model's name; the default is the folder's name.
    store : Path, optional
        The store that gets the model as its current one; the default is `INSPECTOR_STORE`.
    output : Path, optional
        Write the bundle there instead of into the store.
    resume : bool
        Continue an interrupted fit of the same request.
    recursive_anyway : bool
        Take every picture in and below the folder, even if it looks like a labelled set with defects.
    tensorboard : Path, optional
        A folder of TensorBoard runs, in which this training gets a run.
    progress : callable, optional
        Called as `progress(stage, done, total)`; a total of 0 is not known yet.
    note : callable, optional
        Called with one line for each remark on the pictures, and for each file that was left out.
    **options
        The fields of `models.inspection.options.InspectionOptions`, or with `preset="article"` the fields
        of `models.article.options.ArticleOptions`.

    Returns
    -------
    Path
        The folder of the bundle.

    Raises
    ------
    UsageError, DatasetError, TrainingError, StoreError
    """
    started = time.monotonic()
    chosen, settings, folder = choose(**options), Settings.from_environment(), Path(normal_dir)
    model_name = slug(name or folder.resolve().name)
    target_store = Store(store or settings.store)
    if output is not None:
        output = Path(output).absolute()
        refuse_existing(output)
        workspace = Workspace(output.with_name(f".{output.name}.work"), model_name)
    else:
        workspace = Workspace(target_store.workspace(model_name), model_name)
    progress, note = progress or _silent, note or _unheard

    with _board(tensorboard, model_name, resume=resume) as board, workspace.opened():
        known = _read(folder, workspace, chosen, settings, progress, note, recursive_anyway=recursive_anyway)
        if not isinstance(chosen, ArticleOptions):  # an auto-encoder alone can learn one picture
            check_variation(folder, known.pixels)
        pictures = _split(known, chosen)
        for remark in one_colour_in_words(known.names, pictures.of_one_colour):
            note(remark)
        chosen = chosen.for_pictures(len(known))
        resumes = workspace.may_resume(chosen, known.digest, asked=resume)
        if resume and not resumes:
            note(f"nothing to resume for {model_name}: the fit starts anew")
        trained = _training_of(chosen)(
            chosen,
            pictures,
            partial(_plan, chosen, started),
            workspace.checkpoint,
            threads=settings.threads,
            resume=resumes,
            progress=progress,
            board=board,
        )
        if resumes:
            note(f"resumed at step {trained.course.resumed_at} of {trained.course.planned}")
        progress("exporting", 0, 5)
        model = trained.build()
        fitted = Fitted(folder, model_name, chosen, settings, pictures, trained.course, model, progress)
        calibration = calibrate(fitted, model.calibration_scores)
        write = partial(write_files, fitted, calibration)
        if output is not None:
            bundle = write_bundle(output, write)
        else:
            bundle = target_store.publish(model_name, write)
        workspace.checkpoint.unlink()  # the fit is complete: the workspace is removed
    return bundle.path


def _read(
    folder: Path,
    workspace: Workspace,
    options: FitOptions,
    settings: Settings,
    progress: Progress,
    note: Callable[[str], None],
    *,
    recursive_anyway: bool,
) -> dataset.PictureSet:
    """Read all pictures; give a note for each remark on their brightness scale and each file left out."""
    known = dataset.read_folder(
        folder,
        workspace.folder,
        options.image_size,
        strict=options.strict,
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        background=options.background,
        recursive_anyway=recursive_anyway,
        progress=progress,
    )
    for remark in known.remarks:
        note(remark)
    for file in known.skipped:
        note(f"left out: {printable(file.name)} ({file.reason})")
    return known


def _split(known: dataset.PictureSet, options: FitOptions) -> Pictures:
    """Hold pictures out of the training; near-duplicates stay on one side."""
    groups = duplicate_groups(known.thumbnails)
    count = heldout_count(len(known), options.max_false_reject)
    training, heldout = split(known.digests, groups, count)
    return Pictures(known, training, heldout, groups)


def _training_of(options: FitOptions) -> Callable[..., inspection.TrainedInspection | article.TrainedArticle]:
    """Return the training of the kind of network that the preset asks for."""
    return article.train if isinstance(options, ArticleOptions) else inspection.train


def _plan(options: FitOptions, started: float, finish_seconds: float, most_steps: int | None = None) -> Plan:
    """Return the number of steps, or the time for them: the budget without `finish_seconds` for the rest."""
    if options.steps:
        return Plan(options.steps)
    left = options.budget_seconds - finish_seconds - (time.monotonic() - started)
    return Plan(seconds=left, most_steps=most_steps, grace_seconds=max(20.0, 0.07 * options.budget_seconds))


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


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def _unheard(line: str) -> None:
    """Tell nobody."""
