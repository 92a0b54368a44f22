"""Turns raw statistics into a verdict with a promise, and measures how well a model finds defects."""

from calibration.conformal import ConformalThreshold, heldout_count
from calibration.evaluation import evaluate
from calibration.recalibration import recalibrate
from calibration.standardise import ScoreFusion
from calibration.thresholds import make_calibration, promise

__all__ = [
    "ConformalThreshold",
    "ScoreFusion",
    "evaluate",
    "heldout_count",
    "make_calibration",
    "promise",
    "recalibrate",
]
