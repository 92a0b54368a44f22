"""Golden images: pictures in the bundle with raw scores that every machine must reproduce."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from inspector.bundle.folder import GOLDEN, Bundle
from inspector.bundle.records import Golden, GoldenProbe
from inspector.errors import BundleError, GoldenMismatchError, ImageError
from inspector.imaging.decode import decode
from inspector.imaging.encode import encode_png
from inspector.types import RawScores

FOLDER = "golden"
TOLERANCE = 1e-3
INT8_TOLERANCE = 1e-2  # a difference in the last digit may round to another of 256 levels


def write_golden(
    bundle: Path,
    pictures: NDArray[np.uint8],
    raw: RawScores,
    tolerance: float = TOLERANCE,
    record: str = GOLDEN,
) -> None:
    """Write golden images and their raw scores into a bundle that is being filled.

    Parameters
    ----------
    bundle : Path
        Folder of the bundle.
    pictures : uint8 (n, H, W, 3)
        RGB, of the model's size; n is at least 1.
    raw : RawScores
        Scores of these pictures, in this order, by the exported graph.
    tolerance : float
        Largest relative difference that a machine may have.
    record : str
        Name of the JSON file for the numbers; each graph has its own.
    """
    (bundle / FOLDER).mkdir(exist_ok=True)
    probes = []
    for i, picture in enumerate(pictures):
        file = f"probe-{i}.png"
        (bundle / FOLDER / file).write_bytes(encode_png(picture))
        statistics = tuple(float(value) for value in raw.statistics[i])
        probes.append(GoldenProbe(file=file, statistics=statistics, map_peak=float(raw.anomaly_map[i].max())))
    golden = Golden(tolerance=tolerance, probes=tuple(probes))
    (bundle / record).write_text(golden.model_dump_json(indent=2) + "\n", encoding="utf-8")


def verify_graph(
    bundle: Bundle,
    run: Callable[[NDArray[np.uint8]], RawScores],
    record: str,
    *,
    only_last: bool = False,
) -> None:
    r"""Score the golden images one by one, and compare with the numbers recorded at export.

    With the column's scale :math:`s` (the training pictures' spread) and the tolerance :math:`t`, each
    statistic has to satisfy :math:`|got - expected| \le t \cdot \max(|expected|, s)`.  The same holds for
    the peak of the map with :math:`s = 1`, because the map is in units of that spread already.

    Parameters
    ----------
    bundle : Bundle
        The model whose golden images are scored.
    run : callable
        Scores pictures uint8 (N, H, W, 3).
    record : str
        Name of the graph's record in the bundle.
    only_last : bool
        Score only the last image; it has the defects, and so the largest numbers.

    Raises
    ------
    GoldenMismatchError
        A number differs by more; the message names the picture, the number and both values.
    BundleError
        The record or a picture is missing or cannot be read.
    """
    golden = _read(bundle.path / record)
    for probe in golden.probes[-1:] if only_last else golden.probes:
        raw = run(_picture(bundle, probe)[np.newaxis])
        expected = np.array([*probe.statistics, probe.map_peak])
        got = np.array([*raw.statistics[0], raw.anomaly_map[0].max()], dtype=np.float64)
        _compare(bundle, probe, expected, got, golden.tolerance)


def image_names(bundle: Bundle) -> list[str]:
    """List the golden images of a bundle, as its manifest names them."""
    return sorted(
        name for name in bundle.manifest.files if name.startswith(f"{FOLDER}/") and name.endswith(".png")
    )


def _compare(
    bundle: Bundle,
    probe: GoldenProbe,
    expected: NDArray[np.float64],
    got: NDArray[np.float64],
    tolerance: float,
) -> None:
    columns = bundle.manifest.columns
    where = f"{bundle.model.reference}: {FOLDER}/{probe.file}"
    if not expected.shape == got.shape == (len(columns) + 1,):
        raise GoldenMismatchError(
            f"{where}: {got.size - 1} statistics, {expected.size - 1} recorded, {len(columns)} columns",
            hint="the files of this model do not belong together; fit it again",
        )
    scale = np.array([*bundle.calibration.scale, 1.0])
    allowed = tolerance * np.maximum(np.abs(expected), scale)
    bad = np.flatnonzero(~(np.abs(got - expected) <= allowed))  # NaN is bad, too
    if bad.size:
        i = int(bad[0])
        names = [f"{column.component} (top {column.share:g})" for column in columns]
        name = [*names, "peak of the map"][i]
        raise GoldenMismatchError(
            f"{where}: {name} is {got[i]:.6g} here, expected {expected[i]:.6g} ± {allowed[i]:.2g}",
            hint="this processor or onnxruntime computes differently; update onnxruntime or fit here",
        )


def _read(path: Path) -> Golden:
    try:
        golden = Golden.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise BundleError(f"{path} is damaged: {exc.errors()[0]['msg']}", hint="fit the model again") from exc
    if not golden.probes:
        raise BundleError(f"{path} lists no picture, so nothing can be verified", hint="fit the model again")
    return golden


def _picture(bundle: Bundle, probe: GoldenProbe) -> NDArray[np.uint8]:
    """Read a golden image, uint8 (H, W, 3) of the model's size."""
    path = bundle.path / FOLDER / probe.file
    size = (bundle.manifest.image.height, bundle.manifest.image.width)
    if f"{FOLDER}/{probe.file}" not in bundle.manifest.files:
        raise BundleError(f"{path} is not a file of the model", hint="fit the model again")
    try:
        pixels = decode(path).pixels
    except ImageError as exc:
        raise BundleError(f"{path} cannot be decoded: {exc.message}", hint="fit the model again") from exc
    if pixels.shape[:2] != size:
        raise BundleError(
            f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, the model takes {size[1]} x {size[0]}",
            hint="fit the model again",
        )
    return pixels
