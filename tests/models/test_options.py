"""The presets, and the options that belong to each."""

from __future__ import annotations

from typing import Any

import pytest

from inspector.errors import UsageError
from models.article.options import ArticleOptions
from models.inspection.options import InspectionOptions
from models.options import choose


def test_the_preset_decides_the_options() -> None:
    """Each preset has a class of options, whose defaults fill the gaps."""
    article, standard = choose(preset="article", latent_dim=None), choose(latent_dim=None)
    assert isinstance(article, ArticleOptions)
    assert isinstance(standard, InspectionOptions)
    assert (article.latent_dim, article.image_size, article.budget_seconds) == (64, 64, 900)
    assert (standard.preset, standard.latent_dim, standard.image_size) == ("standard", 32, 256)
    assert choose(preset="article", background=(0, 0, 0)).as_dict()["background"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "fast"}, "--preset is 'fast'; allowed are quick, standard, thorough, article"),
        ({"preset": "article", "split": True}, "--split belongs to --preset quick, standard"),
        ({"preset": "article", "image_size": 256}, "--image-size is 256; allowed: 64 with --preset article"),
        ({"preset": "article", "latent_dim": 1}, "--latent-dim is 1; allowed: 2 to 512"),
        ({"preset": "article", "width": 20}, "--width is 20; allowed: multiples of 8"),
        ({"preset": "article", "cost": "l3"}, "--cost is 'l3'; allowed are l2sq, l2, l1"),
        ({"preset": "article", "regularizer": "wgan"}, "allowed are mmd, gan, kl, none"),
        ({"preset": "article", "regularizer_weight": -1.0}, "--lambda is -1; allowed: 0 to"),
        ({"preset": "article", "regularizer_weight": float("nan")}, "--lambda is nan; allowed: 0 to"),
        ({"preset": "article", "regularizer_weight": 1.0, "regularizer": "none"}, "has nothing to weigh"),
        ({"preset": "article", "kernel": "rbf", "regularizer": "gan"}, "--kernel rbf belongs to --reg"),
        ({"preset": "quick", "regularizer_weight": 1.0}, "--lambda belongs to --preset article"),
        ({"steps": 0}, "--steps is 0; allowed: 1 to 10000000"),
        ({"seed": -1}, "--seed is -1; allowed: 0 to 2147483647"),
        ({"preset": "article", "regularizer_weight": 2e6}, "--lambda is 2000000; allowed: 0 to 1000000"),
        ({"decoder": "dcgan"}, "--decoder belongs to --preset article, not to --preset standard"),
        ({"cost": "l1"}, "--cost belongs to --preset article"),
        ({"kernel": "imq"}, "--kernel belongs to --preset article"),
        ({"regularizer": "gan"}, "allowed with --preset standard are mmd, none"),
        ({"preset": "quick", "regularizer": "kl"}, "allowed with --preset quick are mmd, none"),
    ],
)  # fmt: skip
def test_options_that_do_not_belong_are_refused(given: dict[str, Any], message: str) -> None:
    """The message names the option, its value and the presets that have it; a hint says what to do."""
    with pytest.raises(UsageError) as refused:
        choose(**given)
    assert message in refused.value.message
    assert refused.value.hint


def test_an_unknown_keyword_is_a_type_error() -> None:
    """A misspelt keyword is refused as Python refuses it."""
    with pytest.raises(TypeError, match="latent_dims"):
        choose(latent_dims=3)
