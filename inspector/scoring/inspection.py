"""The result of inspecting one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InvalidReason
from inspector.imaging.files import printable
from inspector.imaging.resize import fit_to
from inspector.scoring import heatmap
from inspector.scoring.decision import is_flagged
from inspector.scoring.records import ImageSize, Milliseconds, Region, ScoredImage
from inspector.types import ModelId, Verdict


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """One inspected picture: the verdict, the numbers behind it, and the regions that stand out.

    The documented JSON fields have the same names here; JSON joins `reason` and `message` to one string.
    Notebooks show the verdict, the picture and its heatmap.  The arrays below are None when the verdict is
    `invalid`.

    Attributes
    ----------
    hint : str
        The next step for a picture that is `invalid`; not in the JSON.
    picture : uint8 (H, W, 3)
        RGB, in the picture's own size.
    anomaly_map : float32 (H, W)
        In the picture's own size; higher is more anomalous.  The scale is the model's.
    coarse_map : float32 (h, w)
        The anomaly map as the detector graph returns it.
    latent : float32 (d,)
        The latent, averaged over its spatial positions.
    map_scale : (float, float)
        The limit and the ceiling of the map: the scale of the heatmap's colours.
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
    hint: str = ""
    unfamiliar: bool = False
    remarks: tuple[str, ...] = ()
    _pixels: NDArray[np.uint8] | None = None
    _columns: tuple[str, ...] = ()  # names of the model's components
    coarse_map: NDArray[np.float32] | None = None
    latent: NDArray[np.float32] | None = None
    map_scale: tuple[float, float] | None = None

    def __repr__(self) -> str:
        return printable(f"<Inspection {self.path or 'picture'}: {self.in_words()}>")

    def _repr_html_(self) -> str:
        from inspector.scoring import notebook

        shown = None if self.picture is None else notebook.reduced(self.picture)
        pictures = {"picture": shown, "heatmap": None if shown is None else self.draw(shown)}
        return notebook.page(self.verdict, self.in_words(), self.path or "picture", pictures)

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

    def in_words(self) -> str:
        """Return verdict, score, regions, model, remarks in one line; for an `invalid` picture the reason."""
        if self.score is None:
            return f"{self.verdict}, {self.reason}: {self.message}"
        sign = ">" if is_flagged(self.score, self.threshold) else "≤"
        score = f"score {self.score:.2f} {sign} {self.threshold:.2f}"
        facts = f"{self.verdict}, {score}, {self._regions_in_words()}, model {self.model.reference}"
        return "; ".join([facts, *self.remarks])

    def _regions_in_words(self) -> str:
        if any(not region.above_limit for region in self.regions):
            return "a place below the map's limit"
        return "1 region" if len(self.regions) == 1 else f"{len(self.regions)} regions"

    def draw(self, pixels: NDArray[np.uint8] | None = None) -> NDArray[np.uint8] | None:
        """Draw the heatmap over the picture and outline the listed regions.

        Parameters
        ----------
        pixels : uint8 (h, w, 3), optional
            The same picture in the size to draw; default: `picture`.

        Returns
        -------
        uint8 (h, w, 3) or None
            RGB; None if the verdict is `invalid`, or if there are no pixels to draw on.
        """
        pixels = self.picture if pixels is None else pixels
        if pixels is None or self.coarse_map is None or self.image is None or self.map_scale is None:
            return None
        limit, ceiling = self.map_scale
        return heatmap.overlay(
            pixels,
            self.coarse_map,
            limit=limit,
            ceiling=ceiling,
            regions=self.regions,
            picture_size=(self.image.height, self.image.width),
        )

    def without_pixels(self) -> Inspection:
        """Return a copy that keeps only the coarse map and the latent, for callers that keep many."""
        return replace(self, _pixels=None)

    def record(self) -> ScoredImage:
        """Return the record that command line, JSON and HTTP share."""
        fields = {name: getattr(self, name) for name in ScoredImage.model_fields}
        if self.reason is not None:
            fields["reason"] = f"{self.reason}: {self.message}"
        return ScoredImage(**fields)

    def to_dict(self) -> dict[str, str | float | None]:
        """Return one flat row of plain values, for a table of many pictures; see `ScoredImage.row`.

        The rows of one model have the same keys, also that of an `invalid` picture.

        `pandas.DataFrame([inspection.to_dict() for inspection in inspections])` is such a table.
        """
        return self.record().row(self._columns)
