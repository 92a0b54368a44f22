"""Finds the full scale of pictures with more than 8 bits, and scales and clips their samples.

Cameras write 10, 12 or 14 bits into files of 16.  The file seldom says so, and dividing by 65535 would leave
a dozen levels.  White is therefore, in this order:

1. the full scale that the file states, if it is one that a camera can have (2^n - 1);
2. the full scale that the model learned from all pictures of its fit (`learn`);
3. 65535.

Nothing here depends on the greatest value of the one picture at hand: a darker picture stays darker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from inspector.imaging import header, tiff_tags
from inspector.types import Pixels

DEEP = 65535
SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
FEW = 0.2  # a smaller share of pictures than this should not set the full scale unnoticed
FAR = 15  # a full scale of more than this many times the greatest sample leaves a picture dark


@dataclass(frozen=True)
class Depth:
    """The range that the samples of a picture with more than 8 bits use; alpha does not count.

    Attributes
    ----------
    said : int or None
        The full scale that the file states and does not contradict.
    greatest : int
        The greatest sample.
    used : int
        The bits that are set in any sample.
    full_scale : int
        The sample that became white, 255.
    clipped_pixels : int
        Number of pixels with a sample beyond the full scale; such a sample is white as well.
    """

    said: int | None
    greatest: int
    used: int
    full_scale: int
    clipped_pixels: int

    @property
    def stated(self) -> int | None:
        """The full scale that holds for this picture alone, because the file states it; else None.

        A value such as 3987 is not a camera's full scale.  Some programs write the greatest value of the
        picture there, and dividing by it would hide a change of light.
        """
        return self.said if self.said is not None and _is_full(self.said) else None


def measure(
    samples: npt.NDArray[np.uint16],
    full_scale: int | None,
    *,
    png: bytes = b"",
    tags: Mapping[int, Any] | None = None,
) -> Depth:
    """Find the full scale of a picture, and count the pixels beyond it.

    Parameters
    ----------
    samples : uint16 (H, W) or (H, W, C)
        Without alpha.
    full_scale : int or None
        White for a file that does not state it.  None: white is 65535, or 4095 in a TIFF of 12 bits, whatever
        else the file states; models from before this rule score like that.
    png : bytes
        The file, if it is a PNG.
    tags : mapping, optional
        The tags of a TIFF.
    """
    greatest, used = int(samples.max()), int(np.bitwise_or.reduce(samples, axis=None))
    if full_scale is None:
        white = 4095 if (tags or {}).get(tiff_tags.BITS) == (12,) else DEEP
        return Depth(None, greatest, used, white, 0)
    said = _said_by_png(png, greatest, used) if png else _said_by_tiff(tags or {}, greatest)
    depth = Depth(said, greatest, used, full_scale, 0)
    white = depth.stated or full_scale
    clipped = 0
    if greatest > white:
        beyond = samples > white
        clipped = int(np.count_nonzero(beyond if beyond.ndim == 2 else beyond.any(axis=2)))
    return Depth(said, greatest, used, white, clipped)


def learn(depths: Sequence[Depth]) -> int:
    """Return the full scale of the pictures of a fit.

    Parameters
    ----------
    depths : sequence of Depth
        Of all pictures with more than 8 bits.

    Returns
    -------
    int
        The value that every file states, if all state the same one.  Else 65535 if the samples are aligned to
        the left: their lowest bits are always 0, and they reach beyond the range that the other bits span.
        Else the smallest of 255, 1023, 4095, 16383 and 65535 that holds the greatest sample of every picture,
        and every stated full scale.  Without pictures 65535.

    Notes
    -----
    Dark pictures of a true 16-bit camera may be taken for 10 or 12 bits.  That costs nothing while the camera
    stays as it is: one factor gives all of them more levels.  A brighter picture is clipped later, and it is
    counted.

    Examples
    --------
    >>> learn([Depth(None, 2425, 0xFFF, 65535, 0), Depth(None, 348, 0x1FF, 65535, 0)])
    4095
    """
    said = {depth.said for depth in depths}
    if len(said) == 1 and (only := said.pop()) is not None:
        return only
    used = 0
    for depth in depths:
        used |= 0 if depth.stated else depth.used
    spare = (used & -used).bit_length() - 1 if used else 0
    if spare >= 2 and used >> (16 - spare):
        return DEEP
    return _holding(max((_reach(depth) for depth in depths), default=DEEP))


def deciding_alone(depths: Sequence[Depth], full_scale: int) -> tuple[list[int], int]:
    """Return which few pictures set the full scale far above all others, and the others' full scale.

    Parameters
    ----------
    depths : sequence of Depth
        Of all pictures with more than 8 bits.
    full_scale : int
        As `learn` returned it.

    Returns
    -------
    list of int, int
        Places in `depths`, empty if the full scale suits the others as well.
    """
    needs = [_holding(_reach(depth)) for depth in depths]
    few = [place for place, need in enumerate(needs) if need >= full_scale]
    others = max((need for need in needs if need < full_scale), default=full_scale)
    if 0 < len(few) < FEW * len(depths) and full_scale > FAR * others:
        return few, others
    return [], full_scale


def to_eight_bits(samples: npt.NDArray[Any], full_scale: int = DEEP) -> Pixels:
    """Scale samples of 0 to `full_scale` to 0 to 255, rounded; greater ones become 255."""
    return cast(Pixels, _table(full_scale, 255)[samples])


def to_sixteen_bits(samples: npt.NDArray[Any], full_scale: int) -> npt.NDArray[np.uint16]:
    """Scale samples of 0 to `full_scale` to 0 to 65535, rounded; greater ones become 65535."""
    return samples if full_scale == DEEP else _table(full_scale, DEEP)[samples]


@lru_cache(maxsize=8)
def _table(full_scale: int, top: int) -> npt.NDArray[Any]:
    samples = np.minimum(np.arange(DEEP + 1), full_scale)
    return np.rint(samples * top / full_scale).astype(np.uint8 if top == 255 else np.uint16)


def _said_by_png(png: bytes, greatest: int, used: int) -> int | None:
    """Return the full scale by the chunk sBIT, the number of significant bits.

    The PNG specification asks writers to spread these bits over the whole range, so that the lowest bits are
    0 or a copy of the highest; programs of cameras often do not.
    """
    bits = header.significant_bits(png)
    if bits is None or not 8 <= bits <= 16:
        return None
    full = 2**bits - 1
    if greatest > full:
        return DEEP
    unused = 2 ** (16 - bits) - 1
    return full if used & unused or bits == 16 else None  # else it may be a dark picture with spread bits


def _said_by_tiff(tags: Mapping[int, Any], greatest: int) -> int | None:
    """Return the full scale by the tags MaxSampleValue or SMaxSampleValue, or by 12 bits a sample."""
    said = _number(tags.get(tiff_tags.MAX_SAMPLE)) or _number(tags.get(tiff_tags.SIGNED_MAX_SAMPLE))
    if said is None and tags.get(tiff_tags.BITS) == (12,):
        said = 4095
    return said if said is not None and max(greatest, 255) <= said <= DEEP else None


def _number(values: Any) -> int | None:
    """Return the greatest of a tag's values, one for each channel; None if it is no number."""
    numbers = values if isinstance(values, tuple) else (values,)
    if not numbers or not all(isinstance(number, int | float) for number in numbers):
        return None
    greatest = max(numbers)
    return int(greatest) if 0 < greatest <= DEEP else None


def _reach(depth: Depth) -> int:
    return depth.stated or depth.greatest


def _holding(greatest: int) -> int:
    return min(scale for scale in SCALES if scale >= greatest)


def _is_full(value: int) -> bool:
    return value & (value + 1) == 0
