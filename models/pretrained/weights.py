"""The prior: a trunk and a head that have learned on invented pictures only, and start every fit."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from models.inspection.network import Head, Trunk

PRIOR = Path(__file__).with_name("trunk.safetensors")
HEAD_PRIOR = Path(__file__).with_name("head.safetensors")
PRIOR_WIDTH = 32


def start_from_prior(trunk: Trunk) -> None:
    """Give a trunk of the prior's width the prior's weights."""
    trunk.load_state_dict(load_file(PRIOR))


def start_head_from_prior(head: Head) -> None:
    """Give a head that compares the prior's weights."""
    head.load_state_dict(load_file(HEAD_PRIOR))
