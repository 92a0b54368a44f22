"""Measures how well and how quickly backgrounds are removed: `python -m tests.benchmarks.cutout DATA`.

DATA contains `photo/NAME.*` and `mask/NAME.*`; a mask is white on the object.  Each picture is cut out twice:
by `inspector` without hints, and by a bare `cv2.grabCut` with a rectangle and as many rounds.  The two take
turns in one thread, so that other programs slow both down.  The masks are used for the comparison only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import cv2
import numpy as np

from inspector.cutout import matte
from inspector.cutout.picture import Options, object_mask
from inspector.cutout.segmentation import one_thread
from inspector.imaging.decode import decode
from inspector.imaging.files import list_images
from inspector.types import Mask, Pixels
from tests.soak.program import demand, finish, say

OVERLAP = 0.90  # mean intersection over union, at least
SLOWER = 1.3  # median of the times over the bare ones, at most


class Pair(NamedTuple):
    """Intersection over union and seconds of one picture, for both methods."""

    overlap: float
    bare_overlap: float
    seconds: float
    bare_seconds: float


def ours(picture: Pixels, options: Options) -> Mask:
    """Return where the product's alpha channel is more than a half, without reading or writing files."""
    mask = object_mask(picture, options)
    if mask is None:
        return np.zeros(picture.shape[:2], bool)
    return matte.alpha(mask, picture, options.matte) > 127


def bare(picture: Pixels, options: Options) -> Mask:
    """Return the object that OpenCV finds in a rectangle with the same margin."""
    height, width = picture.shape[:2]
    gap = max(1, round(min(height, width) * options.segmentation.margin))
    labels, models = np.zeros((height, width), np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
    place = (gap, gap, width - 2 * gap, height - 2 * gap)
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, labels, place, *models, options.segmentation.iterations, cv2.GC_INIT_WITH_RECT)
    return (labels & 1).astype(bool)


def overlap(found: Mask, true: Mask) -> float:
    """Return the intersection over union; 1 if both are empty."""
    union = (found | true).sum()
    return float((found & true).sum() / union) if union else 1.0


def measure(photo: Path, mask: Path, options: Options) -> Pair:
    """Cut out one picture with both methods."""
    picture, true = decode(photo).pixels, decode(mask).pixels[..., 0] > 127
    began = perf_counter()
    found = ours(picture, options)
    between = perf_counter()
    plain = bare(picture, options)
    ended = perf_counter()
    return Pair(overlap(found, true), overlap(plain, true), between - began, ended - between)


def verify(data: Path, every: int, options: Options) -> None:
    """Measure a folder, print the figures, and demand the promised ones."""
    masks = {path.stem: path for path in list_images(data / "mask")}
    photos = list_images(data / "photo")[::every]
    demand(bool(photos), f"{data / 'photo'} holds no picture")
    with one_thread():
        measure(photos[0], masks[photos[0].stem], options)  # warms up
        pairs = [measure(photo, masks[photo.stem], options) for photo in photos]
    overlaps = sorted(pair.overlap for pair in pairs)
    mean, plain = statistics.mean(overlaps), statistics.mean(pair.bare_overlap for pair in pairs)
    times, plain_times = [p.seconds * 1e3 for p in pairs], [p.bare_seconds * 1e3 for p in pairs]
    ratio = statistics.median(p.seconds / p.bare_seconds for p in pairs)
    say(f"{len(pairs)} pictures, {options.segmentation.iterations} rounds, no hints")
    say(f"intersection over union: mean {mean:.4f}, bare rectangle {plain:.4f}, at least {OVERLAP}")
    tenth, middle = overlaps[len(overlaps) // 10], statistics.median(overlaps)
    say(f"    lowest {overlaps[0]:.3f}, first decile {tenth:.3f}, median {middle:.3f}")
    say(f"median time: {statistics.median(times):.0f} ms, bare {statistics.median(plain_times):.0f} ms")
    say(f"    ratio {ratio:.2f} picture by picture, at most {SLOWER}")
    demand(mean >= OVERLAP, f"mean intersection over union is {mean:.4f}, not {OVERLAP} or more")
    demand(ratio <= SLOWER, f"the median ratio of times is {ratio:.2f}, not {SLOWER} or less")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a folder with photo/ and mask/")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth picture")
    parsed = parser.parse_args()
    sys.exit(finish(lambda: verify(parsed.data, parsed.every, Options())))
