"""Shows an inspection in a notebook, as HTML that loads nothing."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

from inspector.imaging.encode import encode_jpeg
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to
from inspector.types import Pixels, Verdict

LONGEST_SIDE_PIXELS = 420
JPEG_QUALITY = 85
COLOURS: dict[Verdict, str] = {
    "pass": "#1f8a4c",
    "review": "#b07a10",
    "fail": "#c8234a",
    "invalid": "#7a7f87",
}


def page(verdict: Verdict, words: str, name: str, pictures: Mapping[str, Pixels | None]) -> str:
    """Return the HTML of one inspection.

    Parameters
    ----------
    verdict : Verdict
    words : str
        The inspection in one line, which begins with the verdict.
    name : str
        Name of the picture.
    pictures : mapping of str to uint8 (H, W, 3) or None
        The pictures to show beside each other, by their titles.
    """
    figures = "".join(_figure(title, pixels) for title, pixels in pictures.items() if pixels is not None)
    return (
        f'<div><strong style="color:{COLOURS[verdict]}">{verdict}</strong>'
        f"{_text(words.removeprefix(verdict))}<br>{_text(name)}"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px;margin-top:6px">{figures}</div></div>'
    )


def reduced(pixels: Pixels) -> Pixels:
    """Return a picture with sides of at most `LONGEST_SIDE_PIXELS`, so that a notebook stays small."""
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST_SIDE_PIXELS / max(height, width))
    return fit_to(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def _text(text: str) -> str:
    return html.escape(printable(text))


def _figure(title: str, pixels: Pixels) -> str:
    data = base64.b64encode(encode_jpeg(pixels, JPEG_QUALITY)).decode("ascii")
    return f'<img alt="{title}" title="{title}" src="data:image/jpeg;base64,{data}">'
