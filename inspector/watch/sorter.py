"""Inspected pictures moved into one folder for each verdict: none overwritten, none lost on the way.

A picture is first renamed into `DIR/.moving`, where no writer replaces it and no look finds it, under the
path that it had.  There it is compared once more with what was inspected, and then gets its name in the tray.
Whatever a killed watch left in `.moving` says by its path and state which line of the results is its own.
"""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

from inspector.bundle.atomic import TEMPORARY, storage_errors, sync
from inspector.errors import StorageError
from inspector.imaging.files import printable, shortened
from inspector.types import Verdict
from inspector.watch.arrivals import Arrival, Modification

HELD = ".moving"


class Trays:
    """The folders `pass`, `review`, `fail` and `invalid` below a destination.

    Parameters
    ----------
    folder : Path
        Where pictures arrive; absolute.
    destination : Path, optional
        Nothing is moved without it.
    """

    def __init__(self, folder: Path, destination: Path | None = None) -> None:
        self.folder, self.destination = folder, destination
        self._held = folder / HELD

    @property
    def folders(self) -> list[Path]:
        """The four folders; none where nothing is moved."""
        return [] if self.destination is None else [self.destination / name for name in get_args(Verdict)]

    def make(self) -> None:
        """Make the four folders; later, where one is missing, a share is away, and it is not ours to make.

        Raises
        ------
        StorageError
            They cannot be made.
        """
        for folder in self.folders:
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def move(self, arrival: Arrival, verdict: Verdict) -> None:
        """Move a picture into the tray of its verdict, if it is still what was inspected.

        A link stays where it is: moved, it might lead elsewhere.

        Raises
        ------
        StorageError
            It cannot be moved, and lies where it was.
        """
        if self.destination is None or os.path.islink(arrival.path):  # noqa: PTH114 - raises nothing
            return
        tray, path = self.destination / verdict, Path(arrival.path)
        with storage_errors(tray):
            held = self._hold(path)
            if held is None:
                return
            try:
                if Modification.of(held.stat()) == arrival.modified:
                    _place(held, tray, path.name)
                # Otherwise another picture had taken its name, and goes back with what cannot be moved.
            finally:
                if held.exists():
                    path.parent.mkdir(exist_ok=True)
                    _place(held, path.parent, path.name)
                self._clear(held.parent)

    @property
    def unfinished(self) -> bool:
        """Whether a watch that died, or could not go on, left pictures half way."""
        return os.path.isdir(self._held)  # noqa: PTH112 - raises nothing, whatever the share does

    def finish(self, verdict: Callable[[Arrival], Verdict | None]) -> None:
        """Move what was left half way on to its tray, or back if there is no line of it.

        Parameters
        ----------
        verdict : callable
            What the results say of a picture.

        Raises
        ------
        StorageError
            Something cannot be moved, and stays half way.
        """
        with storage_errors(self.destination or self.folder):
            for place, _, names in os.walk(self._held, topdown=False):
                for held in (Path(place, name) for name in names):
                    path = self.folder / held.relative_to(self._held)
                    found = verdict(Arrival(str(path), Modification.of(held.stat())))
                    if self.destination is None or found is None:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        _place(held, path.parent, path.name)
                    else:
                        _place(held, self.destination / found, path.name, may_be_there=True)
                self._clear(Path(place))

    def _hold(self, path: Path) -> Path | None:
        """Take a picture out of the reach of writers; None where it is gone."""
        held = self._held / path.relative_to(self.folder)
        self._held.mkdir(exist_ok=True)  # not its parents: where a share is away, they are not ours to make
        held.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(held):
            raise StorageError(
                f"{printable(held)} is in the way of a picture that is to be moved", hint="move it away"
            )
        try:
            path.rename(held)
        except FileNotFoundError:
            self._clear(held.parent)
            return None
        return held

    def _clear(self, folder: Path) -> None:
        """Remove `folder` and those above it, up to `.moving`, as far as they are empty."""
        with suppress(OSError):
            while folder != self.folder:
                folder.rmdir()
                folder = folder.parent


def _place(held: Path, folder: Path, name: str, *, may_be_there: bool = False) -> None:
    """Give a file a name in `folder`, which is there, that nothing has yet, and take the one that it had.

    With `may_be_there`, a file of that name, time and content is the file itself, placed before.
    """
    try:
        _name(held, held, folder / name, may_be_there=may_be_there)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        copy = _copy(held, folder)
        try:
            _name(copy, held, folder / name, may_be_there=may_be_there)
        finally:
            copy.unlink(missing_ok=True)
        sync(folder)
    held.unlink(missing_ok=True)


def _name(file: Path, original: Path, wanted: Path, *, may_be_there: bool) -> None:
    for target in _numbered(wanted):
        try:
            _rename(file, target)
        except FileExistsError:
            if may_be_there and _is_same(original, target):
                return
        else:
            return


def _numbered(wanted: Path) -> Iterator[Path]:
    """Names to try: `part.png`, `part_2.png`, `part_3.png` and so on."""
    yield wanted
    for number in itertools.count(2):
        yield wanted.with_name(f"{shortened(wanted.stem)}_{number}{wanted.suffix}")


def _rename(file: Path, target: Path) -> None:
    """Rename a file; `FileExistsError` where something has that name, which `os.rename` would replace."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from exc
        file.rename(target)  # this disk knows no second names, or there is a reason that will show again
    else:
        file.unlink()


def _copy(file: Path, folder: Path) -> Path:
    """Copy a file, with its time, to another disk, under a name that a second attempt writes over."""
    copy = folder / f"{TEMPORARY}{Arrival(str(file), Modification.of(file.stat())).key.hex()}"
    try:
        shutil.copy2(file, copy)
        sync(copy)
    except BaseException:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        raise
    return copy


def _is_same(file: Path, other: Path) -> bool:
    mine, its = file.stat(), other.stat()
    return Modification.of(mine) == Modification.of(its) and filecmp.cmp(file, other, shallow=False)
