"""The recipe of pretrained weights: its card, and the claim beside a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inspector.errors import ResumeError, UsageError
from models.pretrained.photographs import Photographs
from models.pretrained.recipe import Recipe

PHOTOGRAPHS = Photographs([Path("a.png")] * 1200, "ab12" * 16)
RECIPE = Recipe(3000, 900, seed=5, threads=1, photographs=PHOTOGRAPHS, credits=("first, CC0", "second, MIT"))


def test_the_card_says_how_the_weights_were_made() -> None:
    """Pictures, sources, steps, seed and threads."""
    assert RECIPE.card(600) == {
        "made from": "1,200 photographs and 3,000 invented scenes; from random weights",
        "steps": "600 of 900",
        "seed": "5",
        "threads": "1",
        "photographs": "first, CC0; second, MIT",
        "photographs sha256": "ab12" * 16,
    }


def test_the_card_admits_what_is_missing() -> None:
    """Photographs without a source, and no photographs at all."""
    assert replace(RECIPE, credits=()).card(1)["photographs"] == "not credited"
    assert Recipe(3000, 900, seed=5, threads=1).card(1) == {
        "made from": "no photographs, 3,000 invented scenes; from random weights",
        "steps": "1 of 900",
        "seed": "5",
        "threads": "1",
    }


def test_the_same_recipe_goes_on(tmp_path: Path) -> None:
    """Its claim is granted; so is one with other credits, which decide nothing."""
    RECIPE.claim(tmp_path / "trunk.json", begun=True)
    RECIPE.claim(tmp_path / "trunk.json", begun=True)
    replace(RECIPE, credits=()).claim(tmp_path / "trunk.json", begun=True)


def test_before_the_first_checkpoint_the_recipe_may_change(tmp_path: Path) -> None:
    """The later claim replaces the earlier one."""
    RECIPE.claim(tmp_path / "trunk.json", begun=False)
    later = replace(RECIPE, seed=6)
    later.claim(tmp_path / "trunk.json", begun=False)
    later.claim(tmp_path / "trunk.json", begun=True)
    with pytest.raises(UsageError):
        RECIPE.claim(tmp_path / "trunk.json", begun=True)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(RECIPE, scenes=1), "began with --scenes 3000, and cannot go on with 1"),
        (replace(RECIPE, steps=901), "began with --steps 900, and cannot go on with 901"),
        (replace(RECIPE, seed=6), "began with --seed 5, and cannot go on with 6"),
        (replace(RECIPE, threads=2), "began with --threads 1, and cannot go on with 2"),
        (
            replace(RECIPE, photographs=Photographs(PHOTOGRAPHS.files, "cd34" * 16)),
            "began with --photographs 1200 pictures ab12ab12ab12, and cannot go on with 1200 pictures cd34",
        ),
        (
            replace(RECIPE, photographs=Photographs([], "")),
            "began with --photographs 1200 pictures ab12ab12ab12, and cannot go on with 0 pictures",
        ),
    ],
)
def test_another_recipe_is_refused(tmp_path: Path, other: Recipe, said: str) -> None:
    """The message names the option and both values, and the claim stays as it was."""
    RECIPE.claim(tmp_path / "trunk.json", begun=False)
    with pytest.raises(UsageError) as caught:
        other.claim(tmp_path / "trunk.json", begun=True)
    assert said in caught.value.message
    RECIPE.claim(tmp_path / "trunk.json", begun=True)


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"\xff"])
def test_a_damaged_claim_is_named(tmp_path: Path, content: bytes) -> None:
    """It is neither trusted nor overwritten."""
    (tmp_path / "trunk.json").write_bytes(content)
    with pytest.raises(ResumeError, match=r"trunk\.json is damaged"):
        RECIPE.claim(tmp_path / "trunk.json", begun=True)
    assert (tmp_path / "trunk.json").read_bytes() == content
