"""Maximum mean discrepancy between latents and draws from the prior, as WAE-MMD trains with it."""

from __future__ import annotations

import torch
from torch import Tensor

IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the scales of the authors' implementation


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return squared Euclidean distances of rows, `‖x_i‖² + ‖y_j‖² − 2⟨x_i, y_j⟩`, never negative.

    Parameters
    ----------
    x, y : Tensor (n, d), (m, d)

    Returns
    -------
    Tensor (n, m)
    """
    products = x @ y.T  # (n, m)
    return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * products).clamp_min(0)


def _two_sample(k_qq: Tensor, k_pp: Tensor, k_qp: Tensor) -> Tensor:
    """Return `[Σ_{i≠j} k(q_i,q_j) + Σ_{i≠j} k(p_i,p_j)] / (n(n−1)) − (2/n²) Σ_{i,j} k(q_i,p_j)`."""
    n = k_qp.shape[0]
    within = k_qq.sum() - k_qq.diagonal().sum() + k_pp.sum() - k_pp.diagonal().sum()
    return within / (n * (n - 1)) - 2 * k_qp.sum() / n**2


def _check(codes: Tensor, prior: Tensor) -> None:
    if codes.ndim != 2 or codes.shape != prior.shape or codes.shape[0] < 2:
        raise ValueError(
            f"codes and prior must be two (n, d) tensors of one shape with n >= 2, "
            f"got {tuple(codes.shape)} and {tuple(prior.shape)}"
        )


def imq_mmd(codes: Tensor, prior: Tensor, *, prior_std: float = 1.0) -> Tensor:
    """Return the unbiased MMD with the inverse multiquadratic kernel, summed over seven scales.

    `k_s(x, y) = s·C / (s·C + ‖x − y‖²)` with `C = 2·d·σ²`, the expected squared distance of two
    draws from the prior.  The cross term keeps i = j, and nothing is clamped: the value can be negative.

    Parameters
    ----------
    codes, prior : Tensor (n, d)
        Latents of the encoder, and draws from the prior N(0, σ²I).
    prior_std : float
        σ of the prior.

    Returns
    -------
    Tensor, scalar
        Rises as the latents leave the prior.

    Raises
    ------
    ValueError
        The two are not (n, d) tensors of one shape with n >= 2.

    References
    ----------
    Tolstikhin, Bousquet, Gelly, Schölkopf, "Wasserstein Auto-Encoders", ICLR 2018, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> codes = torch.zeros(4, 2)
    >>> float(imq_mmd(codes, codes))
    0.0
    """
    _check(codes, prior)
    c = 2 * codes.shape[1] * prior_std**2
    qq, pp = squared_distances(codes, codes), squared_distances(prior, prior)
    qp = squared_distances(codes, prior)
    terms = [
        _two_sample(sc / (sc + qq), sc / (sc + pp), sc / (sc + qp))
        for sc in (scale * c for scale in IMQ_SCALES)
    ]
    return torch.stack(terms).sum()


def rbf_mmd(codes: Tensor, prior: Tensor) -> Tensor:
    """Return the unbiased MMD with one Gaussian kernel whose width is computed from the batch.

    `k(x, y) = exp(−‖x − y‖² / 2w)`, where w is the sum of the h-th largest of the n² cross squared
    distances and the h-th largest of the n² squared distances among latents, h = n(n−1)/2.  No
    gradient flows through w.

    Parameters
    ----------
    codes, prior : Tensor (n, d)
        Latents of the encoder, and draws from the prior.

    Returns
    -------
    Tensor, scalar
        Rises as the latents leave the prior.

    Raises
    ------
    ValueError
        The two are not (n, d) tensors of one shape with n >= 2.

    References
    ----------
    Tolstikhin et al., ICLR 2018; the width rule is the authors' implementation's.
    """
    _check(codes, prior)
    n = codes.shape[0]
    h = n * (n - 1) // 2
    qq, pp = squared_distances(codes, codes), squared_distances(prior, prior)
    qp = squared_distances(codes, prior)
    with torch.no_grad():
        width = qp.flatten().topk(h).values[-1] + qq.flatten().topk(h).values[-1]
        width = width.clamp_min(torch.finfo(width.dtype).tiny)
    return _two_sample(*(torch.exp(-d / (2 * width)) for d in (qq, pp, qp)))
