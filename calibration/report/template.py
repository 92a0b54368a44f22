"""Renders both pages from the templates in this folder, and turns pictures into text for them."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from calibration.report import svg, wording
from inspector.imaging.encode import encode_jpeg
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to

Pixels = NDArray[np.uint8]


def environment() -> Environment:
    """Return the environment of the templates; an undefined name in a template is an error."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["chart_style"] = svg.STYLE
    found.filters |= {
        "number": wording.show_number,
        "share": wording.show_share,
        "percent": wording.show_percent,
        "count": wording.show_count,
        "ordinal": wording.show_ordinal,
        "words": wording.show_words,
        "moment": wording.show_moment,
        "duration": wording.show_duration,
        "name": printable,
    }
    return found


def jpeg(pixels: Pixels, longest_side: int, quality: int) -> bytes:
    """Encode a picture; one with a longer side is scaled down to `longest_side` pixels."""
    height, width = pixels.shape[:2]
    factor = longest_side / max(height, width)
    if factor < 1:
        pixels = fit_to(pixels, max(1, round(height * factor)), max(1, round(width * factor)))
    return encode_jpeg(pixels, quality)


def data_address(file: bytes) -> str:
    """Return a JPEG file as an address that can stand in `src`."""
    return f"data:image/jpeg;base64,{base64.b64encode(file).decode('ascii')}"
