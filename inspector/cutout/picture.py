"""One picture, from its file's bytes to the RGBA pixels of its cut-out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from inspector.cutout import matte, segmentation
from inspector.cutout.frame import Colour, Mask, Pixels
from inspector.cutout.matte import Finish
from inspector.cutout.segmentation import Search
from inspector.imaging.decode import decode, straight_rgba
from inspector.imaging.header import MAX_PIXELS
from inspector.imaging.resize import fit_to

WORK_SIDE_PIXELS = 400  # the object is looked for in a picture no longer than this
LEAST_SIDE_PIXELS = 8  # a border of four sides needs some
GENERATION = 3  # another number makes every cut-out anew: raise it when the same options give other pixels


@dataclass(frozen=True)
class Options:
    """How pictures are cut out.

    Attributes
    ----------
    search : Search
        How the object is looked for.
    finish : Finish
        How its mask is cleaned up.
    onto : (red, green, blue), optional
        What is laid behind the object; nothing without it.
    """

    search: Search = field(default_factory=Search)
    finish: Finish = field(default_factory=Finish)
    onto: Colour | None = None

    def stamp(self, data: bytes) -> str:
        """Return one word for these options and the bytes of a picture's file."""
        return hashlib.sha256(
            f"{GENERATION} {self!r} {hashlib.sha256(data).hexdigest()}".encode()
        ).hexdigest()


class CutOut(NamedTuple):
    """A cut-out: uint8 RGBA of shape (H, W, 4), and whether it is the picture's own alpha channel."""

    rgba: Pixels
    had_alpha: bool


def cut_out(data: bytes, options: Options, *, max_pixels: int = MAX_PIXELS) -> CutOut | None:
    """Remove the background of a picture.

    Parameters
    ----------
    data : bytes
        The picture's file.  One that has transparent pixels was cut out before: its alpha is kept.
    options : Options
        How.
    max_pixels : int
        Larger pictures are refused.

    Returns
    -------
    CutOut or None
        Invisible pixels are black; None where nothing stands out from the border.

    Raises
    ------
    ImageError
        The picture is at fault.
    """
    picture = decode(data, max_pixels=max_pixels, max_bytes=len(data)).pixels
    own = straight_rgba(data)
    if own is not None:
        return CutOut(_laid_onto(own, options.onto), had_alpha=True)
    mask = object_mask(picture, options)
    if mask is None:
        return None
    alpha = matte.alpha(mask, picture, options.finish)
    return CutOut(_laid_onto(np.dstack([picture, alpha]), options.onto), had_alpha=False)


def object_mask(picture: Pixels, options: Options) -> Mask | None:
    """Find and clean up the object's mask, at the picture's size or at that of the search."""
    mask = segmentation.find_object(_reduced(picture), options.search)
    return None if mask is None else matte.tidy(mask, options.finish)


def _reduced(picture: Pixels) -> Pixels:
    longest = max(picture.shape)
    if longest <= WORK_SIDE_PIXELS:
        return picture
    height, width = (
        max(LEAST_SIDE_PIXELS, round(side * WORK_SIDE_PIXELS / longest)) for side in picture.shape[:2]
    )
    return fit_to(picture, height, width)


def _laid_onto(rgba: Pixels, colour: Colour | None) -> Pixels:
    """Lay a cut-out over one colour, or make its invisible pixels black."""
    if colour is None:
        return rgba * (rgba[..., 3:] > 0)
    share = rgba[..., 3:].astype(np.float32) / np.float32(255)
    flat = rgba[..., :3] * share + np.array(colour, np.float32) * (1 - share)
    return np.dstack([np.rint(flat).astype(np.uint8), np.full_like(rgba[..., 3], 255)])
