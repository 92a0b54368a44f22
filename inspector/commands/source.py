"""What a person names on the command line, spread out into single pictures."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import UsageError
from inspector.imaging.files import list_images, printable

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One picture to be scored: a file, or what comes in on stdin."""

    name: str

    @property
    def stem(self) -> str:
        """Name of the picture without folder and suffix."""
        return "stdin" if self.name == STDIN else Path(self.name).stem

    def read(self, max_bytes: int) -> Path | bytes:
        """Return what `Detector.score` takes; of stdin at most what shows that it is too much."""
        return sys.stdin.buffer.read(max_bytes + 1) if self.name == STDIN else Path(self.name)


def find_sources(paths: Sequence[str]) -> list[Source]:
    """Spread files, folders, globs and `-` out, in the order in which they are named.

    Folders are searched below, too, and give what has the suffix of a picture; a file that is named
    is taken whatever it is called.

    Raises
    ------
    UsageError
        Something named does not exist or holds no picture; nothing has been scored yet then.
    """
    if paths.count(STDIN) > 1:
        raise UsageError("'-' is named twice, and stdin holds one picture", hint="name it once")
    return [source for path in paths for source in _spread(path)]


def _spread(path: str) -> Iterator[Source]:
    if path == STDIN:
        if sys.stdin.isatty():
            raise UsageError("'-' reads stdin, which is a terminal", hint="inspector score - < part.png")
        yield Source(STDIN)
    elif Path(path).is_dir():
        yield from _folder(path)
    elif Path(path).exists() or Path(path).is_symlink():
        yield Source(path)
    elif glob.has_magic(path):
        yield from _glob(path)
    else:
        raise UsageError(
            f"{printable(path)} does not exist",
            hint="name a file, a folder, a glob such as 'parts/*.png', or -",
        )


def _folder(path: str) -> Iterator[Source]:
    found = list_images(Path(path))
    if not found:
        raise UsageError(
            f"{printable(path)} holds no picture", hint="PNG, JPEG, WebP, BMP and TIFF files are looked for"
        )
    yield from (Source(str(file)) for file in found)


def _glob(pattern: str) -> Iterator[Source]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - takes absolute patterns, too
    if not found:
        raise UsageError(
            f"{printable(pattern)} matches nothing", hint="quote the pattern, and check the folder's name"
        )
    for path in found:
        yield from _folder(path) if Path(path).is_dir() else (Source(path),)
