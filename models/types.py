"""Types that many modules share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator

Progress = Callable[[str, int, int], None]
"""Called as `progress(stage, done, total)`; a total of 0 is not known."""
