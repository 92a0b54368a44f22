"""The record of one scored image, as JSON, HTTP and Python share it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import Field

from inspector.types import ModelId, Record, Verdict


class Region(Record):
    """A connected region, in pixels of the picture, where the anomaly map exceeds the calibrated limit.

    Where no region does, a picture that did not pass has its strongest place, with `above_limit` false.
    """

    x: int
    y: int
    width: int
    height: int
    area_pixels: int
    peak: float
    above_limit: bool = True


class PixelSize(Record):
    """Width and height in pixels of the picture; they need not be whole."""

    width: float
    height: float


class ImageSize(Record):
    """Size and brightness scale of the picture as it was handed in, after EXIF rotation.

    Attributes
    ----------
    bits : int
        8, or 16 if the picture stores more than 8 bits for each sample.
    full_scale : int
        The sample that is white.
    clipped_pixels : int
        Number of pixels with a sample beyond the full scale, which counts as white.
    model_pixel : PixelSize or None
        The part of the picture that one pixel of the model covers.
    """

    width: int
    height: int
    bits: int = 8
    full_scale: int = 255
    clipped_pixels: int = 0
    model_pixel: PixelSize | None = None


class Milliseconds(Record):
    """Time spent on each stage of one inspection."""

    decode: float
    infer: float
    decide: float


class ScoredImage(Record):
    """One scored image; `reason` is `CODE: MESSAGE` for the verdict `invalid`, else None.

    `unfamiliar` is true if the picture looks unlike every good picture that the model knows.  `remarks`
    are sentences about oddities of a picture that could be scored.
    """

    path: str | None
    verdict: Verdict
    score: float | None
    threshold: float
    p_value: float | None = Field(
        description="falls with anomaly, and never below 1 / (n + 1), where n good pictures set the "
        "threshold; it counts the picture itself, so it is not the share of good pictures that score as high"
    )
    components: dict[str, float] | None = Field(
        description="standardised score of each component that the model's manifest lists"
    )
    regions: tuple[Region, ...]
    model: ModelId
    image: ImageSize | None
    milliseconds: Milliseconds
    reason: str | None
    remarks: tuple[str, ...] = ()
    unfamiliar: bool = False

    def row(self, components: Sequence[str] = ()) -> dict[str, str | float | None]:
        """Return the picture as one flat row of plain values, as `--format csv` prints it.

        Each component has a column, `regions` is their number, and `milliseconds` is the sum.

        Parameters
        ----------
        components : sequence of str
            The model's components: columns that an `invalid` picture has, too.
        """
        time = self.milliseconds
        return {
            "path": self.path,
            "verdict": self.verdict,
            "score": self.score,
            "threshold": self.threshold,
            "p_value": self.p_value,
            **(self.components or dict.fromkeys(components)),
            "regions": len(self.regions),
            "model": self.model.name,
            "version": self.model.version,
            "width": None if self.image is None else self.image.width,
            "height": None if self.image is None else self.image.height,
            "milliseconds": round(time.decode + time.infer + time.decide, 3),
            "reason": self.reason,
            "remarks": "; ".join(self.remarks) or None,
            "unfamiliar": self.unfamiliar,
        }

    def to_json(self) -> str:
        """Return one line of JSON in ASCII; escapes keep the bytes of a file name that is not UTF-8."""
        return json.dumps(self.model_dump())
