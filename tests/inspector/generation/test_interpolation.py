"""One transition leads another in sharpness: by how much, and how steadily."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.generation.interpolation import Transition, lead


def way(*sharpness: float) -> Transition:
    """A transition of which the sharpness alone matters."""
    return Transition((np.zeros((2, 2, 3), np.uint8),) * len(sharpness), sharpness)


def test_shares_follow_the_ends() -> None:
    """A step is compared with the mix of both ends, so that unequal ends are no difference."""
    assert way(10, 20, 30, 40).shares == pytest.approx((1, 1))
    assert way(10, 10, 30).shares == pytest.approx((0.5,))
    assert way(0, 5, 0).shares == ()
    assert way(3, 4).shares == ()


def test_a_steady_lead_and_a_chance_one() -> None:
    """The same mean lead varies little in one case, and changes sides in the other."""
    fade = way(10, 5, 5, 5, 5, 10)
    assert lead(way(10, 6, 6, 6, 6, 10), fade) == pytest.approx((0.1, 0.0))
    ahead, spread = lead(way(10, 9, 3, 9, 3, 10), fade) or (0.0, None)
    assert ahead == pytest.approx(0.1)
    assert spread is not None
    assert spread > 3 * ahead


def test_too_few_steps() -> None:
    """One step has a lead, and no spread; ends alone have neither."""
    ahead, spread = lead(way(10, 6, 10), way(10, 5, 10)) or (0.0, 0.0)
    assert ahead == pytest.approx(0.1)
    assert spread is None
    assert lead(way(10, 10), way(10, 10)) is None
    assert lead(way(0, 1, 0), way(10, 5, 10)) is None
