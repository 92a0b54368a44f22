"""Finds the pictures that a model learned from in a folder, by their content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspector.bundle.atomic import storage_errors
from inspector.bundle.folder import Bundle
from inspector.bundle.reference import content_digest, training_digests
from inspector.errors import DatasetError, NoImagesError, StorageError
from inspector.imaging.files import list_images, printable

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingPictures:
    """Files of a folder that a model was trained on.

    Attributes
    ----------
    folder : Path
    files : tuple of Path
        Identical files are listed once.
    recognised : bool
        True if `files` are those with a digest that the model recorded; False if they are all pictures of
        the folder, because no digest matched.
    learned : int
        Number of files that the model was trained on.
    """

    folder: Path
    files: tuple[Path, ...]
    recognised: bool
    learned: int


def find(bundle: Bundle, folder: Path, progress: Progress | None = None) -> TrainingPictures:
    """Find the pictures of a folder that a model was trained on.

    If no digest matches, as in a folder whose pictures were saved anew, all pictures are returned.

    Raises
    ------
    NoImagesError
        The folder does not exist, or holds no picture.
    StorageError
        A file may not be read.
    """
    known = training_digests(bundle) or frozenset()
    files: dict[int, Path] = {}
    listed = list_images(folder)
    if not listed:
        raise NoImagesError(
            f"{printable(folder)} holds no picture", hint="give the folder that the model was fitted on"
        )
    for done, path in enumerate(listed, start=1):
        with storage_errors(path):
            files.setdefault(content_digest(path), path)
        if progress:
            progress(done, len(listed))
    recognised = {digest: path for digest, path in files.items() if digest in known}
    return TrainingPictures(folder, tuple((recognised or files).values()), bool(recognised), len(known))


def find_recorded(bundle: Bundle, progress: Progress | None = None) -> TrainingPictures | None:
    """Find the training pictures in the folder of the fit; None if they are no longer there."""
    folder = bundle.manifest.training.folder
    if folder is None:
        return None
    try:
        found = find(bundle, Path(folder), progress)
    except (DatasetError, StorageError):
        return None
    return found if found.recognised else None
