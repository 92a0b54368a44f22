"""Moves inspected pictures into one folder for each verdict; overwrites and loses none.

A picture is first renamed into `DIR/.moving`, keeping its relative path.  There no writer replaces it and
no scan finds it.  The sorter compares it once more with the state that was inspected, and then gives it a
name in the folder of its verdict.  If a watch is killed in between, path and content of a picture in
`.moving` tell which line of the results belongs to it.
"""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

from inspector.bundle.atomic import TEMPORARY, storage_errors, sync
from inspector.errors import StorageError
from inspector.imaging.files import printable, shortened
from inspector.types import Verdict
from inspector.watch.arrival import Arrival, Modification, digest_of

HELD = ".moving"


class Sorter:
    """Sorts pictures into the folders `pass`, `review`, `fail` and `invalid` below a destination.

    Parameters
    ----------
    folder : Path
        The watched folder; absolute.
    destination : Path, optional
        Without it, no picture is moved.
    """

    def __init__(self, folder: Path, destination: Path | None = None) -> None:
        self.folder, self.destination = folder, destination
        self._held = folder / HELD
        self._verdicts: dict[Path, Verdict] = {}  # of pictures in `.moving`

    @property
    def folders(self) -> list[Path]:
        """The four folders of the verdicts; empty if no picture is moved."""
        return [] if self.destination is None else [self.destination / name for name in get_args(Verdict)]

    def make(self) -> None:
        """Create the four folders, once at the start.

        A folder that is missing later means an unmounted share, so `move` does not create it again.

        Raises
        ------
        StorageError
            A folder cannot be created.
        """
        for folder in self.folders:
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def target(self, arrival: Arrival, verdict: Verdict) -> Path | None:
        """Return the folder that a picture is to be moved to; None if it stays.

        A symbolic link stays in place: moved, it might point to another file.
        """
        if self.destination is None or os.path.islink(arrival.path):  # noqa: PTH114 - raises nothing
            return None
        return self.destination / verdict

    def move(self, arrival: Arrival, verdict: Verdict) -> bool:
        """Move a picture into the folder of its verdict, if it is still the inspected one.

        Returns
        -------
        bool
            Whether it was moved.

        Raises
        ------
        StorageError
            The picture cannot be moved; it is still in its old place.
        """
        target, path = self.target(arrival, verdict), Path(arrival.path)
        if target is None or not arrival.is_there():
            return False
        with storage_errors(target):
            _check_room(target, arrival.modified.size_bytes, path.parent)
            try:
                inode = path.stat().st_ino
            except FileNotFoundError:
                return False
            held = self._hold(path)
            if held is None:
                return False
            try:
                is_moved = _is_still(held, arrival, inode)
                if is_moved:
                    self._verdicts[held] = verdict
                    _place(held, target, path.name)
                # Otherwise another picture had taken this name; it goes back below.
            finally:
                if held.exists():
                    path.parent.mkdir(exist_ok=True)
                    _place(held, path.parent, path.name)
                self._verdicts.pop(held, None)
                self._clear(held.parent)
        return is_moved

    @property
    def unfinished(self) -> bool:
        """True if an earlier watch left pictures in `.moving`."""
        return os.path.isdir(self._held)  # noqa: PTH112 - never raises, even if the share fails

    def finish(self, verdict: Callable[[Arrival], Verdict | None]) -> None:
        """Complete interrupted moves: to the folder of the verdict, or back if the results have no line.

        Parameters
        ----------
        verdict : callable
            Returns the verdict in the last line of a path if it is that of this content, or None.

        Raises
        ------
        StorageError
            A picture cannot be moved and stays in `.moving`.
        """
        with storage_errors(self.destination or self.folder):
            for place, _, names in os.walk(self._held, topdown=False):
                for held in (Path(place, name) for name in names):
                    path = self.folder / held.relative_to(self._held)
                    found = self._verdicts.get(held) or verdict(_read(held, path))
                    if self.destination is None or found is None:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        _place(held, path.parent, path.name)
                    else:
                        self._verdicts[held] = found  # its path may get another line before it can be placed
                        _place(held, self.destination / found, path.name, may_be_there=True)
                    self._verdicts.pop(held, None)
                self._clear(Path(place))

    def _hold(self, path: Path) -> Path | None:
        """Rename a picture into `.moving`, out of the reach of writers; None if it is gone."""
        held = self._held / path.relative_to(self.folder)
        self._held.mkdir(exist_ok=True)  # without parents: those of an unmounted share must not be created
        held.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(held):
            raise StorageError(
                f"{printable(held)} is in the way of a picture that is to be moved",
                hint="move or delete that file",
            )
        try:
            path.rename(held)
        except FileNotFoundError:
            self._clear(held.parent)
            return None
        return held

    def _clear(self, folder: Path) -> None:
        """Remove `folder` and its parents up to `.moving`, as far as they are empty."""
        with suppress(OSError):
            while folder != self.folder:
                folder.rmdir()
                folder = folder.parent


def _check_room(target: Path, size_bytes: int, source: Path) -> None:
    """Raise `OSError` where a folder obviously takes no file: before the picture is touched."""
    status = target.stat()
    if not os.access(target, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    usage = shutil.disk_usage(target)
    if status.st_dev != source.stat().st_dev and usage.total > 0 and usage.free < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


def _is_still(held: Path, arrival: Arrival, inode: int) -> bool:
    """Return whether the file in `.moving` is the one that was inspected.

    The rename has changed the file's `ctime_ns`.  So where the inode or the file system leave a doubt, the
    content decides.
    """
    status = held.stat()
    if not arrival.modified.is_like(Modification.of(status)):
        return False
    if arrival.modified.digest is None or (status.st_ino == inode and arrival.modified.shows_changes()):
        return True
    return digest_of(held) == arrival.modified.digest


def _read(held: Path, path: Path) -> Arrival:
    """Return the arrival of a file in `.moving` at its original path, with the digest of its content."""
    return Arrival(str(path), Modification.of(held.stat())).with_digest(digest_of(held))


def _place(held: Path, folder: Path, name: str, *, may_be_there: bool = False) -> None:
    """Move a file into an existing folder, under a free name.

    With `may_be_there`, a file there of the same name, time and content is this file, placed by an earlier
    watch.
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
    """Yield names to try: `part.png`, `part_2.png`, `part_3.png` and so on."""
    yield wanted
    for number in itertools.count(2):
        yield wanted.with_name(f"{shortened(wanted.stem)}_{number}{wanted.suffix}")


def _rename(file: Path, target: Path) -> None:
    """Rename a file without replacing another one: `FileExistsError` if the name is taken."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from exc
        file.rename(target)  # no hard links on this file system; any other error shows again here
    else:
        file.unlink()


def _copy(file: Path, folder: Path) -> Path:
    """Copy a file and its time to another disk; a second attempt overwrites the same temporary name."""
    status = Modification.of(file.stat())
    copy = folder / f"{TEMPORARY}{Arrival(str(file), replace(status, ctime_ns=None)).key}"
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
    return Modification.of(mine).is_like(Modification.of(its)) and filecmp.cmp(file, other, shallow=False)
