"""A peer to compare with: anomalib's PatchCore, with the weights that the user points to.

anomalib is no dependency of the project: it is imported when a peer is asked for.  Nothing is downloaded.

References
----------
Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022 (PatchCore).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inspector.errors import MissingExtraError, UsageError
from inspector.types import Pixels
from models.training.pace import kept_threads
from tests.benchmarks.baseline import Scored, Scorer
from tests.benchmarks.baseline_figures import stored_figures
from tests.benchmarks.result import BASELINES, PEER, Content

RECIPE = 1  # raise this number to make all stored results of the peer out of date
BACKBONE, LAYERS = "wide_resnet50_2", ("layer2", "layer3")  # as in the paper
PICTURES, PATCHES = 160, 2048  # training pictures, and patches in the memory bank, so that a CPU suffices
NEIGHBOURS = 9  # as in the paper
BATCH = 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
PACKAGES = ("anomalib", "timm", "torch")


@dataclass(frozen=True)
class Peer:
    """The backbone of a PatchCore.

    Attributes
    ----------
    weights : Path
        A file of timm or torch: a state dict as `.pth`, or `.safetensors`.
    backbone : str
        Its name in timm.
    layers : tuple of str
        The layers whose features are compared.
    """

    weights: Path
    backbone: str = BACKBONE
    layers: tuple[str, ...] = LAYERS

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"PatchCore ({self.backbone})"

    def asked(self) -> Content:
        """Return what decides the figures, beside the pictures."""
        return {
            "peer_recipe": RECIPE,
            "backbone": self.backbone,
            "layers": list(self.layers),
            "weights": hashlib.sha256(self.weights.read_bytes()).hexdigest()[:16],
            "packages": {name: version(name) for name in PACKAGES},
        }


def peer_figures(folder: Path, results: Path, peer: Peer, *, again: bool = False) -> Content:
    """Return the figures of the peer on a set: stored ones if up to date, else measure and store.

    Parameters and return value are those of `baseline_figures`; `figures` has one name, that of the peer.
    """
    path = results / BASELINES / PEER / f"{folder.name}.json"
    makers = {peer.name: partial(patchcore, peer=peer)}
    return stored_figures(folder, path, peer.asked(), makers, again=again)


def patchcore(training: Pixels, *, peer: Peer) -> Scorer:
    """Collect the patches of good pictures; the score is the distance to the nearest of them.

    One thread computes, as for the other baselines.

    Parameters
    ----------
    training : uint8 (N, 256, 256, 3)
        If there are more than `PICTURES`, as many that are evenly spaced.
    peer : Peer

    Returns
    -------
    callable
        From uint8 (256, 256, 3) to `Scored`.
    """
    model = network(peer)
    chosen = training[np.unique(np.linspace(0, len(training) - 1, PICTURES).astype(int))]
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  # anomalib draws from numpy's global generator
    with kept_threads(1), torch.inference_mode():
        model.train()
        patches = sum(len(model(_prepared(chosen[i : i + BATCH]))) for i in range(0, len(chosen), BATCH))
        model.subsample_embedding(min(1.0, (PATCHES + 0.5) / patches))
    model.eval()

    def score(picture: Pixels) -> Scored:
        with kept_threads(1), torch.inference_mode():
            found = model(_prepared(picture[np.newaxis]))
        return Scored(float(found.pred_score[0]), found.anomaly_map[0, 0].numpy())

    return score


def network(peer: Peer) -> Any:
    """Return anomalib's PatchCore with an empty memory bank.

    Raises
    ------
    MissingExtraError
        anomalib cannot be imported.
    UsageError
        The weights cannot be read, or are not those of the backbone; the backbone or a layer does not exist.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # anomalib's progress would fill the output
    try:
        timm = import_module("timm")
        patchcore_model = import_module("anomalib.models.image.patchcore.torch_model").PatchcoreModel
    except (ImportError, RuntimeError) as exc:  # RuntimeError: torchvision for another build of torch
        raise MissingExtraError(
            f"the peer needs anomalib, which cannot be imported: {exc}",
            hint="pip install anomalib torchvision, the build of torchvision that fits torch",
        ) from exc
    if not timm.is_model(peer.backbone):
        raise UsageError(
            f"timm has no backbone {peer.backbone}", hint="for example resnet18 or wide_resnet50_2"
        )
    known = timm.create_model(peer.backbone, pretrained=False, features_only=True).feature_info.module_name()
    unknown = [layer for layer in peer.layers if layer not in known]
    if unknown:
        raise UsageError(
            f"{peer.backbone} has no layer {unknown[0]}; it has {', '.join(known)}",
            hint="name its layers: --peer-layers NAME NAME",
        )
    model = patchcore_model(
        layers=peer.layers, backbone=peer.backbone, pre_trained=False, num_neighbors=NEIGHBOURS
    )
    _load(model.feature_extractor.feature_extractor, peer, timm)
    return model


def _load(network: nn.Module, peer: Peer, timm: Any) -> None:
    """Fill a network with weights from a file; every weight must be there, others are left out."""
    if not peer.weights.is_file():
        raise UsageError(f"no file {peer.weights}", hint="--peer-weights is a .pth or .safetensors file")
    try:
        stored = timm.models.load_state_dict(str(peer.weights))
    except Exception as exc:
        raise UsageError(
            f"{peer.weights} is no file of weights that torch or safetensors can read",
            hint="allowed is a state dict, as .pth or .safetensors",
        ) from exc
    by_name = {_flat(name): values for name, values in stored.items()}
    wanted = {name: _flat(name) for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    missing = [name for name, flat in wanted.items() if flat not in by_name]
    hint = "name the backbone that the weights are of: --peer-backbone NAME"
    if missing:
        raise UsageError(
            f"{peer.weights} lacks {len(missing)} of {len(wanted)} weights of {peer.backbone}, "
            f"such as {missing[0]}",
            hint=hint,
        )
    try:
        network.load_state_dict({name: by_name[flat] for name, flat in wanted.items()}, strict=False)
    except RuntimeError as exc:  # a shape differs
        raise UsageError(
            f"the weights in {peer.weights} are not those of {peer.backbone}", hint=hint
        ) from exc


def _flat(name: str) -> str:
    """Write the name of a weight as timm's feature extractors do, which join blocks by underscores."""
    return name.replace(".", "_")


def _prepared(pictures: Pixels) -> Tensor:
    """Pictures uint8 (N, H, W, 3) to a batch float32 (N, 3, H, W)."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def in_words(result: Content) -> str:
    """Describe the peer of a stored result as a line of the page."""
    (name,), request = result["figures"], result["request"]
    return (
        f"- **{name}**: anomalib's PatchCore {request['packages']['anomalib']} on the layers "
        f"{' and '.join(request['layers'])} of a backbone whose weights are no part of the project (SHA-256 "
        f"`{request['weights']}…`), with at most {PICTURES} training pictures and {PATCHES:,} patches."
    )
