"""Computes pixel AUROC and AUPRO of anomaly maps, over any number of pictures in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EIGHT_CONNECTED = np.ones((3, 3), dtype=np.int8)


def _ordered_keys(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return integers in the same order as the numbers: a < b exactly where key(a) < key(b)."""
    bits = (values + np.float32(0)).view(np.int32)  # adding 0 makes -0.0 and 0.0 one number
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


class PixelScores:
    """Running pixel AUROC and AUPRO of anomaly maps against masks.

    Every pixel is counted in one of at most `max_bins` bins.  The bins cut the range seen so far at equal
    steps of the float32 number line; when the range widens, neighbouring bins merge.  A bin is about 1e-4
    of the value wide, or narrower.  Pixels in one bin count as equal, which changes both figures by less
    than 1e-4.

    Parameters
    ----------
    max_bins : int
        Each needs 24 bytes of memory.

    Notes
    -----
    PRO (per-region overlap) at a threshold is the share of a defect region's pixels above the threshold,
    averaged over all regions of all pictures [1]_.  This average equals a cumulative histogram in which each
    pixel has the weight 1 / (area of its region), so no region has to be kept.

    References
    ----------
    .. [1] P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, "The MVTec anomaly detection
       dataset", IJCV 2021.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = PixelScores()
    >>> mask = np.array([[True, False], [False, False]])
    >>> pixels.add(np.array([[2.0, 1.0], [3.0, 0.0]]), mask)
    >>> round(pixels.auroc(), 4)
    0.6667
    """

    def __init__(self, max_bins: int = 2**20) -> None:
        self.max_bins = max_bins
        self.regions = 0
        self._shift = 0
        self._first = 0
        self._bins = np.zeros((3, 0))  # background pixels, defect pixels, defect pixels / region area

    def add(self, anomaly_map: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> None:
        """Count the pixels of one picture.

        Parameters
        ----------
        anomaly_map : array (H, W)
            Higher is more anomalous.
        mask : bool array (H, W), optional
            True on defects; without a mask every pixel is background.

        Raises
        ------
        ValueError
            The shapes differ, or the map contains NaN.
        """
        values = np.ascontiguousarray(anomaly_map, dtype=np.float32)
        defect = np.zeros(values.shape, dtype=np.bool_) if mask is None else np.asarray(mask, np.bool_)
        if defect.shape != values.shape:
            raise ValueError(f"the map has shape {values.shape}, its mask {defect.shape}; both must agree")
        if np.isnan(values).any():
            raise ValueError("the map contains values that are not a number")
        keys = _ordered_keys(values)
        self._reserve(int(keys.min()), int(keys.max()))
        index = (keys >> self._shift) - self._first
        self._count(0, index[~defect])
        if defect.any():
            labels, count = ndimage.label(defect, structure=EIGHT_CONNECTED)
            area = np.bincount(labels.ravel())
            self._count(1, index[defect])
            self._count(2, index[defect], 1.0 / area[labels[defect]])
            self.regions += count

    def auroc(self) -> float | None:
        """Return the probability that a defect pixel scores higher than a background pixel.

        None without defect or background pixels.
        """
        background, defect, _ = self._bins
        pairs = background.sum() * defect.sum()
        if pairs == 0:
            return None
        below = np.cumsum(background) - background / 2
        return float((defect * below).sum() / pairs)

    def aupro(self, limit: float = 0.3) -> float | None:
        """Return the area under PRO against the false-positive rate up to `limit`, divided by `limit`.

        From 0 to 1, higher is better; None without defect or background pixels.
        """
        background, _, share = self._bins
        if self.regions == 0 or background.sum() == 0:
            return None
        rate = np.concatenate([[0.0], np.cumsum(background[::-1]) / background.sum()])
        overlap = np.concatenate([[0.0], np.cumsum(share[::-1]) / self.regions])
        stop = int(np.searchsorted(rate, limit, side="left"))
        step = (limit - rate[stop - 1]) / (rate[stop] - rate[stop - 1])
        at_limit = overlap[stop - 1] + step * (overlap[stop] - overlap[stop - 1])
        area = np.trapezoid([*overlap[:stop], at_limit], [*rate[:stop], limit])
        return float(area / limit)

    def _count(self, row: int, index: NDArray[np.int32], weights: NDArray[np.float64] | None = None) -> None:
        if index.size:
            low = int(index.min())
            counts = np.bincount(index - low, weights)
            self._bins[row, low : low + len(counts)] += counts

    def _reserve(self, lowest: int, highest: int) -> None:
        """Make bins for all keys from `lowest` to `highest`, merging neighbours while they are too many."""
        size = self._bins.shape[1]
        if size:
            lowest = min(lowest, self._first << self._shift)
            highest = max(highest, ((self._first + size) << self._shift) - 1)
        while (highest >> self._shift) - (lowest >> self._shift) >= self.max_bins:
            self._merge_neighbours()
        before = self._first - (lowest >> self._shift) if self._bins.shape[1] else 0
        self._first = lowest >> self._shift
        length = (highest >> self._shift) - self._first + 1
        self._bins = np.pad(self._bins, ((0, 0), (before, length - before - self._bins.shape[1])))

    def _merge_neighbours(self) -> None:
        size = self._bins.shape[1]
        odd = self._first & 1
        padded = np.pad(self._bins, ((0, 0), (odd, (size + odd) & 1)))
        self._bins = padded.reshape(3, -1, 2).sum(axis=2)  # (3, size) -> (3, ceil((size + odd) / 2))
        self._first >>= 1
        self._shift += 1
