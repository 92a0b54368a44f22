"""The records that cross boundaries: what a bundle says of itself, and what an inspection found."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2

Verdict = Literal["pass", "review", "fail", "invalid"]


class Record(BaseModel):
    """Immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


# --- what a bundle says of itself -----------------------------------------------------------


class FileEntry(Record):
    """Digest and size of one file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class ImageContract(Record):
    """How a picture becomes the input of `detector.onnx`: uint8 (N, height, width, 3)."""

    height: int = Field(ge=32)
    width: int = Field(ge=32)
    colour_order: Literal["RGB"] = "RGB"
    value_range: tuple[int, int] = (0, 255)
    resize: Literal["stretch"] = "stretch"
    background: tuple[int, int, int] = (255, 255, 255)  # what transparency is laid over


class Column(Record):
    """One raw statistic of `detector.onnx`: the mean of the top `share` of a component's map."""

    component: str
    share: float = Field(gt=0, le=1)


class TrainingSummary(Record):
    """How the model was made: enough to make it again.

    `folder` held the pictures on the computer that fitted; None in models that do not say so.
    """

    preset: str
    options: dict[str, Any]
    steps: int
    seconds: float
    seed: int
    threads: int
    one_thread_from: int | None = None
    device: str
    images: int
    heldout_images: int
    skipped_images: int
    dataset_digest: str
    parameters: dict[str, int]
    losses: dict[str, float]
    figures: dict[str, float] = {}
    packages: dict[str, str]
    folder: str | None = None


class ParitySummary(Record):
    """Torch against the exported graph on the held-out images."""

    images: int
    largest_relative_difference: float
    tolerance: float
    verdict_flips: int


class Int8Summary(Record):
    """The graph with 8-bit convolutions against `detector.onnx`, and whether it is in the bundle.

    Attributes
    ----------
    shipped : bool
        Whether it is; then held-out scores, and with them the thresholds, are its own.
    reason : str or None
        Why it is not; figures that were not needed to see that are None.
    reduced_range : bool
        Whether weights have 7 bits, for processors whose sums of 8-bit products saturate.
    convolutions, calibration_images : int
        How many convolutions and distances compute with 8 bits, and how many training images set their
        ranges.
    images : int
        Held-out images, and some of them with synthetic defects, that were scored by both graphs.
    score_correlation : float
        Of both graphs' scores, with and without the defects; the smaller one.
    largest_relative_difference, tolerance : float
        Of two scores, relative to the larger of the score and 1.
    verdict_flips : int
        Other verdicts although both scores lie further than the tolerance from the threshold.
    speedup : float
        How many times as fast it is, on one core of the machine that fitted; where it is left out, with all
        of them rounded.
    """

    shipped: bool
    reason: str | None = None
    reduced_range: bool
    convolutions: int | None = None
    calibration_images: int | None = None
    images: int | None = None
    score_correlation: float | None = None
    largest_relative_difference: float | None = None
    tolerance: float
    verdict_flips: int | None = None
    speedup: float | None = None

    def in_words(self) -> str:
        """Whether it is used, and why."""
        if self.shipped:
            return f"{self.convolutions} convolutions and distances, {self.speedup:.1f} times as fast"
        return f"left out: {self.reason}"


class Manifest(Record):
    """`manifest.json`: what the bundle is, and the digest of every other file in it."""

    schema_version: int
    name: str
    version: int = Field(ge=1)
    created: str
    inspector_version: str
    image: ImageContract
    architecture: str
    columns: tuple[Column, ...]
    latent_dim: int
    training: TrainingSummary
    parity: ParitySummary
    int8: Int8Summary | None = None
    files: dict[str, FileEntry]


class Calibration(Record):
    """`calibration.json`: the numbers that turn raw statistics into a verdict.

    A statistic is standardised, `(x - center) / scale`, with `center` and `scale` from training
    images.  A component's score is the mean of its standardised columns; the score of the
    picture is the weighted mean of the components named in `fused`, of each no less than `floor`
    where there is one.  All of them rise with anomaly.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    fused: tuple[str, ...]
    weights: tuple[float, ...] = ()
    floor: float | None = None
    threshold: float
    review_threshold: float | None = None
    map_limit: float
    map_ceiling: float
    asked_false_reject_rate: float
    promised_false_reject_rate: float
    promise_kept: bool
    images_missing: int = Field(ge=0)
    heldout_scores: tuple[float, ...]
    method: str = "split conformal"
    source: str
    created: str


class GoldenProbe(Record):
    """Expected raw statistics of one golden image."""

    file: str
    statistics: tuple[float, ...]
    map_peak: float


class Golden(Record):
    """`golden/golden.json`."""

    tolerance: float
    probes: tuple[GoldenProbe, ...]


# --- what an inspection found ---------------------------------------------------------------


class Region(Record):
    """A connected part of the picture whose anomaly map exceeds the calibrated limit, in pixels."""

    x: int
    y: int
    width: int
    height: int
    area_pixels: int
    peak: float


class ModelId(Record):
    """Which model made a verdict."""

    name: str
    version: int
    digest: str


class ImageSize(Record):
    """Size of the picture as it was handed in, after EXIF rotation."""

    width: int
    height: int


class Milliseconds(Record):
    """Where the time went."""

    decode: float
    infer: float
    decide: float


class ScoredImage(Record):
    """One scored image: the object that JSON, HTTP and Python share."""

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
    reason: str | None


@dataclass(frozen=True)
class Modification:
    """One state of a file: another size or another time of change is another one."""

    mtime_ns: int
    size_bytes: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Take it from what the file system says."""
        return cls(status.st_mtime_ns, status.st_size)


class WatchedImage(ScoredImage):
    """One line of `inspector watch`: a scored image, and which state of its file that was."""

    modified: Modification
    heatmap: str | None


def to_json(row: ScoredImage) -> str:
    """Return one object on one line, in ASCII: a file name that is not UTF-8 stays what it is."""
    return json.dumps(row.model_dump())
