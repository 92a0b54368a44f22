"""Convolutions and products of 8 bits: which are written, what stays, and on which processors."""

from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from inspector.demo.photograph import render
from inspector.scoring.runtime import DetectorSession
from models.export import quantise
from models.export.quantise import Operation, Quantiser
from models.inspection import components

BANKS = 3  # memory banks of the model
ROUNDINGS = {"QuantizeLinear", "DequantizeLinear"}


@pytest.fixture(scope="module")
def graph(exported: Path) -> Path:
    """`detector.onnx` of a network with random weights."""
    return exported / "detector.onnx"


@pytest.fixture(scope="module")
def quantiser(graph: Path, pixels: NDArray[np.uint8]) -> Quantiser:
    """One that has seen pictures, half of them with defects."""
    found = Quantiser(graph, reduced_range=False)
    found.observe(np.concatenate([pixels[:5], quantise.with_defects(pixels[5:10], 0)]))
    return found


def kinds(path: Path) -> Counter[str]:
    """How often each operator occurs."""
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def products_of(path: Path) -> Counter[str]:
    """Return for each set of vectors the number of blocks of the memory bank that it is compared with."""
    return Counter(node.input[0] for node in onnx.load(path).graph.node if node.op_type == "Gemm")


def weights(path: Path) -> list[NDArray[np.int8]]:
    """The 8-bit weights of convolutions."""
    arrays = [numpy_helper.to_array(value) for value in onnx.load(path).graph.initializer]
    return [array for array in arrays if array.dtype == np.int8 and array.ndim == 4]


def test_only_convolutions_and_products_are_rounded(
    graph: Path, quantiser: Quantiser, tmp_path: Path
) -> None:
    """All other nodes stay as they are; each 8-bit convolution has a scale for each of its channels.

    What rectifies its output is gone: the range begins at 0.  The trunk looks twice at a picture, so that
    some convolutions share their weights.
    """
    names = [one.name for one in quantiser.operations()]
    quantiser.write(tmp_path / "all.onnx", names)
    before, after = kinds(graph), kinds(tmp_path / "all.onnx")
    assert (
        before["Conv"] + 3 == len(names) + 2
    )  # three sets of vectors; the two convolutions of colours stay exact
    blocks = sum(products_of(graph).values())
    assert (before.pop("Gemm"), after.pop("MatMulIntegerToFloat")) == (blocks, blocks)
    tensors = {node.input[1] for node in onnx.load(graph).graph.node if node.op_type == "Conv"}
    assert len(tensors) - 1 == len(weights(tmp_path / "all.onnx"))
    nodes = quantiser._model.graph.node
    made = {output for node in nodes if node.name in names for output in node.output}
    before["Relu"] -= sum(node.op_type == "Relu" and node.input[0] in made for node in nodes)
    assert {kind: count for kind, count in after.items() if kind not in ROUNDINGS} == before
    rounded = onnx.load(tmp_path / "all.onnx").graph
    scales = {value.name: list(value.dims) for value in rounded.initializer}
    sources = {output: node for node in rounded.node for output in node.output}
    for node in rounded.node:
        if node.op_type == "Conv" and node.input[1] in sources:
            (channels,) = scales[sources[node.input[1]].input[1]]
            assert channels == scales[sources[node.input[1]].input[0]][0]


def test_rounded_scores_are_near(graph: Path, quantiser: Quantiser) -> None:
    """Statistics of the rounded graph are near the exact one's within a few parts in a hundred.

    Distances of untrained embeddings lie close together: in units of their spread, half of it is allowed.
    """
    unseen = np.stack([render(seed, size=64).picture for seed in (30, 31)])
    target = graph.parent / "rounded.onnx"
    quantiser.write(target, [one.name for one in quantiser.operations()])
    exact, rounded = (DetectorSession(path, 1).run(unseen).statistics for path in (graph, target))
    distances = np.array([column.component.startswith("latent_mmd") for column in components.columns()])
    np.testing.assert_allclose(rounded[:, ~distances], exact[:, ~distances], rtol=0.1, atol=0.2)
    np.testing.assert_allclose(rounded[:, distances], exact[:, distances], atol=0.5)
    assert not np.array_equal(rounded, exact)


@pytest.mark.parametrize("reduced_range", [False, True])
def test_rounded_products_are_sums_of_integers(
    graph: Path, pixels: NDArray[np.uint8], tmp_path: Path, *, reduced_range: bool
) -> None:
    """Distances with 8-bit vectors are those that NumPy computes from the rounded vectors and entries."""
    found = Quantiser(graph, reduced_range=reduced_range)
    found.observe(pixels[:6])
    products = [one.name for one in found.operations() if one.name.startswith("products of ")]
    assert len(products) == BANKS
    found.write(tmp_path / "products.onnx", products)
    model = onnx.load(tmp_path / "products.onnx")
    constants = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    for name, kind in (
        *((vectors, onnx.TensorProto.UINT8) for vectors in {node.input[0] for node in nodes}),
        *((node.output[0], onnx.TensorProto.FLOAT) for node in nodes),
    ):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert len({node.input[0] for node in nodes}) == BANKS < len(nodes)
    for node in nodes:
        vectors, entries, vector_scale, scale, zero, _, squares = node.input
        assert np.abs(constants[entries].astype(int)).max() == (64 if reduced_range else 127)
        rounded, got = session.run([vectors, node.output[0]], {"image": pixels[10:12]})
        integers = (rounded.astype(int) - int(constants[zero])) @ constants[entries].astype(int)
        expected = integers * float(constants[vector_scale]) * float(constants[scale]) + constants[squares]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


