"""Tells whether a picture looks unlike every good picture that a model knows.

Such a picture shows another product, a lens cap or an empty belt, or comes from another camera.  Its verdict
means little: the promise about good parts holds for pictures like those of the fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import Bundle
from inspector.bundle.reference import HELDOUT_LATENTS, MEMORY_BANK, read_reference

Floats = NDArray[np.float64]

BEYOND = 1.2  # times the reach of the good pictures
FAR_BEYOND = 2.0  # for a picture that passed: then no defect is the reason
MOVED = 0.4  # of the spread of single patches: a latent moves so far only with a large part of the picture
RAISED = 0.3  # of the map's limit: a map is raised everywhere if more than half of it exceeds this
MOST_ROWS = 1000  # held-out pictures, evenly chosen, that a picture is compared with

REMARK = "unlike every good picture that the model knows: check product, camera and light"


class Familiarity:
    """The latents of the good pictures that a model was calibrated with, and how far apart they lie.

    Parameters
    ----------
    heldout : float (n, d)
        Latents of held-out good pictures, averaged over patches.
    patches : float (m, d), optional
        Latents of single patches of good pictures.

    Attributes
    ----------
    reach : float
        The largest distance of a held-out picture to the nearest other one; infinite with fewer than two.
    spread : float
        Root mean square distance of patches to their mean; infinite without patches.
    """

    def __init__(self, heldout: NDArray[np.floating], patches: NDArray[np.floating] | None = None) -> None:
        step = -(-len(heldout) // MOST_ROWS) or 1
        self._heldout: Floats = np.asarray(heldout[::step], np.float64)
        self.reach = _reach(self._heldout)
        self.spread = np.inf if patches is None else _spread(np.asarray(patches, np.float64))

    @classmethod
    def of(cls, bundle: Bundle) -> Familiarity:
        """Read both from a bundle; an old bundle may lack them, and then no picture is unfamiliar."""
        arrays = read_reference(bundle, {HELDOUT_LATENTS, MEMORY_BANK})
        return cls(arrays.get(HELDOUT_LATENTS, np.empty((0, 0))), arrays.get(MEMORY_BANK))

    def is_unfamiliar(
        self,
        latent: NDArray[np.floating],
        anomaly_map: NDArray[np.floating],
        map_limit: float,
        *,
        failed: bool,
    ) -> bool:
        """Return whether a picture looks unlike every good picture.

        Its latent lies beyond the reach of the good pictures, and no single place is the reason: the map is
        raised everywhere, or the latent has moved further than a defect moves it, or the picture lies far
        beyond and has passed.

        Parameters
        ----------
        latent : float (d,)
            Averaged over patches.
        anomaly_map : float (h, w)
        map_limit : float
            The calibrated limit of the map.
        failed : bool
            The verdict is `fail`.
        """
        if not np.isfinite(self.reach):
            return False
        distance = float(np.sqrt(np.square(self._heldout - latent).sum(axis=1).min()))
        if not distance > BEYOND * self.reach:
            return False
        if distance > MOVED * self.spread or (distance > FAR_BEYOND * self.reach and not failed):
            return True
        return bool(2 * np.count_nonzero(anomaly_map > RAISED * map_limit) > anomaly_map.size)


def _reach(rows: Floats) -> float:
    """Return the largest distance of a row (n, d) to its nearest other row."""
    if len(rows) < 2:
        return np.inf
    centred = rows - rows.mean(axis=0)  # keeps the distances, and more of their digits
    squares = np.square(centred).sum(axis=1)
    between = squares[:, np.newaxis] + squares - 2 * centred @ centred.T  # (n, n)
    np.fill_diagonal(between, np.inf)
    return float(np.sqrt(max(0.0, between.min(axis=1).max())))


def _spread(rows: Floats) -> float:
    """Return the root mean square distance of rows (m, d) to their mean."""
    return float(np.sqrt(np.square(rows - rows.mean(axis=0)).sum(axis=1).mean()))
