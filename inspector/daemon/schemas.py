"""Request and response bodies of the API, as pydantic models."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, StrictBool

from inspector.bundle.records import Calibration, ImageContract, Manifest
from inspector.scoring.detector import Detector
from inspector.scoring.records import ScoredImage
from inspector.types import ModelId, Record

MAX_WAIT_SECONDS = 25.0  # below the time limit of common proxies

Label = Literal["good", "defect", "disputed"]


class MapFormat(StrEnum):
    """Values of `?map=`."""

    NONE = "none"
    PNG = "png"
    NPY = "npy"


class ScoreQuery(Record):
    """Query parameters of the scoring routes; any other parameter is refused."""

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="`NAME` or `NAME@VERSION`; default: the name that the daemon stays with, which is that "
        "of `--model`, or the one that was current when it started.",
        examples=["tiles", "tiles@1"],
    )
    map: MapFormat = Field(
        default=MapFormat.NONE,
        description="`png` or `npy` adds the anomaly map, in the picture's own pixels, as base64.",
    )


class RecentQuery(Record):
    """Query parameters of the list of inspections; any other parameter is refused."""

    since: int = Field(default=0, ge=0, le=2**53, description="The last revision that is known.")
    wait: float = Field(
        default=0, ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for something new."
    )


class EncodedMap(Record):
    """The anomaly map in the picture's own pixels.

    `npy` is float32 (H, W); `png` is grey, where 0 is the model's normal and 255 its ceiling.
    """

    format: Literal["png", "npy"]
    data: str = Field(description="base64")


class ScoreReply(ScoredImage):
    """One scored picture; `map` is set only if the request asked for it."""

    map: EncodedMap | None = None


class BatchReply(Record):
    """Scored pictures in the order in which they were sent."""

    results: tuple[ScoreReply, ...]


class ModelReply(Record):
    """One opened model."""

    model: ModelId
    default: bool = Field(description="true if this model answers requests that name none")
    created: str
    image: ImageContract
    threshold: float
    review_threshold: float | None
    promised_false_reject_rate: float

    @classmethod
    def of(cls, detector: Detector, default: Detector | None) -> ModelReply:
        """Describe an opened model."""
        calibration = detector.calibration
        return cls(
            model=detector.model,
            default=detector is default,
            created=detector.manifest.created,
            image=detector.manifest.image,
            threshold=calibration.threshold,
            review_threshold=calibration.review_threshold,
            promised_false_reject_rate=calibration.promised_false_reject_rate,
        )


class DriftOutcome(Record):
    """One drift test of a model's recent pictures; a lower `p_value` is stronger evidence of drift."""

    time: str
    statistic: float
    p_value: float
    pictures: int


class ModelCard(Record):
    """Manifest and calibration of a model, and the latest drift tests of its pictures."""

    manifest: Manifest
    calibration: Calibration
    samples: int = Field(description="number of golden pictures of /v1/models/{name}/samples/{number}")
    drift: tuple[DriftOutcome, ...]


class JudgementRequest(Record):
    """An operator's judgement of a verdict; `agrees: null` withdraws it."""

    operator: str = Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
    agrees: StrictBool | None


class Judgement(Record):
    """One operator's judgement of a verdict."""

    operator: str
    agrees: bool
    time: str


class InspectionReply(Record):
    """One recent inspection.

    `label` sums up the operators' judgements of the part: good, defect or disputed; null without judgements.
    `has_picture` is false if the picture is no longer kept or cannot be shown.
    """

    id: int
    revision: int
    time: str
    inspection: ScoredImage
    judgements: tuple[Judgement, ...]
    label: Label | None
    has_picture: bool


class RecentReply(Record):
    """Inspections that are new or were judged since a revision, newest first.

    `epoch` changes with each start of the daemon, when numbers start again; `oldest` is the smallest number
    that is kept.
    """

    epoch: str
    revision: int
    oldest: int
    inspections: tuple[InspectionReply, ...]


class ProblemReply(Record):
    """An error, as `application/problem+json` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
