"""Writing that either happens completely or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from inspector.errors import StorageError, StoreBusyError

TEMPORARY = ".tmp-"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS}
_DENIED = {errno.EACCES, errno.EPERM}


def storage_error(path: Path, exc: OSError) -> StorageError:
    """Say in one line why `path` could not be written or read, and what to do about it."""
    if exc.errno in _FULL:
        return StorageError(
            f"no space left for {path}: {_free(path)} free",
            hint="free some space, or choose another disk (the store's folder is INSPECTOR_STORE)",
        )
    if exc.errno in _READ_ONLY:
        return StorageError(
            f"{path} cannot be written: the disk is read-only",
            hint="choose another folder (the store's folder is INSPECTOR_STORE)",
        )
    if exc.errno in _DENIED:
        return StorageError(
            f"not permitted: {path} may not be read or written by this user",
            hint="change the permissions, or choose another folder (the store's is INSPECTOR_STORE)",
        )
    return StorageError(f"{path}: {exc.strerror or exc}", hint="check the path and the disk that it lies on")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn each `OSError` of the block into a `StorageError`, naming its file or else `path`."""
    try:
        yield
    except OSError as exc:
        where = path if exc.filename is None else Path(os.fsdecode(exc.filename))
        hidden = any(part.startswith(TEMPORARY) for part in where.parts)
        raise storage_error(path if hidden else where, exc) from exc


def _free(path: Path) -> str:
    """Free space of the disk that `path` lies on, or will lie on."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
    return "nothing"


def sync(path: Path) -> None:
    """Ask the operating system to bring a file's bytes, or a folder's entries, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # what network disks answer for a folder
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """`sync` everything in `folder`, deepest first, and `folder` itself."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def temporary_sibling(path: Path) -> Path:
    """Return an unused name beside `path`; it starts with `.tmp-`."""
    return path.with_name(f"{TEMPORARY}{os.urandom(8).hex()}")


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace the file at `path` in one step: readers see the old bytes or the new ones.

    Parameters
    ----------
    path : Path
        Its folder exists.
    content : bytes
        All that the file shall hold.
    durable : bool
        Wait until the disk has it, so that it outlives a power cut.

    Raises
    ------
    StorageError
        The disk is full, read-only or not permitted; `path` is as it was before.
    """
    temporary = temporary_sibling(path)
    with storage_errors(path):
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            temporary.replace(path)
            if durable:
                sync(path.parent)
        finally:
            # After the replacement there is nothing of that name any more.
            with suppress(OSError):
                temporary.unlink()


def write_together(files: Mapping[Path, bytes]) -> None:
    """Replace several files: none of them where one cannot be written.

    Raises
    ------
    StorageError
        The disk is full, read-only or not permitted.
    """
    temporaries = {path: temporary_sibling(path) for path in files}
    try:
        for path, content in files.items():
            with storage_errors(path):
                temporaries[path].write_bytes(content)
        for path, temporary in temporaries.items():
            with storage_errors(path):
                temporary.replace(path)
    finally:
        for temporary in temporaries.values():  # those that replaced a file are gone
            with suppress(OSError):
                temporary.unlink()


def check_writable(path: Path) -> None:
    """Find out whether a file can be written at `path` before the work that makes it.

    Raises
    ------
    StorageError
        Its disk is full or read-only, or its folder is missing or not permitted.
    """
    temporary = temporary_sibling(path)
    with storage_errors(path):
        temporary.touch(exist_ok=False)
        temporary.unlink()


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Give a temporary sibling to fill; it becomes `target` when the block ends well.

    Nothing is left behind when the block raises, whatever it raises.  A target that exists and is
    not empty is never replaced.

    Raises
    ------
    StorageError
        The disk is full, read-only or not permitted.
    """
    staged = temporary_sibling(target)
    missing = [folder for folder in target.parents if not folder.exists()]
    with storage_errors(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.mkdir()
            yield staged
            sync_tree(staged)
            staged.rename(target)
            sync(target.parent)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()
            raise


@contextmanager
def locked(path: Path, what: str, seconds: float) -> Iterator[None]:
    """Hold the lock file at `path`; the lock dies with its process.

    Parameters
    ----------
    path : Path
        Its folder is made if it is not there.
    what : str
        What it protects, for the message.
    seconds : float
        How long to wait for another process.

    Raises
    ------
    StoreBusyError
        Another process still holds it.
    StorageError
        The disk is full, read-only or not permitted.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=seconds)
        except Timeout as exc:
            raise StoreBusyError(
                f"{what} is being written to by another process; waited {seconds:g} s",
                hint="try again when that has ended",
            ) from exc
    try:
        yield
    finally:
        lock.release()


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that died left in `folder`; the caller holds the lock on it."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Let `target` share the bytes of `source`, or copy them where the disk cannot share.

    Only for files that nobody changes in place, as those of a bundle are.
    """
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
