"""A picture in one state of its file, and whether it still is the same one.

Name, size and time of modification do not tell pictures apart: cameras write the same name again, programs
that copy set the time that they like, and FAT counts it in steps of two seconds.  So the content decides.
As long as the file system's own time of change stays the same, the content need not be read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from inspector.errors import DatasetError, EmptyImageError, ImageError, UnreadableImageError
from inspector.imaging.files import check_bytes, printable

TICK_SECONDS = 0.02
"""Changes of a file within this time may get the same time: kernels advance it in steps of up to 10 ms."""

_COARSE_NS = 10_000_000  # FAT counts 2 s, exFAT 10 ms, other file systems nanoseconds or 100 ns


@dataclass(frozen=True)
class Modification:
    """One state of a file.

    Attributes
    ----------
    mtime_ns : int
        Time of modification.  Programs that copy files set it as they like.
    size_bytes : int
    ctime_ns : int or None
        Time of the last change by the clock of the file system, which no program can set.  None in lines of
        older versions.
    digest : str or None
        `sha256:` and the digest of the content; None until it is read, and if it cannot be read.
    """

    mtime_ns: int
    size_bytes: int
    ctime_ns: int | None = None
    digest: str | None = None

    @classmethod
    def of(cls, status: os.stat_result, link: os.stat_result | None = None) -> Self:
        """Read it from the status of a file, and of a link that leads there: it may point elsewhere later."""
        changed_ns = status.st_ctime_ns if link is None else max(status.st_ctime_ns, link.st_ctime_ns)
        return cls(status.st_mtime_ns, status.st_size, changed_ns)

    def shows_changes(self) -> bool:
        """Return whether every change of the file shows in `ctime_ns`.

        FAT keeps no such time and repeats that of the modification.  Its times, and those of other file
        systems whose steps are too long, are recognised by their round numbers.
        """
        return self.ctime_ns is not None and self.ctime_ns % _COARSE_NS != 0

    def is_like(self, other: Modification) -> bool:
        """Return whether both have the same size and time of modification."""
        return (self.mtime_ns, self.size_bytes) == (other.mtime_ns, other.size_bytes)


@dataclass(frozen=True)
class Arrival:
    """A picture in one state: its absolute path, and the state of its file."""

    path: str
    modified: Modification

    @cached_property
    def key(self) -> str:
        """Digest of path and state, 32 hexadecimal digits."""
        words = f"{self.modified} {self.path}"
        return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def with_digest(self, digest: str | None) -> Arrival:
        """Return this arrival with the digest of its content."""
        return replace(self, modified=replace(self.modified, digest=digest))

    def is_there(self) -> bool:
        """Return whether the file is still in this state, as far as its status shows."""
        try:
            return self._is(os.stat(self.path))  # noqa: PTH116 - a path is a string here
        except OSError:
            return False

    def read(self, max_bytes: int) -> tuple[Arrival, bytes | ImageError] | None:
        """Return this arrival with its digest, and its bytes or the fault of the picture; None if it is gone.

        The state is compared before and after reading, through one file descriptor.  So bytes of another file
        of the same name, or of a writer at work, are never returned.

        Raises
        ------
        DatasetError
            The disk or the network fails; the picture is not at fault.
        """
        try:
            content = self._read(max_bytes)
        except EmptyImageError as error:
            return self.with_digest(_digest(b"")), error
        except ImageError as error:
            return self, error
        except FileNotFoundError:
            return None
        except PermissionError as exc:
            return self, UnreadableImageError(
                f"{printable(self.path)} cannot be opened: {exc.strerror}", hint="check its permissions"
            )
        except OSError as exc:
            raise DatasetError(
                f"{printable(self.path)} cannot be read: {exc.strerror or exc}",
                hint="check the disk or the network share; the watch tries again",
            ) from exc
        return None if content is None else (self.with_digest(_digest(content)), content)

    def _read(self, max_bytes: int) -> bytes | None:
        # O_NONBLOCK: the name may belong to a pipe by now, and opening a pipe would block.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not self._is(os.fstat(descriptor)):
                return None
            check_bytes(self.modified.size_bytes, printable(self.path), max_bytes)
            content = stream.read()
            return content if self._is(os.fstat(descriptor)) else None

    def _is(self, status: os.stat_result) -> bool:
        found = Modification.of(status, os.lstat(self.path))
        return stat.S_ISREG(status.st_mode) and found == replace(self.modified, digest=None)


def digest_of(path: Path) -> str:
    """Return the digest of a file's content, as in `Modification`."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
