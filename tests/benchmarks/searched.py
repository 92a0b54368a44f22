"""A GAN as a detector: its latent space is searched for the picture that is nearest to the one to judge.

References
----------
Schlegl et al., "Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker
Discovery", IPMI 2017 (AnoGAN).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from numpy.typing import NDArray
from torch import Tensor

from models.article.batches import PictureBatch, PictureSampler, to_tensor
from models.article.networks import DcganDecoder, DcganEncoder
from models.training import loop
from models.training.course import Plan
from tests.benchmarks.baseline import Pixels

RATE, BETAS = 2e-4, (0.5, 0.999)  # of both networks, as for DCGAN
WEIGHT_STD = 0.02  # likewise
DRAWS = 256  # codes of which the one with the nearest picture is where a search begins
SEARCH_STEPS, SEARCH_RATE = 150, 0.05
FEATURE_SHARE = 0.1  # of the discriminator's features in what a search lowers; the rest is the picture's
BATCH = 50


class Found(NamedTuple):
    """What is left between pictures and the nearest ones that were found; float32 (n,) each.

    Attributes
    ----------
    residual : array
        Mean of `|x − G(z)|`, pictures in −1 to 1.
    features : array
        Mean of `|f(x) − f(G(z))|` over what the discriminator's last layer sees.
    fused : array
        `0.9·residual + 0.1·features`, which the search lowers.
    """

    residual: NDArray[np.float32]
    features: NDArray[np.float32]
    fused: NDArray[np.float32]


class SearchedGan:
    """A DCGAN of the article's networks: its decoder generates, its encoder with one output judges.

    Parameters
    ----------
    latent_dim, width : int
    seed : int
    """

    def __init__(self, latent_dim: int, width: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.latent_dim, self.seed = latent_dim, seed
        self.generator, self.judge = DcganDecoder(latent_dim, width), DcganEncoder(1, width)
        for part in (self.generator, self.judge):
            for name, parameter in part.named_parameters():
                if name.endswith("weight") and parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=WEIGHT_STD)
        self._optimisers = [
            torch.optim.Adam(part.parameters(), RATE, betas=BETAS) for part in (self.generator, self.judge)
        ]

    def learn(self, batch: PictureBatch, step: int, planned: int | None) -> dict[str, float]:  # no schedule
        """Let the judge lower `CE(D(x), 1) + CE(D(G(z)), 0)`, then the generator `CE(D(G(z)), 1)`."""
        of_generator, of_judge = self._optimisers
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        made = self.generator(torch.randn(len(batch.clean), self.latent_dim, generator=drawn))
        judged = F.softplus(-self.judge(batch.clean)).mean() + F.softplus(self.judge(made.detach())).mean()
        of_judge.zero_grad(set_to_none=True)
        torch.autograd.backward(judged)
        of_judge.step()
        fooled = F.softplus(-self.judge(made)).mean()
        of_generator.zero_grad(set_to_none=True)
        torch.autograd.backward(fooled)
        of_generator.step()
        losses = {"judge": float(judged.detach()), "generator": float(fooled.detach())}
        return losses | {"total": sum(losses.values())}

    def state(self) -> dict[str, Any]:
        """Return weights, batch-norm statistics and moments."""
        return {str(i): part.state_dict() for i, part in enumerate(self._parts())}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        for i, part in enumerate(self._parts()):
            part.load_state_dict(state[str(i)])

    def _parts(self) -> list[Any]:
        return [self.generator, self.judge, *self._optimisers]

    def search(self, pictures: Pixels, steps: int = SEARCH_STEPS) -> Found:
        """Walk down from the best of many draws, for each picture by itself.

        Parameters
        ----------
        pictures : uint8 (n, 64, 64, 3)
        steps : int
            Of each search.
        """
        self.generator.eval().requires_grad_(requires_grad=False)
        self.judge.eval().requires_grad_(requires_grad=False)
        z = torch.randn(DRAWS, self.latent_dim, generator=torch.Generator().manual_seed(self.seed))
        with torch.no_grad():
            known = torch.cat([self.generator(few) for few in torch.split(z, BATCH)]).flatten(1)
        parts = [
            self._search(to_tensor(pictures[i : i + BATCH]), z, known, steps)
            for i in range(0, len(pictures), BATCH)
        ]
        residual, features = (np.concatenate(column) for column in zip(*parts, strict=True))
        fused = (1 - FEATURE_SHARE) * residual + FEATURE_SHARE * features
        return Found(residual, features, fused.astype(np.float32))

    def _search(
        self, x: Tensor, draws: Tensor, known: Tensor, steps: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        z = draws[torch.cdist(x.flatten(1), known, p=1).argmin(1)].clone().requires_grad_()
        target = self.judge.features(x)
        optimiser = torch.optim.Adam([z], SEARCH_RATE)
        for _ in range(steps):
            residual, features = self._apart(z, x, target)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(((1 - FEATURE_SHARE) * residual + FEATURE_SHARE * features).sum())
            optimiser.step()
        with torch.no_grad():
            residual, features = self._apart(z, x, target)
        return residual.numpy(), features.numpy()

    def _apart(self, z: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """How far the pictures of codes (n, d) are from x, by pixels and by features: (n,) each."""
        made = self.generator(z)
        return (made - x).abs().mean((1, 2, 3)), (self.judge.features(made) - target).abs().mean(1)


def searched_gan(
    training: Pixels, plan: Plan, *, latent_dim: int, width: int, seed: int = 0
) -> tuple[SearchedGan, int]:
    """Train on pictures uint8 (N, 64, 64, 3), with one thread; the GAN, and the steps that it took."""
    gan = SearchedGan(latent_dim, width, seed)
    sampler = PictureSampler(training, np.arange(len(training)), flip=False, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        course = loop.run(gan, sampler.draw, plan, Path(folder) / "checkpoint.pt", threads=1)
    return gan, course.step
