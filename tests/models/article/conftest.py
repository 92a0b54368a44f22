"""Options and pictures that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.article.batches import PictureSampler
from models.article.options import ArticleOptions

TINY = ArticleOptions(latent_dim=3, width=8, device="cpu")


@pytest.fixture(scope="session")
def pictures(pixels: NDArray[np.uint8]) -> PictureSampler:
    """The first ten parts."""
    return PictureSampler(pixels, np.arange(10), flip=False, seed=3)
