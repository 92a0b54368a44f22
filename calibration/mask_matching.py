"""Finds out which masks belong to which picture of a test folder."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_WORD = r"(?:masks?|gt|ground[-_ ]?truth|labels?|seg(?:mentation)?|annotation)"
_SUFFIX = re.compile(rf"[-_. ]{_WORD}(?:[-_. ]?(?P<part>\d+))?$", re.IGNORECASE)
_PREFIX = re.compile(rf"^{_WORD}[-_. ]", re.IGNORECASE)

Simplify = Callable[[PurePosixPath], str]


@dataclass(frozen=True)
class Place:
    """Where a picture or a mask lies.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Its path from the test folder, or from the folder that holds the folder of masks.
    kind : str or None
        The kind of defect; None if no folder above the mask is named after a kind.
    below : PurePosixPath
        Its path below the folder of the kind.
    """

    path: Path
    name: str
    kind: str | None
    below: PurePosixPath


@dataclass
class Matches:
    """The outcome of `match`.

    Attributes
    ----------
    masks : dict of picture to its masks
    ambiguous : set of Path
        Pictures that were given no mask because there are several readings.
    unused : list of Place
        Masks that belong to no picture.
    """

    masks: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    ambiguous: set[Path] = field(default_factory=set)
    unused: list[Place] = field(default_factory=list)


def match(pictures: Sequence[Place], masks: Sequence[Place]) -> Matches:
    """Give each picture its masks, where only one reading is possible.

    `KIND/NAME_mask.png` is the mask of `KIND/NAME.*`, whatever else there is.  All other masks are compared
    in rounds, the strictest first: by the whole path below the kind, then by the name alone; each as it is,
    then in any case, then without leading zeros.  A mask is called by its stem, by its stem without a word
    such as `_mask`, or by its folder, which then holds all masks of one picture.  A round gives a picture its
    masks if they can be no other picture's, and if they are parts of one mask or only one file.

    Parameters
    ----------
    pictures : sequence of Place
        Pictures of defects.
    masks : sequence of Place
        Every file that may be a mask of one of them.

    Returns
    -------
    Matches
    """
    matches = Matches()
    usual = {(mask.kind, mask.below): mask.path for mask in masks}
    for picture in pictures:
        found = usual.get((picture.kind, picture.below.with_name(f"{picture.below.stem}_mask.png")))
        if found is not None:
            matches.masks[picture.path] = (found,)
    taken = {path for found in matches.masks.values() for path in found}
    for simplify in _ROUNDS:
        waiting = [
            one for one in pictures if one.path not in matches.masks and one.path not in matches.ambiguous
        ]
        left = [mask for mask in masks if mask.path not in taken]
        if not waiting or not left:
            break
        taken |= _play_round(waiting, left, simplify, matches)
    matches.unused = [mask for mask in masks if mask.path not in taken]
    return matches


def _play_round(
    pictures: Sequence[Place], masks: Sequence[Place], simplify: Simplify, matches: Matches
) -> set[Path]:
    """Give pictures their masks by one way to compare names; return the masks that need no further round."""
    named: dict[tuple[str | None, str], set[Path]] = defaultdict(set)
    for picture in pictures:
        # The mask of `0.jpg` may be called `0_mask.png` or `0.jpg_mask.png`.
        for name in (picture.below.with_suffix(""), picture.below):
            named[picture.kind, simplify(name)].add(picture.path)
            named[None, simplify(name)].add(picture.path)
    claims: dict[Path, list[tuple[Path, str]]] = defaultdict(list)
    disputed: set[Path] = set()
    for mask in masks:
        for name, part in _names(mask.below):
            if found := named.get((mask.kind, simplify(name))):
                disputed |= found if len(found) > 1 else set()
                for path in found:
                    claims[path].append((mask.path, part))
                break
    for path, claimed in claims.items():
        parts = [part for _, part in claimed]
        if path not in disputed and len(set(parts)) == len(parts) and (len(parts) == 1 or "" not in parts):
            matches.masks[path] = tuple(sorted(mask for mask, _ in claimed))
        else:
            matches.ambiguous.add(path)
    return {mask for claimed in claims.values() for mask, _ in claimed}


def _names(below: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield the names that the picture of a mask may have, the likeliest first, each with a part.

    The part tells several masks of one picture apart; it is empty if the mask is the only one.
    """
    if below.parent.name:
        yield below.parent, below.name
    stem = below.with_suffix("")
    yield stem, ""
    if found := _SUFFIX.search(stem.name):
        yield stem.with_name(stem.name[: found.start()] or stem.name), found["part"] or ""
    elif found := _PREFIX.search(stem.name):
        yield stem.with_name(stem.name[found.end() :] or stem.name), ""


def _in_any_case(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _without_zeros(text: str) -> str:
    """Drop the leading zeros of numbers, so that `007` and `7` are one name."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", _in_any_case(text))


_ROUNDS: tuple[Simplify, ...] = (
    lambda name: name.as_posix(),
    lambda name: _in_any_case(name.as_posix()),
    lambda name: _without_zeros(name.as_posix()),
    lambda name: name.name,
    lambda name: _in_any_case(name.name),
    lambda name: _without_zeros(name.name),
)
