"""Result files: JSON with sorted keys and rounded numbers.

`RESULTS/EFFORT/SET-SEED.json` holds the figures; measuring the same request again gives the same bytes.
`SET-SEED.timing.json` beside it holds durations, date and machine, which differ from run to run.  A variant's
files are in the folder `RESULTS/EFFORT/VARIANT`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.bundle.atomic import write_bytes
from inspector.bundle.names import slug

DIGITS = 4  # significant digits; further digits are noise of the machine
BASELINES = "baselines"  # the folder beside those of the efforts
PEER = "peer"  # the folder of the peer's figures in that of the baselines
ARTICLE = "article"  # the folder of the article's auto-encoders, with a folder for each effort

Content = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A result file and its timing, which is empty where the file is missing."""

    result: Content
    timing: Content


def place(results: Path, effort: str, name: str, seed: int, variant: str | None = None) -> Path:
    """Return the path of the result of one fit.

    Parameters
    ----------
    results : Path
        The folder of all results.
    effort : str
        The amount of training, such as `standard`.
    name : str
        Name of the set.
    seed : int
        Seed of the fit.
    variant : str, optional
        Name of the change from the defaults.

    Examples
    --------
    >>> place(Path("results"), "quick", "tiles", 0, "no MMD").as_posix()
    'results/quick/no-mmd/tiles-0.json'
    """
    folder = results / effort if variant is None else results / effort / slug(variant)
    return folder / f"{name}-{seed}.json"


def timing_place(path: Path) -> Path:
    """Return the path of the timing of a result."""
    return path.with_suffix(".timing.json")


def read(path: Path) -> Content | None:
    """Return the content of a file; None if the file does not exist."""
    if not path.exists():
        return None
    content: Content = json.loads(path.read_text(encoding="utf-8"))
    return content


def write(path: Path, result: Content, timing: Content) -> None:
    """Write a timing and then its result, so that a reader who finds the result finds both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(timing_place(path), _encoded(timing))
    write_bytes(path, _encoded(result))


def load(path: Path) -> Stored | None:
    """Return a result and its timing; None if there is no result."""
    result = read(path)
    return None if result is None else Stored(result, read(timing_place(path)) or {})


def load_all(results: Path) -> list[Stored]:
    """Return every stored fit, with and without changed options, sorted by path."""
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
