"""The prior: a trunk that has learned on invented pictures only, and with which every fit starts."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from models.networks import Trunk

PRIOR = Path(__file__).with_name("prior.safetensors")
PRIOR_WIDTH = 32


def start_from_prior(trunk: Trunk) -> None:
    """Give a trunk of the prior's width the prior's weights."""
    trunk.load_state_dict(load_file(PRIOR))
