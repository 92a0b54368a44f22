"""The peak of a map counts as a hit inside the mask and a few pixels beside it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.peaks import hits


@pytest.mark.parametrize(("x", "expected"), [(20, True), (25, True), (26, False), (15, True), (14, False)])
def test_a_peak_may_lie_a_few_pixels_beside_the_mask(x: int, expected: bool) -> None:
    """Five pixels to either side of a line are near it, six are not."""
    mask, anomaly_map = np.zeros((32, 48), bool), np.zeros((32, 48), np.float32)
    mask[8:24, 20] = True
    anomaly_map[16, x] = 3
    assert hits(anomaly_map, mask) == expected
    assert hits(anomaly_map, mask, grown=0) == (x == 20)


def test_without_a_defect_nothing_is_hit() -> None:
    """An empty mask is never hit."""
    assert not hits(np.ones((16, 16), np.float32), np.zeros((16, 16), bool))
