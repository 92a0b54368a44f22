"""The records in a bundle's JSON files: manifest, calibration, golden images."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from inspector.imaging import coverage
from inspector.types import Record

SCHEMA_VERSION = 2


class FileEntry(Record):
    """Digest and size of one file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class ImageContract(Record):
    """The preparation of a picture for `detector.onnx`, whose input is uint8 (N, height, width, 3).

    Attributes
    ----------
    background : (red, green, blue)
        The colour behind transparent pixels.
    full_scale : int or None
        White in pictures with more than 8 bits that do not state it.  None in bundles from before it was
        learned: then 65535 is white, whatever a file states.
    bits : tuple of int
        8, 16 or both: the pictures of the fit had 8 bits for each sample, or more.  Empty if not recorded.
    """

    height: int = Field(ge=32)
    width: int = Field(ge=32)
    colour_order: Literal["RGB"] = "RGB"
    value_range: tuple[int, int] = (0, 255)
    resize: Literal["stretch"] = "stretch"
    background: tuple[int, int, int] = (255, 255, 255)
    full_scale: int | None = Field(default=None, ge=255, le=65535)
    bits: tuple[Literal[8, 16], ...] = ()

    def depth_in_words(self) -> str | None:
        """Describe the bits of the pictures of the fit, and their white; None if they are not recorded.

        Examples
        --------
        >>> ImageContract(height=256, width=256, full_scale=4095, bits=(16,)).depth_in_words()
        '16-bit pictures with 12 bits in use: white is 4095'
        """
        if self.full_scale is None or not self.bits:
            return None
        in_use = (self.full_scale + 1).bit_length() - 1
        has_fewer = in_use < 16 and 2**in_use - 1 == self.full_scale
        deep = f"16-bit pictures with {in_use} bits in use" if has_fewer else "16-bit pictures"
        said = {8: "8-bit pictures: white is 255", 16: f"{deep}: white is {self.full_scale}"}
        return "; ".join(said[bits] for bits in self.bits)


class Column(Record):
    """One raw statistic of `detector.onnx`: the mean of the largest values of a component's map.

    `share` is the share of the map's values that are averaged.
    """

    component: str
    share: float = Field(gt=0, le=1)


class UnusualImage(Record):
    """A good picture that lies far above the others of its kind, held-out or training pictures.

    `outlyingness` is the distance of its score from the upper quartile of its kind, in interquartile ranges;
    a picture is `suspicious` beyond 1.5.
    """

    name: str
    held_out: bool
    score: float
    outlyingness: float
    suspicious: bool


class TrainingSummary(Record):
    """The facts that are needed to fit the model again.

    `suspicious_images` is the number of good pictures, held out or not, that may not be good, and
    `most_unusual` has the three that lie farthest above the others; None and empty if not recorded.

    `folder` held the pictures on the computer that fitted.  `smallest_picture` and `largest_picture` are
    width and height of those with the fewest and with the most pixels.  All three are None if not recorded.
    `heldout_errors` is the squared error of the reconstruction of each held-out picture, if it was measured.
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
    figures: dict[str, float] = Field(default_factory=dict)
    heldout_errors: tuple[float, ...] = ()
    packages: dict[str, str]
    folder: str | None = None
    smallest_picture: tuple[int, int] | None = None
    largest_picture: tuple[int, int] | None = None
    suspicious_images: int | None = None
    most_unusual: tuple[UnusualImage, ...] = ()

    def pictures_in_words(self) -> str:
        """Count the good pictures of the fit in words: those it learned from, and those it held out."""
        if not self.heldout_images:
            return f"{self.images} good pictures"
        total = self.images + self.heldout_images
        return f"{total} good pictures: {self.images} for training + {self.heldout_images} held out"

    def steps_in_words(self) -> str:
        """Count the steps of the training in words."""
        return "1 step" if self.steps == 1 else f"{self.steps} steps"


class ParitySummary(Record):
    """The comparison of torch with the exported graph on the held-out images."""

    images: int
    largest_relative_difference: float
    tolerance: float
    verdict_flips: int


class Int8Summary(Record):
    """The comparison of the 8-bit graph with `detector.onnx`.

    Attributes
    ----------
    shipped : bool
        True if the model ships the 8-bit graph; its thresholds were then calibrated with that graph.
    reason : str or None
        The reason why the graph is left out; None if it ships.  Figures that were not measured are None.
    reduced_range : bool
        True if weights have 7 bits, for processors on which sums of 8-bit products saturate.
    convolutions, calibration_images : int
        Number of convolutions and distances that compute with 8 bits, and number of training images that
        set their ranges.
    images : int
        Number of images that both graphs scored: held-out images, some of them also with synthetic defects.
    score_correlation : float
        Correlation of both graphs' scores; the smaller one of with and without the defects.
    largest_relative_difference, tolerance : float
        Largest difference of two scores, relative to the larger of the score and 1, and the allowed one.
    verdict_flips : int
        Number of verdicts that differ although both scores lie further than the tolerance from the threshold.
    speedup : float
        Speed relative to `detector.onnx`, on one core of the machine that fitted.  If the graph is left out,
        every operation was rounded for this measurement.
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
        """Describe in words whether the 8-bit graph ships."""
        if self.shipped:
            return f"{self.convolutions} convolutions and distances, {self.speedup:.1f} times as fast"
        return f"left out: {self.reason}"


