"""Counts pictures that cannot be used by their reasons, in one sentence for every command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspector.errors import ImageError, TooFewImagesError
from inspector.imaging.files import printable

LeftOut = tuple[str, str]  # the name of a picture, and the reason in a word, such as `truncated`

_WORDS = {"unknown_format": "of unknown format", "exact copy": "exact copies"}


def counted(left_out: Sequence[LeftOut]) -> str:
    """Count pictures by reason, the most frequent reason first, and name one picture of each.

    Examples
    --------
    >>> counted([("a.png", "truncated"), ("b.png", "exact copy"), ("c.png", "exact copy")])
    '2 exact copies, such as b.png, and 1 truncated: a.png'
    """
    names: dict[str, list[str]] = {}
    for name, reason in left_out:
        names.setdefault(str(reason), []).append(printable(name))
    parts = []
    for reason in sorted(names, key=lambda reason: -len(names[reason])):
        several = len(names[reason]) > 1
        words = reason if reason == "exact copy" and not several else _WORDS.get(reason, reason)
        example = f", such as {names[reason][0]}" if several else f": {names[reason][0]}"
        parts.append(f"{len(names[reason])} {words.replace('_', ' ')}{example}")
    return ", and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def too_few(
    folder: Path,
    usable: int,
    left_out: Sequence[LeftOut],
    needed: int,
    hint: str,
    problem: ImageError | None = None,
) -> TooFewImagesError:
    """Return the error for a folder with too few usable pictures.

    Parameters
    ----------
    folder : Path
    usable : int
        Number of pictures that can be used.
    left_out : sequence of (name, reason)
        All others.
    needed : int
        Number of usable pictures that would do.
    hint : str
        The next step, if the pictures themselves are whole.
    problem : ImageError, optional
        The fault of the first damaged picture; it becomes the hint if no picture is usable.
    """
    number = usable + len(left_out)
    said = f"{number} {'picture' if number == 1 else 'pictures'} in '{printable(folder)}'"
    if left_out:
        said += f", {usable or 'none'} usable: {counted(left_out)}"
    if problem is not None and not usable:
        hint = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
    return TooFewImagesError(f"{said}; at least {needed} {'is' if needed == 1 else 'are'} needed", hint=hint)
