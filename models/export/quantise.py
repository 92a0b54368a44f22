"""Writes versions of an exported graph in which chosen operations compute with 8 bits.

Two kinds of operations can be rounded: convolutions, and the products of vectors with the entries of a memory
bank, whose sums stay exact.  Normalisation, pooling and outputs keep 32 bits.  Operations are recognised by
their kind and cost, never by their names, so any network will do.
"""

from __future__ import annotations

import copy
import logging
import platform
import re
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata

from models.defects import corrupt

SHARE_WORTH_ROUNDING = 0.002  # of all multiplications; rounding a cheaper operation gains nothing
GROUPS = 16  # at most; neighbouring operations are tried together, because each trial takes time
CONVOLUTION, PRODUCT = "Conv", "Gemm"  # a product is `alpha·A·B + C` with vectors A; B and C are constant
RECTIFIER = "Relu"  # after an 8-bit convolution the range starts at 0 instead, which costs nothing
COLOURS = 3  # input channels; a convolution of so few takes longer with 8 bits than with 32
ZERO = 128  # stands for 0 in 8-bit vectors, which have both signs
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
TRIES, VISIBLE = 10, 0.5  # draws of a defect until one has such a label somewhere

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Operation:
    """A convolution, or all products of the same vectors; `products` counts multiplications for a picture."""

    name: str
    products: int


class Quantiser:
    """Writes versions of one graph in which chosen operations compute with 8 bits.

    Parameters
    ----------
    graph : Path
        An ONNX file with one input `image`, uint8 (N, H, W, 3).
    reduced_range : bool
        Give weights 7 bits, so that sums of two products fit into 16.
    exact : set of str
        Names of weights that keep 32 bits.
    """

    def __init__(self, graph: Path, *, reduced_range: bool, exact: Collection[str] = frozenset()) -> None:
        self.reduced_range, self._exact = reduced_range, exact
        with _quiet():
            self._model = _named(onnx.shape_inference.infer_shapes(onnx.load(graph)))
            add_infer_metadata(self._model)  # otherwise the shapes are inferred again, by way of the disk
        self._ranges: Any = None

    def observe(self, pictures: Pixels) -> None:
        """Measure the ranges of the activations on pictures (n, H, W, 3).

        Some pictures should have defects: activations beyond a range are cut off, and the scores of unusual
        pictures with them.
        """
        with TemporaryDirectory() as work, _quiet():
            named = Path(work) / "named.onnx"
            onnx.save(self._model, named)
            calibrator = create_calibrator(
                named,
                [CONVOLUTION, PRODUCT, RECTIFIER],
                augmented_model_path=str(Path(work) / "augmented.onnx"),
                calibrate_method=CalibrationMethod.MinMax,
            )
            calibrator.collect_data(_Reader(pictures))
            self._ranges = calibrator.compute_data()

    def operations(self) -> list[Operation]:
        """Return the operations that may be rounded, in the order of the graph: not those of colours."""
        graph = self._model.graph
        patches = {value.name: _patches(value) for value in (*graph.value_info, *graph.output)}
        weights = {value.name: list(value.dims) for value in graph.initializer}
        found: Counter[str] = Counter()
        for node in graph.node:
            if len(node.input) > 1 and node.input[1] in self._exact:
                continue
            if node.op_type == PRODUCT or (
                node.op_type == CONVOLUTION and weights.get(node.input[1], [0, 0])[1] != COLOURS
            ):
                found[_operation(node)] += int(
                    np.prod(weights.get(node.input[1], [0])) * patches[node.output[0]]
                )
        return [Operation(*each) for each in found.items()]

    def write(self, target: Path, names: Sequence[str]) -> None:
        """Write the graph with the operations of these names quantised."""
        with _quiet():
            quantiser = QDQQuantizer(
                copy.deepcopy(self._model),
                per_channel=True,
                reduce_range=self.reduced_range,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=[*names, *self._rectifiers(names)],
                nodes_to_exclude=[],
                op_types_to_quantize=[CONVOLUTION, RECTIFIER],
                extra_options={},
            )
            quantiser.quantize_model()
        model = quantiser.model.model
        products = [node for node in model.graph.node if node.op_type == PRODUCT]
        for name in names:
            self._round_products(model, [node for node in products if _operation(node) == name])
        onnx.save(model, target)

    def _rectifiers(self, names: Sequence[str]) -> list[str]:
        """Return the names of the rectifiers that follow the operations of these names."""
        nodes = self._model.graph.node
        made = {output for node in nodes if node.name in names for output in node.output}
        return [node.name for node in nodes if node.op_type == RECTIFIER and node.input[0] in made]

    def _round_products(self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
        """Replace products `alpha·A·B + C` of the same vectors A by integer products with 32-bit sums.

        All other readers of A read the rounded A, because `‖A‖²` must fit the products.
        """
        if not nodes:
            return
        graph, vectors = model.graph, nodes[0].input[0]
        lowest, highest = (float(np.max(np.abs(bound))) for bound in self._ranges[vectors].range_value)
        vector_unit = max(lowest, highest, 1e-6) / (255 - ZERO)
        arrays = {value.name: value for value in graph.initializer}

        def new(name: str, array: Any) -> str:
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
            return name

        zero, vector_scale = (
            new(f"{vectors}_zero", np.uint8(ZERO)),
            new(f"{vectors}_scale", np.float32(vector_unit)),
        )
        rounded, back = f"{vectors}_rounded", f"{vectors}_back"
        for node in nodes:
            values = numpy_helper.to_array(arrays[node.input[1]])  # (d, m)
            unit = max(float(np.abs(values).max()), 1e-6) / (64 if self.reduced_range else 127)
            alpha = next((a.f for a in node.attribute if a.name == "alpha"), 1.0)
            constants = (
                new(f"{node.name}_constant", np.round(values / unit).astype(np.int8)),
                vector_scale,
                new(f"{node.name}_scale", np.float32(alpha * unit)),
                zero,
                "",
                node.input[2],
            )
            graph.initializer.remove(arrays[node.input[1]])
            node.CopyFrom(
                onnx.helper.make_node(
                    "MatMulIntegerToFloat", [rounded, *constants], node.output, node.name, domain=CONTRIB
                )
            )
        for reader in graph.node:
            reader.input[:] = [back if each == vectors else each for each in reader.input]
        at = next(i for i, each in enumerate(graph.node) if {rounded, back} & set(each.input))
        for kind, source, made in (("DequantizeLinear", rounded, back), ("QuantizeLinear", vectors, rounded)):
            graph.node.insert(at, onnx.helper.make_node(kind, [source, vector_scale, zero], [made], made))
        if CONTRIB not in {opset.domain for opset in model.opset_import}:
            model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))


