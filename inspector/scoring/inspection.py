"""The result of inspecting one picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InvalidReason
from inspector.imaging.resize import fit_to
from inspector.scoring import heatmap
from inspector.scoring.records import ImageSize, Milliseconds, Region, ScoredImage
from inspector.types import ModelId, Verdict


@dataclass(frozen=True, eq=False)
class Inspection:
    """One inspected picture: the verdict, the numbers behind it, and the regions that stand out.

    The documented JSON fields have the same names here; JSON joins `reason` and `message` to one string.
    The arrays below are None when the verdict is `invalid`.

    Attributes
    ----------
    picture : uint8 (H, W, 3)
        RGB, in the picture's own size.
    anomaly_map : float32 (H, W)
        In the picture's own size; higher is more anomalous.  The scale is the model's.
    coarse_map : float32 (h, w)
        The anomaly map as the detector graph returns it.
    latent : float32 (d,)
        The latent, averaged over its spatial positions.
    """

    path: str | None
    verdict: Verdict
    score: float | None
    threshold: float
    p_value: float | None
    components: dict[str, float] | None
    regions: tuple[Region, ...]
    model: ModelId
    image: ImageSize | None
    milliseconds: Milliseconds
    reason: InvalidReason | None
    message: str | None
    _pixels: NDArray[np.uint8] | None = field(default=None, repr=False)
    coarse_map: NDArray[np.float32] | None = field(default=None, repr=False)
    latent: NDArray[np.float32] | None = field(default=None, repr=False)

    @cached_property
    def anomaly_map(self) -> NDArray[np.float32] | None:
        """float32 (H, W) in the picture's own size; higher is more anomalous."""
        if self.coarse_map is None or self.image is None:
            return None
        return heatmap.upsample(self.coarse_map, self.image.height, self.image.width)

    @cached_property
    def picture(self) -> NDArray[np.uint8] | None:
        """uint8 (H, W, 3), RGB, in the picture's own size; None after `without_pixels`."""
        if self._pixels is None or self.image is None:
            return None
        return fit_to(self._pixels, self.image.height, self.image.width)

    def without_pixels(self) -> Inspection:
        """Return a copy that keeps only the coarse map and the latent, for callers that keep many."""
        return replace(self, _pixels=None)

    def record(self) -> ScoredImage:
        """Return the record that command line, JSON and HTTP share."""
        fields = {name: getattr(self, name) for name in ScoredImage.model_fields}
        if self.reason is not None:
            fields["reason"] = f"{self.reason}: {self.message}"
        return ScoredImage(**fields)
