"""Principal axes: the directions along which vectors vary most."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_axes(rows: Tensor, count: int) -> Tensor:
    """Return the directions of largest variance of rows (n, d) as columns (d, count).

    Where `count` is at least d, they are the identity (d, d).
    """
    d = rows.shape[1]
    if d <= count:
        return torch.eye(d, dtype=rows.dtype, device=rows.device)
    axes: Tensor = torch.linalg.eigh(torch.cov(rows.T))[1]  # (d, d), the largest variance last
    return axes[:, -count:]
