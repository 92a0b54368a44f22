"""Result files: JSON with sorted keys and rounded numbers, and where each of them lies.

`RESULTS/EFFORT/SET-SEED.json` holds what the same request finds again, byte for byte;
`SET-SEED.timing.json` beside it what differs from run to run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.bundle.atomic import write_bytes
from inspector.bundle.store import slug

DIGITS = 4  # significant ones: further ones are noise of the machine
BASELINES = "baselines"  # the folder beside those of the efforts
ARTICLE = "article"  # likewise, with the efforts of the article's auto-encoders in it

Content = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A result file and its timing, which is empty where the file is missing."""

    result: Content
    timing: Content


def place(results: Path, effort: str, name: str, seed: int, part: str | None = None) -> Path:
    """Return where the result of one fit lies.

    Parameters
    ----------
    results : Path
        The folder of all results.
    effort : str
        How much training, such as `standard`.
    name : str
        Of the set.
    seed : int
        Of the fit.
    part : str, optional
        What was changed from the defaults.

    Examples
    --------
    >>> place(Path("results"), "quick", "tiles", 0, "no MMD").as_posix()
    'results/quick/no-mmd/tiles-0.json'
    """
    folder = results / effort if part is None else results / effort / slug(part)
    return folder / f"{name}-{seed}.json"


def timing_place(path: Path) -> Path:
    """Return where the timing of a result lies."""
    return path.with_suffix(".timing.json")


def read(path: Path) -> Content | None:
    """Return what a file holds; None where there is none."""
    if not path.exists():
        return None
    content: Content = json.loads(path.read_text(encoding="utf-8"))
    return content


def write(path: Path, result: Content, timing: Content) -> None:
    """Write a result and its timing; the result last, so that whoever finds it finds both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(timing_place(path), _encoded(timing))
    write_bytes(path, _encoded(result))


def load(path: Path) -> Stored | None:
    """Return a result and its timing; None where there is none."""
    result = read(path)
    return None if result is None else Stored(result, read(timing_place(path)) or {})


def load_all(results: Path) -> list[Stored]:
    """Return every stored fit, with and without changed options, in the order of the files' names."""
    apart = {BASELINES, ARTICLE}
    found = [
        load(path)
        for path in sorted(results.rglob("*.json"))
        if not path.name.endswith(".timing.json") and path.relative_to(results).parts[0] not in apart
    ]
    return [stored for stored in found if stored is not None]


def rounded(value: Any) -> Any:
    """Round every float in a nested value.

    Examples
    --------
    >>> rounded({"auroc": 0.987654321, "interval": (0.95, 1.0), "images": 12345})
    {'auroc': 0.9877, 'interval': [0.95, 1.0], 'images': 12345}
    """
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _encoded(content: Content) -> bytes:
    text = json.dumps(rounded(content), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()
