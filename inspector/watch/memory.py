"""Remembers the results of a watch: the last line of each path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, get_args

from inspector.types import Verdict
from inspector.watch.arrival import Modification

_VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
_NUMBER_BYTES = 12  # holds the nanoseconds of any time that a file system knows
_GONE, _HAS_CTIME, _HAS_DIGEST = 8, 16, 32
_SHA256 = "sha256:"


@dataclass(frozen=True)
class LastLine:
    """The last line of a path.

    Attributes
    ----------
    modified : Modification
        The state of the picture that has this line.
    verdict : Verdict
    gone : bool
        The path was without a picture since then, or an earlier watch was to move the picture away.
    """

    modified: Modification
    verdict: Verdict
    gone: bool = False

    def is_surely(self, now: Modification) -> bool:
        """Return whether the status of a file alone shows that it is the picture of this line."""
        then = self.modified
        if not then.is_like(now):
            return False
        if then.ctime_ns is None:  # a line of an older version
            return not self.gone
        known = now.shows_changes() or (then.digest is None and not self.gone)
        return known and then.ctime_ns == now.ctime_ns

    def is_of(self, read: Modification) -> bool:
        """Return whether this is the line of a picture whose content was read.

        The same content again is another picture if the first one was gone in between.
        """
        same = self.modified.digest is not None and self.modified.digest == read.digest
        return self.is_surely(read) or (self.modified.is_like(read) and same and not self.gone)

    def is_of_moving(self, held: Modification) -> bool:
        """Return whether this is the line of a picture that a watch was moving when it ended."""
        return self.modified.is_like(held) and self.modified.digest in {None, held.digest}


class Memory:
    """The last line of each path, in about 200 bytes each."""

    def __init__(self) -> None:
        self._lines: dict[bytes, bytes] = {}

    def get(self, path: str) -> LastLine | None:
        """Return the last line of a path; None if it has none."""
        packed = self._lines.get(_key(path))
        return None if packed is None else _unpacked(packed)

    def note(self, path: str, line: LastLine) -> None:
        """Remember a line as the last one of its path.

        Raises
        ------
        OverflowError
            A number is larger than any time or size of a file.
        """
        self._lines[_key(path)] = _packed(line)

    def mark_gone(self, paths: Iterable[str]) -> None:
        """Note that there is no picture at these paths."""
        for key in map(_key, paths):
            if key in self._lines:
                self._mark(key)

    def mark_all_gone_but(self, paths: Iterable[str]) -> None:
        """Note that there is no picture anywhere but at these paths."""
        for key in self._lines.keys() - set(map(_key, paths)):
            self._mark(key)

    def _mark(self, key: bytes) -> None:
        packed = self._lines[key]
        self._lines[key] = bytes((packed[0] | _GONE,)) + packed[1:]


def _key(path: str) -> bytes:
    return blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _packed(line: LastLine) -> bytes:
    then = line.modified
    flags = _VERDICTS.index(line.verdict)
    flags |= _GONE * line.gone | _HAS_CTIME * (then.ctime_ns is not None)
    flags |= _HAS_DIGEST * (then.digest is not None)
    numbers = (then.mtime_ns, then.size_bytes, then.ctime_ns or 0)
    digest = b"" if then.digest is None else bytes.fromhex(then.digest.removeprefix(_SHA256))
    packed = [number.to_bytes(_NUMBER_BYTES, "little", signed=True) for number in numbers]
    return b"".join((bytes((flags,)), *packed, digest))


def _unpacked(packed: bytes) -> LastLine:
    flags, ends = packed[0], range(1, 1 + 3 * _NUMBER_BYTES, _NUMBER_BYTES)
    mtime_ns, size_bytes, ctime_ns = (
        int.from_bytes(packed[at : at + _NUMBER_BYTES], "little", signed=True) for at in ends
    )
    digest = _SHA256 + packed[1 + 3 * _NUMBER_BYTES :].hex()
    modified = Modification(
        mtime_ns,
        size_bytes,
        ctime_ns if flags & _HAS_CTIME else None,
        digest if flags & _HAS_DIGEST else None,
    )
    return LastLine(modified, _VERDICTS[flags & 7], bool(flags & _GONE))
