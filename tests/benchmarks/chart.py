"""A chart of AUROC by set, the detector beside the baselines, as SVG that follows a light or dark page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from calibration.report.charts import Scale, nice_ticks
from tests.benchmarks.summary import Spread

WIDTH, RIGHT = 840, 28
TOP, ROW, BOTTOM = 58, 34, 46
LETTER = 7.6  # about the width of one
CHANCE = 0.5
DETECTOR = "inspector (line: seeds)"

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .quiet { fill: #59636e; font-size: 12px; }
  .strong { font-weight: 600; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .rule { stroke: #818b98; stroke-width: 1; }
  .detector { fill: #0969da; stroke: #0969da; }
  .span { stroke: #0969da; stroke-width: 3; stroke-linecap: round; opacity: .45; }
  .baseline { fill: none; stroke-width: 1.8; }
  .one { stroke: #bc4c00; } .two { stroke: #1a7f37; } .three { stroke: #8250df; } .four { stroke: #9a6700; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
    .grid { stroke: #3d444d; } .rule { stroke: #656c76; }
    .detector { fill: #4493f8; stroke: #4493f8; } .span { stroke: #4493f8; }
    .one { stroke: #f0883e; } .two { stroke: #3fb950; } .three { stroke: #ab7df8; } .four { stroke: #d29922; }
  }
"""
# One shape and one colour for each baseline, in their order: drawn around (0, 0).
MARKS = (
    ("one", "M0,-6 L6,0 L0,6 L-6,0 Z"),
    ("two", "M-4.8,-4.8 H4.8 V4.8 H-4.8 Z"),
    ("three", "M0,-5.6 L5.6,4.6 H-5.6 Z"),
    ("four", "M-4.6,-4.6 L4.6,4.6 M-4.6,4.6 L4.6,-4.6"),
)


@dataclass(frozen=True)
class Line:
    """One row of the chart: a set, the detector's spread over seeds, and each baseline's figure."""

    name: str
    detector: Spread | None
    baselines: tuple[float | None, ...]


def draw(title: str, baselines: Sequence[str], lines: Sequence[Line], mean: Line | None = None) -> str:
    """Return the chart as one SVG document.

    Figures under one half, which is what guessing gets, are drawn at the axis' left end.

    Parameters
    ----------
    title : str
        What a reader who sees no pictures is told.
    baselines : sequence of str
        At most four names.
    lines : sequence of Line
        In the order in which they are drawn.
    mean : Line, optional
        Drawn last, apart from the others.

    Returns
    -------
    str
    """
    gap = ROW // 2 if mean else 0
    bottom = TOP + ROW * (len(lines) + (mean is not None)) + gap
    height = bottom + BOTTOM
    longest = max((len(line.name) for line in lines), default=0)
    x = Scale(CHANCE, 1.0, 44 + LETTER * max(longest, 8), WIDTH - RIGHT)
    body = [
        *_legend(baselines),
        *_axis(x, bottom),
        *(piece for i, line in enumerate(lines) for piece in _line(line, x, TOP + ROW * (i + 0.5))),
    ]
    if mean is not None:
        y = TOP + ROW * len(lines) + gap / 2
        body.append(f'<line class="rule" x1="16" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>')
        body += _line(mean, x, y + gap / 2 + ROW / 2, "strong")
    drawn = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{drawn}\n</svg>\n"
    )


def _legend(baselines: Sequence[str]) -> Iterator[str]:
    yield '<line class="span" x1="16" x2="40" y1="24" y2="24"/>'
    yield '<circle class="detector" cx="28" cy="24" r="6"/>'
    yield f'<text class="strong" x="48" y="28.5">{DETECTOR}</text>'
    left = 84 + LETTER * len(DETECTOR)
    for i, name in enumerate(baselines):
        yield _mark(i, left, 24)
        yield f'<text x="{left + 14:g}" y="28.5">{escape(name)}</text>'
        left += 50 + LETTER * len(name)


def _axis(x: Scale, bottom: float) -> Iterator[str]:
    for tick in nice_ticks(x.lower, x.upper, 5):
        at = x(tick)
        yield f'<line class="grid" x1="{at:g}" x2="{at:g}" y1="{TOP}" y2="{bottom:g}"/>'
        yield f'<text class="quiet" x="{at:g}" y="{bottom + 18:g}" text-anchor="middle">{tick:g}</text>'
    middle = (x.start + x.end) / 2
    yield (
        f'<text class="quiet" x="{middle:g}" y="{bottom + 37:g}" text-anchor="middle">'
        "image AUROC (at the left end: one half or less, as good as guessing)</text>"
    )


def _line(line: Line, x: Scale, y: float, style: str = "") -> Iterator[str]:
    place = f'x="{x.start - 18:g}" y="{y + 4.5:g}" text-anchor="end"'
    yield f'<text class="{style}" {place}>{escape(line.name)}</text>'
    for i, value in enumerate(line.baselines):
        if value is not None:
            yield _mark(i, x.clipped(value), y)
    if line.detector is not None:
        low, high = x.clipped(line.detector.lowest), x.clipped(line.detector.highest)
        yield f'<line class="span" x1="{low:g}" x2="{high:g}" y1="{y:g}" y2="{y:g}"/>'
        yield f'<circle class="detector" cx="{x.clipped(line.detector.mean):g}" cy="{y:g}" r="6"/>'


def _mark(i: int, x: float, y: float) -> str:
    name, path = MARKS[i]
    return f'<path class="baseline {name}" d="{path}" transform="translate({x:g} {y:g})"/>'
