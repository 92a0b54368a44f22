"""Turns raw statistics into a verdict with a promise, and measures how well a model finds defects."""

from calibration.calibrate import make_calibration, promise
from calibration.conformal import ConformalThreshold, heldout_count
from calibration.evaluation import evaluate
from calibration.fusion import ScoreFusion
from calibration.recalibration import recalibrate

__all__ = [
    "ConformalThreshold",
    "ScoreFusion",
    "evaluate",
    "heldout_count",
    "make_calibration",
    "promise",
    "recalibrate",
]