def test_products_of_the_same_vectors_are_one_operation(graph: Path, quantiser: Quantiser) -> None:
    """The products of all blocks of a memory bank count as one operation."""
    found = {one.name: one.products for one in quantiser.operations()}
    model = onnx.load(graph)
    constants = {value.name: value.dims for value in model.graph.initializer}
    patches = iter((64, 16, 16))  # of 64 x 64 px: embedding, embedding at half the size, latent
    for vectors in products_of(graph):
        products = [node for node in model.graph.node if node.op_type == "Gemm" and node.input[0] == vectors]
        mine = [constants[node.input[1]] for node in products]
        assert found[f"products of {vectors}"] == next(patches) * mine[0][0] * sum(dims[1] for dims in mine)


def test_what_is_not_chosen_stays_exact(graph: Path, quantiser: Quantiser, tmp_path: Path) -> None:
    """Only the convolutions that are named are rounded."""
    quantiser.write(tmp_path / "two.onnx", [one.name for one in quantiser.operations()[3:5]])
    assert len(weights(tmp_path / "two.onnx")) == 2


def test_names_do_not_matter(graph: Path, quantiser: Quantiser, tmp_path: Path) -> None:
    """Convolutions are found, and counted alike, in a graph whose nodes have no names."""
    model = onnx.load(graph)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "anonymous.onnx")
    found = Quantiser(tmp_path / "anonymous.onnx", reduced_range=False).operations()
    assert found == quantiser.operations()
    assert len({one.name for one in found}) == len(found)


def test_products_are_counted(quantiser: Quantiser) -> None:
    """The convolution after the colours takes 3 x 3 x 16 products for 32 channels, at 16 x 16 patches."""
    assert quantiser.operations()[0].products == 3 * 3 * 16 * 32 * 16 * 16


def test_a_reduced_range_has_seven_bits(graph: Path, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    """With a reduced range no weight exceeds 64, so that two products fit into 16 bits."""
    reduced = Quantiser(graph, reduced_range=True)
    reduced.observe(pixels[:4])
    reduced.write(tmp_path / "reduced.onnx", [one.name for one in reduced.operations()])
    largest = max(int(np.abs(array.astype(int)).max()) for array in weights(tmp_path / "reduced.onnx"))
    assert 32 < largest <= 64
    assert 2 * 255 * largest < 2**15


@pytest.mark.parametrize(
    ("machine", "flags", "reduced"),
    [
        ("x86_64", "fpu avx2 fma", True),
        ("x86_64", "fpu avx2 avx_vnni", False),
        ("AMD64", "fpu avx512f avx512_vnni", False),
        ("aarch64", "asimd", False),
        ("x86_64", None, True),
    ],
)
def test_the_range_is_reduced_where_sums_saturate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: str, flags: str | None, reduced: bool
) -> None:
    """On x86 without VNNI, or where nobody can tell, weights have 7 bits."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"model name\t: vnni lover\nflags\t\t: {flags}\nbugs\t\t:\n")
    assert quantise.needs_reduced_range(tmp_path / "cpuinfo") == reduced


def test_groups_are_neighbours_of_like_cost() -> None:
    """Groups keep the order, leave cheap convolutions out, and are at most sixteen."""
    costs = [100, 1, 50, 50, *[30] * 40, 2, 200]
    convolutions = [Operation(f"c{i}", cost) for i, cost in enumerate(costs)]
    found = quantise.groups(convolutions)
    assert [one for group in found for one in group] == [one for one in convolutions if one.products > 16]
    assert 8 <= len(found) <= quantise.GROUPS


def test_defects_are_laid_over_pictures(pixels: NDArray[np.uint8]) -> None:
    """Every picture is changed visibly, none in size, and the same seed changes them alike."""
    damaged = quantise.with_defects(pixels, 5)
    assert damaged.shape == pixels.shape
    assert np.abs(damaged.astype(int) - pixels).max((1, 2, 3)).min() > 5
    assert np.array_equal(damaged, quantise.with_defects(pixels, 5))


def test_speed_is_a_ratio_of_medians() -> None:
    """A function that does ten times as much is several times as slow."""
    numbers = np.random.default_rng(0).random(200_000)
    assert quantise.speedup(lambda: [np.sort(numbers) for _ in range(10)], lambda: np.sort(numbers)) > 3
