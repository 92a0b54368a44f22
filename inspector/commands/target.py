"""Files that a command is going to write, checked before the work begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inspector.bundle.atomic import check_writable
from inspector.errors import UsageError
from inspector.imaging.files import printable

LONGEST_SIDE_PIXELS = 65_000  # common viewers and formats end at 65,535


@dataclass(frozen=True)
class Target:
    """One file to be written: the option that names it, and the suffixes that it may have."""

    option: str
    path: Path
    suffixes: tuple[str, ...]


def check_targets(targets: Sequence[Target], sources: Sequence[Path] = ()) -> None:
    """Refuse targets that cannot be written, or that would replace another target or a source.

    Raises
    ------
    UsageError
        A suffix is not allowed, a folder is missing, or one file is named twice.
    StorageError
        The disk is full, read-only or not permitted.
    """
    for number, target in enumerate(targets):
        _check(target)
        for other in targets[:number]:
            if target.path.absolute() == other.path.absolute():
                raise _twice(target, f"the file of {other.option}")
        for source in sources:
            if target.path.exists() and source.exists() and target.path.samefile(source):
                raise _twice(target, "a picture that is read")


def _check(target: Target) -> None:
    name = f"{target.option} is {printable(target.path)!r}"
    if target.path.suffix.lower() not in target.suffixes:
        raise UsageError(
            f"{name}; its name has to end in {' or '.join(target.suffixes)}",
            hint=f"for example {target.option} {printable(target.path.stem) or 'out'}{target.suffixes[0]}",
        )
    if target.path.is_dir():
        raise UsageError(f"{name}, which is a folder", hint="name a file")
    if not target.path.parent.is_dir():
        raise UsageError(f"{name}, and there is no such folder", hint="make the folder first")
    check_writable(target.path)


def _twice(target: Target, what: str) -> UsageError:
    return UsageError(f"{target.option} is {printable(target.path)!r}, {what}", hint="name another file")


def check_extent(asked: str, height: int, width: int, most_pixels: int) -> None:
    """Refuse a picture that would be larger than those that are read.

    Parameters
    ----------
    asked : str
        The option that asks for the picture, such as `--count 1000000`.
    height, width : int
        Size of the picture in pixels.
    most_pixels : int
        Limit on `height · width`.
    """
    if height * width > most_pixels or max(height, width) > LONGEST_SIDE_PIXELS:
        raise UsageError(
            f"{asked} makes a picture of {width:,} x {height:,} pixels; "
            f"at most {most_pixels:,} altogether and {LONGEST_SIDE_PIXELS:,} on a side are written",
            hint="ask for fewer",
        )
