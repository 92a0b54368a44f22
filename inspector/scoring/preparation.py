"""Decodes a picture and brings it to the model's input size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.records import ImageContract
from inspector.imaging.decode import Picture, decode
from inspector.imaging.resize import fit_to
from inspector.imaging.source import Source
from inspector.settings import Settings


def prepare(source: Source, contract: ImageContract, settings: Settings) -> tuple[Picture, NDArray[np.uint8]]:
    """Decode a picture and stretch it to the size that the model takes.

    Parameters
    ----------
    source : Source
        A path, the bytes of an image file, an open file, an array, or a Pillow image.
    contract : ImageContract
        The model's input: size and background colour.
    settings : Settings
        Limits on pixels and bytes.

    Returns
    -------
    Picture
        As decoded; a large JPEG may be decoded at a reduced size.
    uint8 (height, width, 3)
        The model's input, RGB.

    Raises
    ------
    ImageError
        The picture is at fault.
    TypeError, ValueError
        The source is no picture.
    """
    size = (contract.height, contract.width)
    picture = decode(
        source,
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        reduce_to=size,
        background=contract.background,
    )
    return picture, fit_to(picture.pixels, *size)
