"""Cuts out one picture: the bytes of its file become RGBA pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from inspector.cutout import matte, segmentation
from inspector.cutout.matte import MatteOptions
from inspector.cutout.segmentation import SegmentationOptions
from inspector.imaging.colour import Colour, lay_over
from inspector.imaging.decode import decode, straight_rgba
from inspector.imaging.depth import DEEP
from inspector.imaging.header import MAX_PIXELS, may_be_deep
from inspector.imaging.resize import fit_to
from inspector.types import Mask, Pixels

WORK_SIDE_PIXELS = 400  # longest side of the reduced picture in which the object is searched
LEAST_SIDE_PIXELS = 8  # shortest side of the reduced picture, for a border with four sides
GENERATION = 3  # raise it when the same options give other pixels: every cut-out is then made anew


@dataclass(frozen=True)
class Options:
    """Options for cutting out a picture.

    Attributes
    ----------
    segmentation : SegmentationOptions
        How to find the object.
    matte : MatteOptions
        How to clean up its mask and draw its edge.
    background : (red, green, blue), optional
        The colour behind the object; transparent without it.
    full_scale : int
        White in pictures with more than 8 bits that do not state it.
    """

    segmentation: SegmentationOptions = field(default_factory=SegmentationOptions)
    matte: MatteOptions = field(default_factory=MatteOptions)
    background: Colour | None = None
    full_scale: int = field(default=DEEP, repr=False)

    def fingerprint(self, data: bytes) -> str:
        """Return a digest of these options and of a picture file's bytes."""
        content = hashlib.sha256(data).hexdigest()
        if self.full_scale != DEEP and may_be_deep(data):
            content += f" {self.full_scale}"
        return hashlib.sha256(f"{GENERATION} {self!r} {content}".encode()).hexdigest()


class CutOut(NamedTuple):
    """A cut-out, uint8 RGBA (H, W, 4); `had_alpha` is True if the alpha channel is the picture's own."""

    rgba: Pixels
    had_alpha: bool


def cut_out(data: bytes, options: Options, *, max_pixels: int = MAX_PIXELS) -> CutOut | None:
    """Remove the background of a picture.

    Parameters
    ----------
    data : bytes
        The picture's file.  A picture that has transparent pixels keeps its own alpha channel.
    options : Options
        How to cut.
    max_pixels : int
        Refuse a picture with more pixels.

    Returns
    -------
    CutOut or None
        Invisible pixels are black; None if nothing stands out from the border.

    Raises
    ------
    ImageError
        The picture is at fault.
    """
    picture = decode(data, max_pixels=max_pixels, max_bytes=len(data), full_scale=options.full_scale).pixels
    own = straight_rgba(data)
    if own is not None:
        return CutOut(_over(own, options.background), had_alpha=True)
    mask = object_mask(picture, options)
    if mask is None:
        return None
    alpha = matte.alpha(mask, picture, options.matte)
    return CutOut(_over(np.dstack([picture, alpha]), options.background), had_alpha=False)


def object_mask(picture: Pixels, options: Options) -> Mask | None:
    """Find the object and clean up its mask, at the picture's size or at the reduced size."""
    mask = segmentation.find_object(_reduced(picture), options.segmentation)
    return None if mask is None else matte.clean(mask, options.matte)


def _reduced(picture: Pixels) -> Pixels:
    longest = max(picture.shape)
    if longest <= WORK_SIDE_PIXELS:
        return picture
    height, width = (
        max(LEAST_SIDE_PIXELS, round(side * WORK_SIDE_PIXELS / longest)) for side in picture.shape[:2]
    )
    return fit_to(picture, height, width)


def _over(rgba: Pixels, background: Colour | None) -> Pixels:
    """Lay a cut-out over one colour, or make its invisible pixels black."""
    if background is None:
        return rgba * (rgba[..., 3:] > 0)
    return np.dstack([lay_over(rgba, background), np.full_like(rgba[..., 3], 255)])
