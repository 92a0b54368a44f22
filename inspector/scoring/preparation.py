"""Decodes a picture, brings it to the model's size, and describes an odd brightness scale."""

from __future__ import annotations

from dataclasses import dataclass

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
        The model's input: size, background colour, and full scale of pictures with more than 8 bits.
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
    picture = read(source, contract, settings, reduce_to=size)
    return picture, fit_to(picture.pixels, *size)


def read(
    source: Source, contract: ImageContract, settings: Settings, *, reduce_to: tuple[int, int] | None = None
) -> Picture:
    """Decode a picture as the model sees it, in its own size; see `prepare` and `decode`."""
    return decode(
        source,
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        reduce_to=reduce_to,
        background=contract.background,
        full_scale=contract.full_scale,
    )


def remarks(picture: Picture, contract: ImageContract) -> tuple[str, ...]:
    """Describe in sentences why the brightness scale of a picture is odd for this model; none if it is not.

    Examples
    --------
    >>> wide = ImageContract(height=64, width=64, full_scale=4095, bits=(16,))
    >>> from inspector.imaging.depth import Depth
    >>> bright = Depth(said=None, greatest=5000, used=8191, full_scale=4095, clipped_pixels=3)
    >>> remarks(Picture(np.zeros((64, 64, 3), np.uint8), 64, 64, bright), wide)
    ('3 pixels are brighter than the full scale 4095 and were clipped',)
    """
    said = []
    if has_other_bits(picture.bits, contract):
        said.append(f"{picture.bits} bits, but the model learned {_learned(contract)}; {_white(picture)}")
    if picture.depth is not None and (clipped := picture.clipped_pixels):
        pixels = "1 pixel is" if clipped == 1 else f"{clipped:,} pixels are"
        end = f"and {'was' if clipped == 1 else 'were'} clipped"
        said.append(f"{pixels} brighter than the full scale {picture.depth.full_scale} {end}")
    return tuple(said)


def has_other_bits(bits: int, contract: ImageContract) -> bool:
    """Return whether the model learned only pictures with another number of bits; False if not recorded."""
    return bool(contract.bits) and bits not in contract.bits


def _learned(contract: ImageContract) -> str:
    return " and ".join(f"{bits}-bit" for bits in contract.bits) + " pictures"


def _white(picture: Picture) -> str:
    if picture.depth is None:
        return "white is 255"
    source = "as the file states" if picture.depth.stated else "which neither the file nor the model states"
    return f"white is {picture.depth.full_scale}, {source}"


@dataclass
class ScaleTally:
    """Counts the pictures of a folder whose brightness scale is odd for a model.

    Attributes
    ----------
    clipped : int
        Number of pictures with samples beyond the full scale.
    other_bits : int
        Number of pictures whose number of bits the model did not learn.
    """

    contract: ImageContract
    images: int = 0
    clipped: int = 0
    other_bits: int = 0

    def add(self, bits: int, clipped_pixels: int) -> None:
        """Count a picture."""
        self.images += 1
        self.clipped += clipped_pixels > 0
        self.other_bits += has_other_bits(bits, self.contract)

    def in_words(self) -> list[str]:
        """Return one sentence for each count that is not 0.

        Examples
        --------
        >>> tally = ScaleTally(ImageContract(height=64, width=64, full_scale=4095, bits=(16,)))
        >>> tally.add(16, 3)
        >>> tally.add(8, 0)
        >>> for sentence in tally.in_words():
        ...     print(sentence)
        1 of 2 pictures: pixels brighter than the model's full scale 4095 were clipped
        1 of 2 pictures: their number of bits is new to the model, which learned 16-bit pictures
        """
        return [
            f"{count} of {self.images} pictures: {what}"
            for count, what in (
                (
                    self.clipped,
                    f"pixels brighter than the model's full scale {self.contract.full_scale} were clipped",
                ),
                (
                    self.other_bits,
                    f"their number of bits is new to the model, which learned {_learned(self.contract)}",
                ),
            )
            if count
        ]
