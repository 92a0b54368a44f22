"""The article's preset as a detector: a DCGAN auto-encoder whose codes an MMD keeps near the prior.

Pictures become 64 px, a code is one vector, and the squared error of the copy is the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from inspector.images import fit_to
from models.dcgan import SIDE, DcganDecoder, DcganEncoder
from models.mmd import imq_mmd
from tests.benchmarks.baseline import Pixels, Scored, Scorer

WIDTH, LATENT_DIM = 256, 64  # a quarter of the article's channels: it had a GPU
BATCH, LEARNING_RATE, BETAS = 50, 5e-4, (0.5, 0.999)
DECAY = 100.0  # by which the learning rate falls over the training
MMD_WEIGHT, COST_WEIGHT = 100.0, 0.05
NOISE = 0.01  # on the input while training
STEPS = 150  # a CPU minute


def article(training: Pixels, *, steps: int = STEPS, width: int = WIDTH, seed: int = 0) -> Scorer:
    """Train with `0.05·‖x − x_hat‖² + 100·MMD`; the score is the mean of `(x − x_hat)²`.

    Parameters
    ----------
    training : uint8 (N, H, W, 3)
    steps : int
        Of 50 pictures each.
    width : int
        Channels of the encoder's last convolution.
    seed : int
        The same seed gives the same networks.

    Returns
    -------
    callable
        From uint8 (H, W, 3) to `Scored`.
    """
    with _one_thread():
        torch.manual_seed(seed)
        encoder, decoder = DcganEncoder(LATENT_DIM, width), DcganDecoder(LATENT_DIM, width)
        _train(encoder, decoder, _tensor(training), steps, torch.Generator().manual_seed(seed))
    encoder.eval()
    decoder.eval()

    @torch.no_grad()
    def score(picture: Pixels) -> Scored:
        x = _tensor(picture[np.newaxis])
        error = (decoder(encoder(x)) - x).square().mean(1)[0]  # (1, 3, 64, 64) -> (64, 64)
        return Scored(float(error.mean()), error.numpy())

    return score


def _train(
    encoder: DcganEncoder, decoder: DcganDecoder, pictures: Tensor, steps: int, generator: torch.Generator
) -> None:
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, LEARNING_RATE, betas=BETAS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: DECAY ** -(step / steps))
    for _ in range(steps):
        x = pictures[torch.randint(len(pictures), (BATCH,), generator=generator)]
        noise = NOISE * torch.randn(x.shape, generator=generator).clamp(-2, 2)
        z = encoder(x + noise)
        cost = (decoder(z) - x).square().sum((1, 2, 3)).mean()
        prior = torch.randn(z.shape, generator=generator)
        loss = COST_WEIGHT * cost + MMD_WEIGHT * imq_mmd(z, prior)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _tensor(pictures: Pixels) -> Tensor:
    """Pictures (N, H, W, 3) to (N, 3, 64, 64) in −1 to 1."""
    small = np.stack([fit_to(picture, SIDE, SIDE) for picture in pictures])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train with one thread: more could change the last digits of the outcome."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
