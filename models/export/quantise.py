"""The graph that scores, with products of 8 bits: which there are, their ranges, how they are written.

Convolutions change, each between a rounding and its inverse, and the products of codes and landmarks, whose
sums stay exact; normalisation, pooling and outputs compute with 32 bits as before.  Nodes are told apart by
their kind and their cost, never by their names, so that any network may be handed in.
"""

from __future__ import annotations

import copy
import logging
import platform
import re
import statistics
from collections import Counter
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
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata

from models.defects import corrupt

SHARE_WORTH_ROUNDING = 0.002  # of all multiplications; an operation of fewer gains nothing
GROUPS = 16  # neighbours are tried together, because each trial takes time
CONVOLUTION, PRODUCT = "Conv", "Gemm"  # a product is `alpha·A·B + C`, with codes A; B and C are constant
RECTIFIER = "Relu"  # after a convolution of 8 bits it is the lower end of the range, and costs nothing
COLOURS = 3  # a convolution of so few channels takes longer with 8 bits than with 32
ZERO = 128  # of codes: they have both signs
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
TRIES, VISIBLE = 10, 0.5  # a defect is looked for so often, and has such a label somewhere

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Operation:
    """A convolution, or all products of the same codes, and how many numbers they multiply for a picture."""

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
    """

    def __init__(self, graph: Path, *, reduced_range: bool) -> None:
        self.reduced_range = reduced_range
        with _quiet():
            self._model = _named(onnx.shape_inference.infer_shapes(onnx.load(graph)))
            add_infer_metadata(self._model)  # otherwise they are inferred once more, by way of the disk
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
                [CONVOLUTION, PRODUCT, RECTIFIER],
                augmented_model_path=str(Path(work) / "augmented.onnx"),
                calibrate_method=CalibrationMethod.MinMax,
            )
            calibrator.collect_data(_Reader(pictures))
            self._ranges = calibrator.compute_data()

    def operations(self) -> list[Operation]:
        """Return convolutions and products, but those of a picture's colours, in the order of the graph."""
        graph = self._model.graph
        places = {value.name: _places(value) for value in (*graph.value_info, *graph.output)}
        weights = {value.name: list(value.dims) for value in graph.initializer}
        found: Counter[str] = Counter()
        for node in graph.node:
            if node.op_type == PRODUCT or (
                node.op_type == CONVOLUTION and weights.get(node.input[1], [0, 0])[1] != COLOURS
            ):
                found[_operation(node)] += int(
                    np.prod(weights.get(node.input[1], [0])) * places[node.output[0]]
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
        """Names of what rectifies the outputs of the operations of these names."""
        nodes = self._model.graph.node
        made = {output for node in nodes if node.name in names for output in node.output}
        return [node.name for node in nodes if node.op_type == RECTIFIER and node.input[0] in made]

    def _round_products(self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
        """Put integer products with 32-bit sums in the place of `alpha·A·B + C`, all of the same A.

        Whatever else reads A reads it rounded: `‖A‖²` must fit the products.
        """
        if not nodes:
            return
        graph, codes = model.graph, nodes[0].input[0]
        lowest, highest = (float(np.max(np.abs(bound))) for bound in self._ranges[codes].range_value)
        code_unit = max(lowest, highest, 1e-6) / (255 - ZERO)
        arrays = {value.name: value for value in graph.initializer}

        def new(name: str, array: Any) -> str:
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
            return name

        zero, code_scale = new(f"{codes}_zero", np.uint8(ZERO)), new(f"{codes}_scale", np.float32(code_unit))
        rounded, back = f"{codes}_rounded", f"{codes}_back"
        for node in nodes:
            values = numpy_helper.to_array(arrays[node.input[1]])  # (d, m)
            unit = max(float(np.abs(values).max()), 1e-6) / (64 if self.reduced_range else 127)
            alpha = next((a.f for a in node.attribute if a.name == "alpha"), 1.0)
            constants = (
                new(f"{node.name}_constant", np.round(values / unit).astype(np.int8)),
                code_scale,
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
            reader.input[:] = [back if each == codes else each for each in reader.input]
        at = next(i for i, each in enumerate(graph.node) if {rounded, back} & set(each.input))
        for kind, source, made in (("DequantizeLinear", rounded, back), ("QuantizeLinear", codes, rounded)):
            graph.node.insert(at, onnx.helper.make_node(kind, [source, code_scale, zero], [made], made))
        if CONTRIB not in {opset.domain for opset in model.opset_import}:
            model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))


def _operation(node: onnx.NodeProto) -> str:
    """Under which name a convolution or a product is chosen; products of the same codes share one."""
    return f"products of {node.input[0]}" if node.op_type == PRODUCT else node.name


def _places(value: onnx.ValueInfoProto) -> int:
    """At how many places of one picture a convolution (N, C, H, W) or a product (N·places, C) is computed."""
    dimensions = value.type.tensor_type.shape.dim
    if len(dimensions) == 2:  # a multiple of the batch, such as 1024*N
        return int(re.sub(r"\D", "", dimensions[0].dim_param) or 1)
    return int(np.prod([dimension.dim_value for dimension in dimensions[2:]]))


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


def groups(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Put neighbours together into at most `GROUPS` groups of like cost; cheap ones are left out."""
    total = sum(one.products for one in operations)
    found: dict[int, list[Operation]] = {}
    before = 0
    for one in operations:
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
