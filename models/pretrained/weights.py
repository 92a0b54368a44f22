"""The pretrained weights that every fit starts with: loaded into a network, and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from models.inspection.network import Head, Trunk

TRUNK_WEIGHTS = Path(__file__).with_name("trunk.safetensors")
HEAD_WEIGHTS = Path(__file__).with_name("head.safetensors")
PRETRAINED_WIDTH = 32  # of the trunk; a trunk of another width has no pretrained weights


def load_trunk(trunk: Trunk) -> None:
    """Load the pretrained weights into a trunk of the pretrained width."""
    trunk.load_state_dict(load_file(TRUNK_WEIGHTS))


def load_head(head: Head) -> None:
    """Load the pretrained weights into a head that sees distances."""
    head.load_state_dict(load_file(HEAD_WEIGHTS))


def write_weights(network: nn.Module, path: Path, card: Mapping[str, str]) -> None:
    """Write the weights of a network, with a card of how they were made."""
    tensors = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
    save_file(tensors, path, metadata=dict(card))
