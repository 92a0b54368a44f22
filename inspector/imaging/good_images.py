"""Lists the pictures of a folder of good parts, and refuses labelled sets, which hold defects and masks too.

Data sets come in a few layouts: `train/good` beside `test/KIND` and `ground_truth/KIND`, or folders such as
`OK` and `NG` side by side.  A model that learned from all of it would take the defects for good.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from inspector.errors import DatasetError, NoImagesError
from inspector.imaging.files import IMAGE_SUFFIXES, list_images, printable
from inspector.imaging.label_names import (
    holds_masks_beside_pictures,
    is_defective,
    is_good,
    is_ground_truth,
    masks_among,
    plain,
)

ANYWAY = "--recursive-anyway"
Half: TypeAlias = Literal["train", "test"]

_HALVES = {"train": {"train", "training"}, "test": {"test", "testing", "val", "valid", "validation"}}
_VERDICTS = {"pass", "review", "fail", "invalid"}  # folders of `inspector watch --move`
_NAMED = 4  # folders in a message


def list_good_images(
    folder: Path,
    *,
    anyway: bool = False,
    sorted_too: bool = False,
    half: Half = "train",
    command: Sequence[str] = ("inspector", "fit"),
) -> list[Path]:
    """List the pictures in and below a folder of good pictures, as `list_images` does.

    Parameters
    ----------
    folder : Path
    anyway : bool
        Take every picture, even from a labelled set.
    sorted_too : bool
        Take folders that `inspector watch` sorted by verdict, bad parts included.
    half : {"train", "test"}
        The half of a labelled set whose good pictures the hint names first.
    command : sequence of str
        The words of the command line, in which the hint replaces the folder.

    Raises
    ------
    NoImagesError
        The folder does not exist, or holds no picture.
    DatasetError
        The folder cannot be listed, or is a labelled set or a part of one with defects or masks.
    """
    paths = list_images(folder)
    if not paths:
        raise NoImagesError(
            f"{printable(folder)} holds no picture",
            hint=f"formats that are read: {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    if anyway:
        return paths
    inside = _Tree(folder, paths, _VERDICTS if sorted_too else set())
    beside = _outside(folder, inside)
    if found := beside or inside.evidence():
        meant = _meant(folder, inside, half, climb=bool(beside))
        hint = "name the folder of good pictures alone"
        raise DatasetError(
            f"{printable(folder)} {found}; {ANYWAY} takes every picture",
            hint=hint if meant is None else _again(command, folder, meant),
        )
    return paths


class _Tree:
    """The folders in and below one that hold pictures; those named in `belong` may lie side by side."""

    def __init__(self, folder: Path, paths: Sequence[Path], belong: set[str]) -> None:
        self._belong = belong
        self._top = folder
        self.folders: dict[Path, set[str]] = {folder: set()}  # the folders below each folder
        self.files: dict[Path, list[Path]] = {}
        for path in paths:
            self.files.setdefault(path.parent, []).append(path)
        for parent in self.files:
            below = parent
            while below != folder:
                self.folders.setdefault(below, set())
                self.folders.setdefault(below.parent, set()).add(below.name)
                below = below.parent

    def evidence(self) -> str:
        """Name the folders or the mask by which not all pictures are good; empty if there are none."""
        for folder in sorted(self.folders, key=lambda path: (len(path.parts), path)):
            for names in self._suspects(folder):
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                below = [(folder / name).relative_to(self._top).as_posix() for name in names[:_NAMED]]
                shown = ", ".join(map(printable, below))
                return f"holds more than good pictures: {shown}{more}"
        for files in self.files.values():
            for mask in sorted(masks_among(files))[:1]:
                return f"holds more than good pictures: {printable(mask.name)} looks like a mask"
        return ""

    def _suspects(self, folder: Path) -> Iterator[list[str]]:
        """Yield sets of folders that do not belong together among good pictures."""
        if self.folders[folder] <= self._belong:
            return
        names = sorted(self.folders[folder], key=lambda name: (not is_good(name), name))
        if all(any(map(_in_half(half), names)) for half in _HALVES):
            yield names
        if any(map(is_ground_truth, names)):
            yield names
        beside = len(names) > 1 or folder in self.files
        if beside and any(map(holds_masks_beside_pictures, names)):
            yield names
        if any(map(is_defective, names)):
            yield names
        if any(map(is_good, names)) and not all(map(is_good, names)):
            yield names

    def good_folders(self, half: Half) -> list[Path]:
        """List the folders of good pictures: those of one half first, then those that lie higher."""

        def rank(path: Path) -> tuple[bool, int, Path]:
            return not any(map(_in_half(half), path.parts)), len(path.parts), path

        return sorted((path for path in self.folders if is_good(path.name)), key=rank)


def _outside(folder: Path, inside: _Tree) -> str:
    """Say why this is no folder of good pictures, by its name and its neighbours; empty if it may be one."""
    here = _absolute(folder)
    if is_ground_truth(here.name) or is_ground_truth(here.parent.name):
        return "holds the masks of a labelled set, not pictures"
    if is_defective(here.name):
        return "is the folder of defects, by its name"
    if is_good(here.name):
        return ""
    if _in_half("test")(here.parent.name) and any(map(is_good, _below(here.parent))):
        return "is a kind of defect in a labelled set"
    names = inside.folders[folder]
    if _in_half("test")(here.name) and names and not all(map(is_good, names)):
        for name in filter(_in_half("train"), _below(here.parent)):
            if any(map(is_good, _below(here.parent / name))):
                return "is the test half of a labelled set"
    return ""


def _meant(folder: Path, inside: _Tree, half: Half, *, climb: bool) -> Path | None:
    """Return the folder of good pictures that was probably meant; with `climb` it lies beside this one."""
    place = _absolute(folder)
    places = [place]
    while climb or _of_a_half(place.name) or is_ground_truth(place.name):
        place, climb = place.parent, False
        places.append(place)
    for whole in reversed(places):
        if found := _good_in(whole, half):
            return found if folder.is_absolute() else Path(os.path.relpath(found))
    if found := next(iter(inside.good_folders(half)), None):
        return found
    train = [folder / name for name in sorted(inside.folders[folder]) if _in_half("train")(name)]
    return next(iter(train), None)


def _good_in(place: Path, half: Half) -> Path | None:
    """Find `HALF/good`, then that of the other half, then `good` in a folder."""
    halves: list[Half] = [half, "test" if half == "train" else "train"]
    for each in halves:
        for name in filter(_in_half(each), _below(place)):
            for good in filter(is_good, _below(place / name)):
                return place / name / good
    return next((place / name for name in filter(is_good, _below(place))), None)


def _below(folder: Path) -> list[str]:
    """List the names of the folders in a folder; none if it cannot be listed."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []


def _again(command: Sequence[str], folder: Path, meant: Path) -> str:
    """Return the same command line with the folder that was meant, ready for a shell."""
    words = list(command)
    places = [place for place, word in enumerate(words) if place > 1 and Path(word) == folder]
    if places:
        words[places[0]] = str(meant)
    else:
        words = [*command[:2], str(meant)]
    named = any(word.partition("=")[0] in ("--name", "--output") for word in words)
    if words[1:2] == ["fit"] and not named:  # else the model would be called `good`
        of_set = [name for name in _absolute(meant).parts if not is_good(name) and not _of_a_half(name)]
        words += ["--name", of_set[-1]] if of_set else []
    return printable(shlex.join(words))


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100 - the name of a link stays


def _in_half(half: str) -> Callable[[str], bool]:
    return lambda name: plain(name) in _HALVES[half]


def _of_a_half(name: str) -> bool:
    return any(_in_half(half)(name) for half in _HALVES)