class Manifest(Record):
    """`manifest.json`: the description of the model, and the digest of every other file."""

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

    def coverage_in_words(self) -> str | None:
        """Say how many pixels of a picture one pixel of the model covers; None if sizes are not recorded."""
        smallest, largest = self.training.smallest_picture, self.training.largest_picture
        if smallest is None or largest is None:
            return None
        return coverage.in_words(smallest, largest, (self.image.width, self.image.height))


class Fusion(Record):
    """The numbers that turn raw statistics into one score for each picture.

    A statistic is standardised, `(x - center) / scale`, with `center` and `scale` from training pictures.
    The score of a component is the mean of its standardised columns.  The score of the picture is the
    weighted mean of the components named in `fused`; with a `floor`, a component below it counts as the
    floor.  All of them rise with anomaly.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    fused: tuple[str, ...]
    weights: tuple[float, ...] = ()
    floor: float | None = None


class CalibrationMethod(StrEnum):
    """The way in which the thresholds of a model were set; older models have the first value.

    `CROSS`: all good pictures set the thresholds, each scored by a detector that did not learn from it, as
    CV+ does.  `CROSS_FITTED` is that of older models: held-out pictures, scored by memory banks and context
    models that did not learn from them.
    """

    SPLIT = "split conformal"
    HELD_OUT = "split conformal, held-out pictures"
    CROSS_FITTED = "split conformal, held-out pictures, cross-fitted"
    CROSS = "cross-conformal, all pictures"
    NEW = "split conformal, new pictures"


class Calibration(Fusion):
    """`calibration.json`: the numbers that turn raw statistics into a verdict.

    `heldout_scores` are the scores of the good pictures that set the thresholds, each scored by what did not
    learn from it: all of the fit, those that it held out, or, by `CalibrationMethod.NEW`, new ones.
    """

    threshold: float
    review_threshold: float | None = None
    map_limit: float
    map_ceiling: float
    asked_false_reject_rate: float
    promised_false_reject_rate: float
    promise_kept: bool
    images_missing: int = Field(ge=0)
    heldout_scores: tuple[float, ...]
    method: str = CalibrationMethod.SPLIT
    source: str
    created: str

    @property
    def is_new(self) -> bool:
        """True if new pictures set the thresholds after the fit."""
        return self.method == CalibrationMethod.NEW

    @property
    def is_cross_fitted(self) -> bool:
        """True if all good pictures of the fit set the thresholds, each scored without itself."""
        return self.method == CalibrationMethod.CROSS

    @property
    def is_smallest(self) -> bool:
        """True if this number of pictures cannot promise less than the promised rate."""
        return round(self.promised_false_reject_rate * (len(self.heldout_scores) + 1), 6) <= 1

    def pictures_in_words(self) -> str:
        """Count the good pictures that set the thresholds in words."""
        number = len(self.heldout_scores)
        kinds: dict[str, str] = {CalibrationMethod.NEW: "new ", CalibrationMethod.CROSS: ""}
        kind = kinds.get(self.method, "held-out ")
        return f"{number} {kind}good {'picture' if number == 1 else 'pictures'}"


class GoldenProbe(Record):
    """The expected raw statistics of one golden image, and the peak of its map."""

    file: str
    statistics: tuple[float, ...]
    map_peak: float


class Golden(Record):
    """`golden/golden.json`: the expected numbers of all golden images."""

    tolerance: float
    probes: tuple[GoldenProbe, ...]
