"""Dense contrast: its losses, and the learner."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.pretrained.contrast import (
    NEAR,
    PROJECTED_DIM,
    TEMPERATURE,
    ContrastLearner,
    detail,
    info_nce,
    patches_at,
    projection,
)
from models.pretrained.views import Look, Source, Views, ViewSampler
from models.training.course import Plan
from models.training.loop import run


def generator() -> torch.Generator:
    """A generator that starts at the same seed."""
    return torch.Generator().manual_seed(0)


def plain_info_nce(first: torch.Tensor, second: torch.Tensor, points: torch.Tensor) -> float:
    """The same loss, patch by patch, in double precision."""
    pictures, each = points.shape[:2]
    places, count, losses = points.reshape(-1, 2).tolist(), pictures * each, []
    for a, b in ((first.double(), second.double()), (second.double(), first.double())):
        for i in range(count):
            similar = {}
            for j in range(count):
                near = i // each == j // each and math.dist(places[i], places[j]) < NEAR
                if i == j or not near:
                    cosine = float(a[i] @ b[j] / (a[i].norm() * b[j].norm()))
                    similar[j] = math.exp(cosine / TEMPERATURE)
            losses.append(-math.log(similar[i] / sum(similar.values())))
    return sum(losses) / len(losses)


def patches(pictures: int, each: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two sets of random projections, and places in 96 px."""
    shape, start = (pictures * each, 7), generator()
    first, second = torch.randn(shape, generator=start), torch.randn(shape, generator=start)
    return first, second, 8 + 80 * torch.rand(pictures, each, 2, generator=start)


def test_info_nce_is_that_of_a_plain_loop() -> None:
    """Both ways, without near patches of the same picture; the near ones change the loss."""
    first, second, points = patches(3, 6)
    loss = float(info_nce(first, second, points))
    assert loss == pytest.approx(plain_info_nce(first, second, points), rel=1e-5)
    spread = points + 1000 * torch.arange(6)[None, :, None]
    assert loss < 0.999 * float(info_nce(first, second, spread))


def test_near_patches_of_other_pictures_count() -> None:
    """Equal places in two pictures are two places."""
    first, second, points = patches(2, 1)
    same = points[:1].expand(2, 1, 2)
    assert float(info_nce(first, second, same)) == float(info_nce(first, second, points))


def test_info_nce_wants_each_patch_found_again() -> None:
    """It is near 0 for equal projections, and higher than chance if each patch looks like another one."""
    points = 8 + 80 * torch.rand(4, 3, 2, generator=generator())
    found = torch.eye(12)
    assert float(info_nce(found, 5 * found, points)) < 0.01
    assert float(info_nce(found, found.roll(3, 0), points)) > math.log(12)


def test_patches_lie_where_their_points_are() -> None:
    """A ramp of features over a view of 96 px is read at points: x in the first channel, y in the second."""
    middles = 8 * torch.arange(12) + 4.0
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    features = torch.stack([torch.stack([x, y]), torch.stack([1000 + x, y])])  # (2, 2, 12, 12)
    points = 8 + 80 * torch.rand(2, 5, 2, generator=generator())
    expected = points.clone()
    expected[1, :, 0] += 1000
    torch.testing.assert_close(patches_at(features, points, 96), expected.reshape(10, 2))


def test_the_detail_loss_does_not_count_light() -> None:
    """A brighter picture, one of twice the contrast, and one with a slow ramp have the same target."""
    x = torch.rand(2, 3, 64, 64, generator=generator())
    drawn = torch.randn(2, 3, 64, 64, generator=generator())
    wanted = float(detail(drawn, 4 * x))
    assert float(detail(drawn, 4 * x + 3.0)) == pytest.approx(wanted, rel=1e-4)
    assert float(detail(drawn, 8 * x)) == pytest.approx(wanted, rel=0.02)
    assert float(detail(drawn, 4 * x + torch.linspace(0, 2, 64))) == pytest.approx(wanted, rel=0.02)


def test_detail_that_is_drawn_costs_nothing() -> None:
    """The loss is 0 for the standardised fine detail itself."""
    x = torch.rand(1, 3, 32, 32, generator=generator())
    low = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(x, 16), size=(32, 32), mode="bilinear"
    )
    fine = (x - low) / ((x - low).std() + 0.03)
    assert float(detail(fine, x)) == pytest.approx(0, abs=1e-6)
    assert float(detail(torch.zeros_like(fine), x)) > 0.5


def test_a_projection_keeps_the_grid() -> None:
    """Each patch gets a projection of its own."""
    torch.manual_seed(0)
    layers = projection(5).eval()
    features = torch.randn(2, 5, 3, 4, generator=generator())
    whole = layers(features)
    assert whole.shape == (2, PROJECTED_DIM, 3, 4)
    torch.testing.assert_close(layers(features[:, :, 1:2, 2:3]), whole[:, :, 1:2, 2:3])


def test_the_total_weighs_the_losses() -> None:
    """Detail, stride 8 and stride 16 count half as much as the embeddings; the seed decides all of them."""
    batch = Views(
        torch.rand(8, 3, 64, 64, generator=generator()),
        8 + 48 * torch.rand(2, 4, 3, 2, generator=generator()),
    )

    def total(seed: int) -> float:
        return float(ContrastLearner(seed, 100).losses(batch)["total"].detach())

    losses = ContrastLearner(1, 100).losses(batch)
    parts = {name: float(value.detach()) for name, value in losses.items()}
    assert set(parts) == {"fine", "s8", "s16", "detail", "total"}
    weighted = parts["fine"] + 0.5 * (parts["s8"] + parts["s16"] + parts["detail"])
    assert parts["total"] == pytest.approx(weighted, rel=1e-5)
    assert total(1) == parts["total"]
    assert total(2) != parts["total"]


def views(step: int) -> Views:
    """Views of four pictures of noise, two px a grain."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    pictures = noise.repeat(2, 1).repeat(2, 2)
    return ViewSampler([Source(pictures, 1.0)], Look(pictures=4, points=6, side=64), 1).draw(step)


def weights(learner: ContrastLearner) -> list[torch.Tensor]:
    """The averaged weights, which are shipped."""
    return list(learner.average.module.state_dict().values())


def test_a_repeated_batch_is_learned() -> None:
    """The loss falls, and the average follows the weights."""
    learner = ContrastLearner(1, 100)
    before = [value.clone() for value in weights(learner)]
    losses = [learner.learn(views(0), step, None)["total"] for step in range(12)]
    assert losses[-1] < 0.95 * losses[0]
    assert any(not a.equal(b) for a, b in zip(before, weights(learner), strict=True))


def test_a_resumed_training_ends_the_same(tmp_path: Path) -> None:
    """Two steps and then two more give the weights of four steps, bit for bit."""
    whole, first, resumed = (ContrastLearner(seed, 100) for seed in (1, 1, 2))
    run(whole, views, Plan(4), tmp_path / "whole.pt", threads=1)
    run(first, views, Plan(2), tmp_path / "half.pt", threads=1)
    run(resumed, views, Plan(4), tmp_path / "half.pt", threads=1, resume=True)
    assert all(a.equal(b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert not all(a.equal(b) for a, b in zip(weights(whole), weights(first), strict=True))
