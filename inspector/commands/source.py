"""The pictures that the arguments of `inspector score` name: files, folders, globs and stdin."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.errors import UsageError
from inspector.imaging.files import SYSTEM_NAMES, list_images, printable

if TYPE_CHECKING:
    from inspector.scoring.detector import Detector
    from inspector.scoring.inspection import Inspection

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One picture to be scored: a file, or the bytes on stdin."""

    name: str

    @property
    def stem(self) -> str:
        """Name of the picture without folder and suffix; `stdin` for the bytes on stdin."""
        return "stdin" if self.name == STDIN else Path(self.name).stem

    def inspect(self, detector: Detector) -> Inspection:
        """Score the picture; read at most one byte more of stdin than a picture may have."""
        if self.name == STDIN:
            return detector.score(sys.stdin.buffer.read(detector.settings.max_bytes + 1), self.name)
        return detector.score_file(Path(self.name), self.name)


def find_sources(paths: Sequence[str]) -> list[Source]:
    """List the pictures that files, folders, globs and `-` name, in the order of the arguments.

    A path that exists is taken literally, even if it looks like a glob.
    Folders are searched recursively for files with the suffix of a picture.  A file that is named itself is
    taken whatever its suffix is.

    Raises
    ------
    UsageError
        A path does not exist, or a folder holds no picture.
    """
    if paths.count(STDIN) > 1:
        raise UsageError("'-' is named twice, and stdin holds one picture", hint="name '-' once")
    return [source for path in paths for source in _expand(path)]


def _expand(path: str) -> Iterator[Source]:
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
    """Expand a glob.  As with hidden names, a wildcard does not match the names of storage systems."""
    spelled = Path(pattern).parts
    found = [
        path
        for path in _matches(pattern)
        if not any(part.lower() in SYSTEM_NAMES and part not in spelled for part in Path(path).parts)
    ]
    if not found:
        raise UsageError(
            f"{printable(pattern)} matches nothing", hint="quote the pattern, and check the folder's name"
        )
    for path in found:
        yield from _folder(path) if Path(path).is_dir() else (Source(path),)


def _matches(pattern: str) -> list[str]:
    """List the paths that a glob matches.

    Its first folders are literal names as long as such folders exist: `lot[3]/*.png` finds the pictures of a
    folder with that very name.  If nothing matches, every `[` is a literal character.
    """
    literal, rest = "", pattern.split("/")
    while len(rest) > 1 and Path(f"{literal}{rest[0]}/").is_dir():
        literal += f"{rest.pop(0)}/"
    for names in (rest, [name.replace("[", "[[]") for name in rest]):
        if found := _listed(glob.escape(literal), names):
            return sorted(found)
    return []


def _listed(top: str, names: list[str]) -> list[str]:
    """List the paths that a glob below a literal folder matches; `**` finds pictures alone.

    Links to folders are followed there as `list_images` follows them: `glob` itself would never come back
    from a folder with two links to itself.
    """
    if "**" not in names:
        return glob.glob(top + "/".join(names))  # noqa: PTH207 - takes absolute patterns as well
    start = names.index("**")
    ends = [name for name in names[start:] if name not in ("", "**")]
    tops = glob.glob(top + "/".join([*names[:start], ""])) if top or start else ["."]  # noqa: PTH207 - as above
    inside = [(file, file.relative_to(each).parts) for each in tops for file in list_images(Path(each))]
    return [
        str(file)
        for file, parts in inside
        if len(parts) >= len(ends) and all(map(fnmatchcase, parts[len(parts) - len(ends) :], ends))
    ]
