"""The tags of a TIFF, and their numbers.

References
----------
TIFF 6.0, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, CHANNELS, STRIP_ROWS, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_ROWS, TILES, TILE_BYTES = 322, 323, 324, 325
MAX_SAMPLE, SIGNED_MAX_SAMPLE, EXTRA_SAMPLES, SAMPLE_FORMAT = 281, 341, 338, 339
JPEG_TABLES = 347

WHITE_IS_ZERO, RGB, CMYK, YCBCR = 0, 2, 5, 6  # of PHOTOMETRIC


def tags_of(image: Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF that Pillow has opened, by their numbers; none for other formats."""
    return cast(Mapping[int, Any], getattr(image, "tag_v2", {}))