def _operation(node: onnx.NodeProto) -> str:
    """Return the name by which an operation is chosen; products of the same vectors share one."""
    return f"products of {node.input[0]}" if node.op_type == PRODUCT else node.name


def _patches(value: onnx.ValueInfoProto) -> int:
    """Return the number of patches in one picture's output (N, C, H, W) or (N·patches, C)."""
    dimensions = value.type.tensor_type.shape.dim
    if len(dimensions) == 2:  # a multiple of the batch, such as 1024*N
        return int(re.sub(r"\D", "", dimensions[0].dim_param) or 1)
    return int(np.prod([dimension.dim_value for dimension in dimensions[2:]]))


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Hands pictures to the calibrator one by one."""

    def __init__(self, pictures: Pixels) -> None:
        self._batches = ({"image": picture[np.newaxis]} for picture in pictures)

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next input, or None after the last."""
        return next(self._batches, None)


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a unique name, because the quantiser finds nodes by name."""
    for i, node in enumerate(model.graph.node):
        node.name = f"node_{i}"
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice in the root logger off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def groups(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Put neighbouring operations into at most 16 groups of about equal cost, and leave cheap ones out."""
    total = sum(one.products for one in operations)
    found: dict[int, list[Operation]] = {}
    before = 0
    for one in operations:
        if one.products >= SHARE_WORTH_ROUNDING * total:
            found.setdefault(before * GROUPS // total, []).append(one)
        before += one.products
    return list(found.values())


def with_defects(pictures: Pixels, seed: int) -> Pixels:
    """Lay synthetic defects over pictures (n, H, W, 3), with texture from the picture before each."""
    rng = np.random.default_rng(seed)
    crops = pictures.astype(np.float32) / 255
    contrast = max(float(crops.std()), 0.02)
    damaged = [_damaged(rng, crop, crops[i - 1], contrast) for i, crop in enumerate(crops)]
    return np.asarray((np.stack(damaged) * 255).round().astype(np.uint8))


def _damaged(
    rng: np.random.Generator, crop: NDArray[np.float32], other: NDArray[np.float32], contrast: float
) -> NDArray[np.float32]:
    """Corrupt a picture visibly; `corrupt` leaves some pictures as they are, and draws invisible defects."""
    for _ in range(TRIES):
        found = corrupt(rng, crop, other, contrast)
        if found.label.max() > VISIBLE:
            break
    return found.picture


def needs_reduced_range(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return True if this processor adds two 8-bit products in 16 bits, which saturates: x86 without VNNI."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    try:
        return re.search(r"^flags\b.*vnni", cpuinfo.read_text(), flags=re.MULTILINE) is None
    except OSError:  # not Linux: assume an old processor
        return True


def speedup(slow: Callable[[], object], fast: Callable[[], object], repetitions: int = 15) -> float:
    """Time two functions in turn, and return the median of how many times as fast the second is."""
    ratios = []
    for _ in range(repetitions):
        began = perf_counter()
        slow()
        between = perf_counter()
        fast()
        ratios.append((between - began) / (perf_counter() - between))
    return statistics.median(ratios)
