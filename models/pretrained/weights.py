"""The pretrained weights that every fit starts with: loaded into a network, and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from inspector.bundle.atomic import write_bytes
from models.inspection.network import Trunk

TRUNK_WEIGHTS = Path(__file__).with_name("trunk.safetensors")


def load_trunk(trunk: Trunk) -> None:
    """Load the pretrained weights into a trunk."""
    trunk.load_state_dict(load_file(TRUNK_WEIGHTS))


def write_weights(network: nn.Module, path: Path, card: Mapping[str, str]) -> None:
    """Write the weights of a network, and the JSON of a card of how they were made as metadata `card`.

    The same weights and card give the same bytes.

    Raises
    ------
    StorageError
    """
    tensors = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
    # One entry for the whole card, because safetensors writes several ones in any order.
    write_bytes(path, save(tensors, metadata={"card": json.dumps(card)}))
