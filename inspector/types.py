"""Types that several packages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Quoted, because importing numpy takes longer than all that `models list` does.
Pixels: TypeAlias = "NDArray[np.uint8]"
"""A picture (H, W, 3), RGB, where nothing else is said."""

Mask: TypeAlias = "NDArray[np.bool_]"
"""A mask (H, W)."""

Verdict = Literal["pass", "review", "fail", "invalid"]


class Record(BaseModel):
    """An immutable record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class ModelId(Record):
    """The model that made a verdict; `digest` is that of its manifest."""

    name: str
    version: int
    digest: str

    @property
    def reference(self) -> str:
        """`NAME@VERSION`, as `--model` takes it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class RawScores:
    """The outputs of `detector.onnx` for a batch; no threshold has been applied.

    Attributes
    ----------
    statistics : float32 (N, C)
        One column for each entry of the manifest's `columns`; a higher value is more anomalous.
    anomaly_map : float32 (N, h, w)
        In units of the training pictures' spread; a higher value is more anomalous.
    latent : float32 (N, d)
        The latents, averaged over the patches of each picture.
    """

    statistics: NDArray[np.float32]
    anomaly_map: NDArray[np.float32]
    latent: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> RawScores:
        """Return the outputs of some of the pictures; bool (N,)."""
        return RawScores(self.statistics[chosen], self.anomaly_map[chosen], self.latent[chosen])
