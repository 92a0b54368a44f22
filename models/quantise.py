"""The graph that scores, with convolutions of 8 bits: which there are, their ranges, how they are written.

Only convolutions change, and each stands between a rounding and its inverse: normalisation, distances,
pooling and outputs compute with 32 bits as before.  Nodes are told apart by their kind and their cost,
never by their names, so that any network may be handed in.
"""

from __future__ import annotations

import copy
import logging
import platform
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from models.corruption import corrupt

SHARE_WORTH_ROUNDING = 0.01  # of all multiplications; a convolution of fewer gains nothing
GROUPS = 16  # neighbouring convolutions are tried together, because each trial takes time
OPERATION = "Conv"
TRIES, VISIBLE = 10, 0.5  # a defect is looked for so often, and has such a label somewhere

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Convolution:
    """A convolution of the graph, and how many numbers it multiplies for one picture."""

    name: str
    products: int


class Quantiser:
    """Writes versions of one graph in which chosen convolutions compute with 8 bits.

    Parameters
    ----------
    graph : Path
        An ONNX file with one input `image`, uint8 (N, H, W, 3).
    reduced_range : bool
        Give weights 7 bits, so that sums of two products fit into 16.
    """

    def __init__(self, graph: Path, *, reduced_range: bool) -> None:
        self.reduced_range = reduced_range
        with _quiet():
            self._model = _named(load_model_with_shape_infer(graph))
        self._ranges: Any = None

    def observe(self, pictures: Pixels) -> None:
        """Let the activations of pictures (n, H, W, 3) set the ranges.

        There should be defects among them: what exceeds a range is cut off, and with it the score of
        whatever is unusual.
        """
        with TemporaryDirectory() as work, _quiet():
            named = Path(work) / "named.onnx"
            onnx.save(self._model, named)
            calibrator = create_calibrator(
                named,
                [OPERATION],
                augmented_model_path=str(Path(work) / "augmented.onnx"),
                calibrate_method=CalibrationMethod.MinMax,
            )
            calibrator.collect_data(_Reader(pictures))
            self._ranges = calibrator.compute_data()

    def convolutions(self) -> list[Convolution]:
        """Return all convolutions, in the order in which they are computed."""
        sizes = {
            value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
            for value in (*self._model.graph.value_info, *self._model.graph.output)
        }
        weights = {value.name: list(value.dims) for value in self._model.graph.initializer}
        return [
            Convolution(
                node.name,
                int(np.prod(weights.get(node.input[1], [0])) * np.prod(sizes.get(node.output[0], [0])[2:])),
            )
            for node in self._model.graph.node
            if node.op_type == OPERATION
        ]

    def write(self, target: Path, names: Sequence[str]) -> None:
        """Write the graph with the convolutions of these names quantised."""
        with _quiet():
            quantiser = QDQQuantizer(
                copy.deepcopy(self._model),
                per_channel=True,
                reduce_range=self.reduced_range,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=list(names),
                nodes_to_exclude=[],
                op_types_to_quantize=[OPERATION],
                extra_options={},
            )
            quantiser.quantize_model()
        onnx.save(quantiser.model.model, target)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Hands pictures to the calibrator one by one."""

    def __init__(self, pictures: Pixels) -> None:
        self._batches = ({"image": picture[np.newaxis]} for picture in pictures)

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next input, None after the last."""
        return next(self._batches, None)


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name of its own; the quantiser knows nodes by names."""
    for i, node in enumerate(model.graph.node):
        node.name = f"node_{i}"
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice, which it gives through the root logger, off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def groups(convolutions: Sequence[Convolution]) -> list[list[Convolution]]:
    """Put neighbours together into at most `GROUPS` groups of like cost; cheap convolutions are left out."""
    total = sum(one.products for one in convolutions)
    found: dict[int, list[Convolution]] = {}
    before = 0
    for one in convolutions:
        if one.products >= SHARE_WORTH_ROUNDING * total:
            found.setdefault(before * GROUPS // total, []).append(one)
        before += one.products
    return list(found.values())


def with_defects(pictures: Pixels, seed: int) -> Pixels:
    """Lay synthetic defects over pictures (n, H, W, 3), with texture from their neighbours."""
    rng = np.random.default_rng(seed)
    crops = pictures.astype(np.float32) / 255
    contrast = max(float(crops.std()), 0.02)
    damaged = [_damaged(rng, crop, crops[i - 1], contrast) for i, crop in enumerate(crops)]
    return np.asarray((np.stack(damaged) * 255).round().astype(np.uint8))


def _damaged(
    rng: np.random.Generator, crop: NDArray[np.float32], other: NDArray[np.float32], contrast: float
) -> NDArray[np.float32]:
    """Corrupt a picture visibly: training leaves some as they are, and draws defects that nobody sees."""
    for _ in range(TRIES):
        found = corrupt(rng, crop, other, contrast)
        if found.label.max() > VISIBLE:
            break
    return found.picture


def needs_reduced_range(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor adds two products of 8 bits in 16, which saturates: x86 without VNNI."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    try:
        return re.search(r"^flags\b.*vnni", cpuinfo.read_text(), flags=re.MULTILINE) is None
    except OSError:  # not Linux: who cannot be asked is taken for old
        return True


def speedup(slow: Callable[[], object], fast: Callable[[], object], repetitions: int = 15) -> float:
    """Time two functions in turn, and return how many times as fast the second is, by medians."""
    ratios = []
    for _ in range(repetitions):
        began = perf_counter()
        slow()
        between = perf_counter()
        fast()
        ratios.append((between - began) / (perf_counter() - between))
    return statistics.median(ratios)
