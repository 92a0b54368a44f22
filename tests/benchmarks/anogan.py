"""AnoGAN: a GAN as a detector, which searches its latent space for the picture nearest to a given one.

References
----------
Schlegl et al., "Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker
Discovery", IPMI 2017 (AnoGAN).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from numpy.typing import NDArray
from torch import Tensor

from inspector.types import Pixels
from models.article.batches import PictureBatch, PictureSampler, to_tensor
from models.article.networks import DcganDecoder, DcganEncoder
from models.training import loop
from models.training.course import Plan
from models.training.learner import Learner, Part

RATE, BETAS = 2e-4, (0.5, 0.999)  # as in the DCGAN paper
WEIGHT_STD = 0.02  # as in the DCGAN paper
DRAWS = 256  # latents; a search starts at the one whose picture is nearest
SEARCH_STEPS, SEARCH_RATE = 150, 0.05
FEATURE_SHARE = 0.1  # weight of the discriminator's features in the distance that a search lowers
BATCH = 50


class Found(NamedTuple):
    """Distances between pictures and the nearest generated ones, float32 (n,) each; higher is more anomalous.

    Attributes
    ----------
    residual : array
        Mean of `|x − G(z)|`, pictures in −1 to 1.
    features : array
        Mean of `|f(x) − f(G(z))|` over the inputs f of the discriminator's last layer.
    fused : array
        `0.9·residual + 0.1·features`; a search lowers it.
    """

    residual: NDArray[np.float32]
    features: NDArray[np.float32]
    fused: NDArray[np.float32]


class AnoGan(Learner):
    """A DCGAN made of the article's networks: the decoder as generator, the encoder as discriminator.

    Parameters
    ----------
    latent_dim, width : int
    seed : int
    """

    def __init__(self, latent_dim: int, width: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.latent_dim, self.seed = latent_dim, seed
        self.generator, self.discriminator = DcganDecoder(latent_dim, width), DcganEncoder(1, width)
        for network in (self.generator, self.discriminator):
            for name, parameter in network.named_parameters():
                if name.endswith("weight") and parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=WEIGHT_STD)
        self._optimisers = [
            torch.optim.Adam(network.parameters(), RATE, betas=BETAS)
            for network in (self.generator, self.discriminator)
        ]

    def learn(self, batch: PictureBatch, step: int, planned: int | None) -> dict[str, float]:  # no schedule
        """Lower `CE(D(x), 1) + CE(D(G(z)), 0)` by the discriminator, `CE(D(G(z)), 1)` by the generator."""
        of_generator, of_discriminator = self._optimisers
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        made = self.generator(torch.randn(len(batch.clean), self.latent_dim, generator=drawn))
        real, generated = self.discriminator(batch.clean), self.discriminator(made.detach())
        told_apart = F.softplus(-real).mean() + F.softplus(generated).mean()
        of_discriminator.zero_grad(set_to_none=True)
        torch.autograd.backward(told_apart)
        of_discriminator.step()
        fooled = F.softplus(-self.discriminator(made)).mean()
        of_generator.zero_grad(set_to_none=True)
        torch.autograd.backward(fooled)
        of_generator.step()
        losses = {"discriminator": float(told_apart.detach()), "generator": float(fooled.detach())}
        return losses | {"total": sum(losses.values())}

    def parts(self) -> dict[str, Part]:
        """Return both networks and both optimisers."""
        parts: tuple[Part, ...] = (self.generator, self.discriminator, *self._optimisers)
        return {str(number): part for number, part in enumerate(parts)}

    def search(self, pictures: Pixels, steps: int = SEARCH_STEPS) -> Found:
        """Search the latent space for each picture, by gradient descent from the best of many draws.

        Parameters
        ----------
        pictures : uint8 (n, 64, 64, 3)
        steps : int
            Gradient steps of each search.
        """
        self.generator.eval().requires_grad_(requires_grad=False)
        self.discriminator.eval().requires_grad_(requires_grad=False)
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
        target = self.discriminator.features(x)
        optimiser = torch.optim.Adam([z], SEARCH_RATE)
        for _ in range(steps):
            residual, features = self._distances(z, x, target)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(((1 - FEATURE_SHARE) * residual + FEATURE_SHARE * features).sum())
            optimiser.step()
        with torch.no_grad():
            residual, features = self._distances(z, x, target)
        return residual.numpy(), features.numpy()

    def _distances(self, z: Tensor, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances of generated pictures to x by pixels and by features, (n, d) to (n,) each."""
        made = self.generator(z)
        return (made - x).abs().mean((1, 2, 3)), (self.discriminator.features(made) - target).abs().mean(1)


def train_anogan(
    training: Pixels, plan: Plan, *, latent_dim: int, width: int, seed: int = 0
) -> tuple[AnoGan, int]:
    """Train on pictures uint8 (N, 64, 64, 3) with one thread; return the GAN and the number of steps."""
    gan = AnoGan(latent_dim, width, seed)
    sampler = PictureSampler(training, np.arange(len(training)), flip=False, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        course = loop.run(gan, sampler.draw, plan, Path(folder) / "checkpoint.pt", threads=1)
    return gan, course.step
