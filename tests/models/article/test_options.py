"""The options of `--preset article`."""

from __future__ import annotations

import pytest

from models.article.options import ArticleOptions
from models.article.regularizers import REGULARIZERS


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_each_regularizer_has_a_weight(regularizer: str) -> None:
    """λ is 100 for the MMD, as in the article, and can be chosen; without a regularizer it is 0."""
    expected = {"mmd": 100.0, "gan": 10.0, "kl": 0.03, "none": 0.0}
    assert ArticleOptions(regularizer=regularizer).weight == expected[regularizer]
    if regularizer != "none":
        assert ArticleOptions(regularizer=regularizer, regularizer_weight=3.0).weight == 3


def test_small_folders_are_learned_with_a_quarter_of_the_width() -> None:
    """Below 1,000 pictures without a GPU it is 256, else the reference's 1024, unless one was asked for."""
    assert [ArticleOptions(device="cpu").for_pictures(n).width for n in (999, 1000)] == [256, 1024]
    assert ArticleOptions(device="cpu", width=64).for_pictures(999).width == 64
