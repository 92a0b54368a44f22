"""The discrepancy against published numbers, wrong variants and its own gradient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.mmd import imq_mmd, rbf_mmd, squared_distances

CASES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "mmd_reference.json").read_text())
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
case = pytest.mark.parametrize("name", CASES)
precision = pytest.mark.parametrize("dtype", TOLERANCE)


def inputs(name: str, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents, and draws of the prior, of a case, made as the reference made them."""
    facts = CASES[name]
    rng = np.random.default_rng(0)
    a = rng.standard_normal((facts["n"], facts["d"]))
    p = rng.standard_normal((facts["n"], facts["d"]))
    q = facts["q_offset"] + facts["q_gain"] * a
    assert q[0, 0] == pytest.approx(facts["fingerprint"]["q00"], abs=1e-15)
    assert p.sum() == pytest.approx(facts["fingerprint"]["sum_p"], abs=1e-9)
    return torch.tensor(q, dtype=dtype), torch.tensor(p, dtype=dtype)


@case
@precision
def test_imq_equals_the_reference(name: str, dtype: torch.dtype) -> None:
    """The IMQ discrepancy is the reference's, for both prior widths."""
    q, p = inputs(name, dtype)
    tolerance = TOLERANCE[dtype]
    assert float(imq_mmd(q, p)) == pytest.approx(CASES[name]["imq_normal"], abs=tolerance)
    wide = CASES[name]["imq_normal_pzscale2"]
    assert float(imq_mmd(q, p, prior_std=2.0)) == pytest.approx(wide, abs=tolerance)


@case
@precision
def test_rbf_equals_the_reference(name: str, dtype: torch.dtype) -> None:
    """The RBF discrepancy is the reference's, its width rule included."""
    q, p = inputs(name, dtype)
    assert float(rbf_mmd(q, p)) == pytest.approx(CASES[name]["rbf"], abs=TOLERANCE[dtype])


@case
def test_wrong_variants_are_told_apart(name: str) -> None:
    """No published mistake comes within a hundred times the single-precision tolerance."""
    value = float(imq_mmd(*inputs(name)))
    for decoy, wrong in CASES[name]["decoys_imq_normal"].items():
        assert abs(value - wrong) > 1e-5, decoy


@pytest.mark.parametrize("function", [imq_mmd, rbf_mmd])
def test_gradient_is_right(function: Any) -> None:
    """Automatic and numerical gradients agree."""
    q, p = inputs("n8_d2_moved")
    if function is rbf_mmd:  # no gradient flows through its width, so hold the width still
        width = torch.tensor(9.0, dtype=torch.float64)

        def fixed(codes: torch.Tensor) -> torch.Tensor:
            return torch.exp(-squared_distances(codes, p) / (2 * width)).mean()

        assert torch.autograd.gradcheck(fixed, q.requires_grad_())
    assert torch.autograd.gradcheck(lambda codes: imq_mmd(codes, p), q.requires_grad_())


@pytest.mark.parametrize("function", [imq_mmd, rbf_mmd])
def test_identical_codes_are_finite(function: Any) -> None:
    """A collapsed encoder gives a finite value and a finite gradient."""
    codes = torch.ones(6, 3, requires_grad=True)
    value = function(codes, torch.zeros(6, 3))
    value.backward()
    assert torch.isfinite(value)
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()


@pytest.mark.parametrize("function", [imq_mmd, rbf_mmd])
@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3, 2), (3, 5)), ((1, 2), (1, 2)), ((3,), (3,))])
def test_unequal_samples_are_refused(function: Any, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Two samples must be two tables of one shape with at least two rows."""
    with pytest.raises(ValueError, match="one shape"):
        function(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
