"""Counts pictures by their folders, in numbers and in a sentence, so that a folder of defects is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from inspector.imaging.files import printable

NAMED = 6  # folders in the sentence; it counts the others
HERE = "."


def count_folders(names: Iterable[str]) -> dict[str, int]:
    """Count the pictures of each folder, sorted by name; `.` stands for the top folder itself.

    Parameters
    ----------
    names : iterable of str
        Paths of pictures relative to the top folder.

    Examples
    --------
    >>> count_folders(["schlecht/1.png", "gut/1.png", "gut/2.png", "3.png"])
    {'.': 1, 'gut': 2, 'schlecht': 1}
    """
    counts = Counter(PurePosixPath(name).parent.as_posix() for name in names)
    return {printable(folder): counts[folder] for folder in sorted(counts)}


def folders_in_words(counts: dict[str, int]) -> list[str]:
    """Return one sentence if the pictures come from several folders, else none.

    Examples
    --------
    >>> folders_in_words({"gut": 30, "schlecht": 10})
    ['pictures of 2 folders: gut 30, schlecht 10']
    """
    if len(counts) < 2:
        return []
    shown = [
        f"{'the top folder' if name == HERE else name} {number}"
        for name, number in list(counts.items())[:NAMED]
    ]
    more = f" and {len(counts) - NAMED} more" if len(counts) > NAMED else ""
    return [f"pictures of {len(counts)} folders: {', '.join(shown)}{more}"]
