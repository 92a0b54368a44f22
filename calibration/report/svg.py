"""Shapes, colours and axes of the charts, as SVG text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from calibration.report.axis import Tick

STYLE = """
:root {
  --paper: #ffffff; --ink: #1a1f24; --quiet: #57616c; --rule: #d8dce0; --grid: #e8ebee; --band: #c9d9e6;
  --pass: #4b7fa8; --review: #a8730a; --fail: #b83a1e;
  --first: #0969da; --second: #bc4c00; --third: #1a7f37; --fourth: #8250df;
  --fifth: #9a6700; --sixth: #57606a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --ink: #e5e8eb; --quiet: #9ca6b0; --rule: #363c43; --grid: #282d32; --band: #2d4357;
    --pass: #6c9fc8; --review: #d9a441; --fail: #f08262;
    --first: #4493f8; --second: #f0883e; --third: #3fb950; --fourth: #ab7df8;
    --fifth: #d29922; --sixth: #9198a1;
  }
}
.chart { display: block; width: 100%; height: auto; overflow: visible;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.chart text { fill: var(--quiet); }
.chart .name { fill: var(--ink); font-size: 13px; }
.chart .strong { fill: var(--ink); font-size: 13px; font-weight: 600; }
.chart .failing { fill: var(--fail); }
.chart .paper { fill: var(--paper); }
.chart .grid { stroke: var(--grid); fill: none; }
.chart .axis { stroke: var(--quiet); fill: none; }
.chart .bar { stroke: var(--paper); stroke-width: 1; fill: var(--pass); }
.chart .bar.review { fill: var(--review); }
.chart .bar.fail { fill: var(--fail); }
.chart .threshold { stroke: var(--ink); stroke-width: 1.5; fill: none; }
.chart .review-line { stroke: var(--review); stroke-width: 1.25; stroke-dasharray: 4 3; fill: none; }
.chart .band { fill: var(--band); }
.chart .loss { stroke: var(--pass); stroke-width: 1.6; stroke-linejoin: round; fill: none; }
.chart .end { fill: var(--pass); }
.chart .line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round; fill: none; }
.chart .span { stroke: currentColor; stroke-width: 4; stroke-linecap: round; opacity: .4; }
.chart .mark { stroke: currentColor; stroke-width: 1.8; fill: var(--paper); }
.chart .mark.filled { fill: currentColor; }
.chart .mark.clear { fill: none; }
""" + "".join(
    f".chart .{name} {{ color: var(--{name}); }}\n"
    for name in ("first", "second", "third", "fourth", "fifth", "sixth")
)
SERIES = (  # class for the colour, and shape around (0, 0), so that colour is never the only difference
    ("first", "M-5.6,0 a5.6,5.6 0 1,0 11.2,0 a5.6,5.6 0 1,0 -11.2,0 Z"),
    ("second", "M0,-6.4 L6.4,0 L0,6.4 L-6.4,0 Z"),
    ("third", "M-4.8,-4.8 H4.8 V4.8 H-4.8 Z"),
    ("fourth", "M0,-5.8 L5.8,4.6 H-5.8 Z"),
    ("fifth", "M0,5.8 L5.8,-4.6 H-5.8 Z"),
    ("sixth", "M-6.2,-2.6 H6.2 V2.6 H-6.2 Z"),
)
LETTER = 7.4  # SVG units, about the width of a letter of 13 px


@dataclass(frozen=True)
class Chart:
    """One chart, ready to be put into a page or written into a file.

    Attributes
    ----------
    width, height : float
        In SVG units.
    description : str
        What the chart shows, for readers who cannot see it.
    shapes : str
        SVG elements; `STYLE` holds their colours and line widths.
    """

    width: float
    height: float
    description: str
    shapes: str

    def __html__(self) -> str:
        """Return the `<svg>` element for a page that includes `STYLE`; Jinja inserts it unescaped."""
        return self._svg("", self.shapes)

    def document(self) -> str:
        """Return the text of a stand-alone SVG file."""
        size = f' xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}"'
        ground = f'<rect class="paper" width="{self.width:g}" height="{self.height:g}"/>'
        head = f"<title>{escape(self.description)}</title>\n<style>{STYLE}</style>\n{ground}"
        return self._svg(size, f"{head}\n{self.shapes}") + "\n"

    def _svg(self, attributes: str, content: str) -> str:
        return (
            f'<svg class="chart"{attributes} viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self.description)}">\n{content}\n</svg>'
        )


@dataclass(frozen=True)
class Frame:
    """Outer size of a chart and the rectangle that holds its data, in SVG units."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """Write words at a position; `anchor` is their end at x: start, middle or end."""
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def path(style: str, way: str) -> str:
    """Draw a path along SVG path commands."""
    return f'<path class="{style}" d="{way}"/>'


def route(points: Sequence[tuple[float, float]]) -> str:
    """Return the path commands of a line through points."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def mark(series: int, x: float, y: float, *, fill: str = "", words: str = "", colour: str = "") -> str:
    """Draw the shape of a series.

    `fill` is "filled", "clear" (lines below show through) or empty (filled with the paper's colour).
    `words` appear when a pointer rests on the shape.
    """
    own, shape = SERIES[series % len(SERIES)]
    colour = colour or own
    title = f"<title>{escape(words)}</title>" if words else ""
    style = " ".join(["mark", colour, *fill.split()])
    return f'<path class="{style}" d="{shape}" transform="translate({x:g} {y:g})">{title}</path>'


def axes(frame: Frame, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> Iterator[str]:
    """Draw lines across at the vertical axis' ticks, and the horizontal axis with its ticks below it."""
    for tick in y_ticks:
        yield path("grid", f"M{frame.left:g},{tick.position:g}H{frame.right:g}")
        yield text(frame.left - 7, tick.position + 4, tick.label, "tick", "end")
    yield path("axis", f"M{frame.left:g},{frame.bottom:g}H{frame.right:g}")
    for tick in x_ticks:
        yield path("axis", f"M{tick.position:g},{frame.bottom:g}v4")
        yield text(tick.position, frame.bottom + 17, tick.label, "tick", "middle")
