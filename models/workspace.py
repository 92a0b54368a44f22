"""The folder of an unfinished fit: locked by one process, and kept for `--resume` after an interruption."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from inspector.bundle.atomic import storage_errors
from inspector.errors import ResumeError, StoreBusyError
from models.fit_options import FitOptions

CHECKPOINT = "checkpoint.pt"
REQUEST = "request.json"


class Workspace:
    """The folder of one fit.

    Parameters
    ----------
    folder : Path
    name : str
        The model's name, for messages.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    @property
    def checkpoint(self) -> Path:
        """File of the training's checkpoint."""
        return self.folder / CHECKPOINT

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock the folder for this process, and remove it afterwards unless it has a checkpoint."""
        made = [parent for parent in (self.folder, *self.folder.parents) if not parent.exists()]
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as exc:
                raise StoreBusyError(
                    f"model '{self.name}' is being fitted by another process",
                    hint="wait for it, or give another --name",
                ) from exc
            try:
                with storage_errors(self.folder):
                    yield
            finally:
                lock.release()
                if not self.checkpoint.exists():
                    shutil.rmtree(self.folder, ignore_errors=True)
                    with contextlib.suppress(OSError):  # a parent folder may hold other files by now
                        for parent in made[1:]:
                            parent.rmdir()

    def may_resume(self, options: FitOptions, digest: str, *, asked: bool) -> bool:
        """Return True if a checkpoint of the same request is to be continued; otherwise start anew.

        Parameters
        ----------
        options : FitOptions
        digest : str
            Digest of all pictures.
        asked : bool
            True if the person asked to resume.

        Raises
        ------
        ResumeError
            The interrupted fit had other options or other pictures.
        """
        note = self.folder / REQUEST
        request = {"pictures": digest, **options.as_dict()}
        if asked and self.checkpoint.exists() and note.exists():
            before = json.loads(note.read_text())
            changed = [key for key in request if before.get(key) != request[key]]
            if changed:
                listed = ", ".join(f"{key} was {before.get(key)!r}, now {request[key]!r}" for key in changed)
                raise ResumeError(
                    f"the interrupted fit of '{self.name}' was another request: {listed}",
                    hint="repeat the options of the interrupted fit, or leave --resume out to start anew",
                )
            return True
        self.checkpoint.unlink(missing_ok=True)
        note.write_text(json.dumps(request))
        return False
