"""The options of the inspection network."""

from __future__ import annotations

import pytest

from inspector.errors import UsageError
from models.inspection.options import InspectionOptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "fast"}, "--preset is 'fast'; allowed are quick, standard, thorough"),
        ({"image_size": 100}, "multiples of 32"),
        ({"image_size": 32}, "64 to 1024"),
        ({"max_false_reject": 0.9}, "0.0001 to 0.5"),
        ({"max_review": 0.5, "max_false_reject": 0.5}, "below 0.5"),
        ({"steps": 0}, "1 to"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
        ({"regularizer": "gan"}, "mmd, none"),
        ({"time_budget_seconds": 0.2}, "1s to 168h"),
        ({"latent_dim": 1}, "2 to 256"),
    ],
)
def test_unknown_values_are_refused(changes: dict[str, object], words: str) -> None:
    """Each option's message names the value and what is allowed."""
    with pytest.raises(UsageError, match=words):
        InspectionOptions(**changes)  # type: ignore[arg-type]
