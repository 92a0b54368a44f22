"""Atomic writing: a file or folder is written completely or not at all."""

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
    """Return an error that says why `path` could not be written or read, and what to do next."""
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
    """Turn an `OSError` of the block into a `StorageError` that names its file, or else `path`."""
    try:
        yield
    except OSError as exc:
        where = path if exc.filename is None else Path(os.fsdecode(exc.filename))
        hidden = any(part.startswith(TEMPORARY) for part in where.parts)
        raise storage_error(path if hidden else where, exc) from exc


def _free(path: Path) -> str:
    """Return the free space of the disk that holds, or will hold, `path`."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
    return "nothing"


def sync(path: Path) -> None:
    """Ask the operating system to write a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # network disks answer this for a folder
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Call `sync` for all entries of `folder`, deepest first, and for `folder`."""
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
        A file in a folder that exists.
    content : bytes
        The whole content of the file.
    durable : bool
        Wait for the disk, so that the file survives a power cut.

    Raises
    ------
    StorageError
        The disk is full, read-only or not permitted; `path` is unchanged.
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
            # After the replacement the temporary name no longer exists.
            with suppress(OSError):
                temporary.unlink()


def write_together(files: Mapping[Path, bytes]) -> None:
    """Replace several files, or none of them if one cannot be written.

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
        for temporary in temporaries.values():  # a temporary that replaced its file no longer exists
            with suppress(OSError):
                temporary.unlink()


def check_writable(path: Path) -> None:
    """Check that a file can be written at `path`, before the work that makes the file.

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
    """Yield a temporary folder to fill; it becomes `target` when the block ends without an error.

    If the block raises, nothing is left behind.  A target that exists and is not empty is never replaced.

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
        The lock file; its folder is made if needed.
    what : str
        Name of the protected object, for the message.
    seconds : float
        Time to wait for another process.

    Raises
    ------
    StoreBusyError
        Another process still holds the lock.
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
    """Remove the temporary files of killed writers from `folder`; the caller holds its lock."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link `target` to `source`, or copy the file if the disk has no links.

    Use it only for files that are never changed in place, such as those of a bundle.
    """
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
