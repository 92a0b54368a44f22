"""ONNX Runtime: opens the graphs of a bundle and runs them on arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inspector.errors import BundleError
from inspector.process.concurrency import cores
from inspector.types import RawScores

# For programs that imported ONNX Runtime before us, and for builds that hand events to Windows; everywhere
# else `inspector/__init__.py` has done it.
onnxruntime.disable_telemetry_events()


class DetectorSession:
    """The graph that scores; opened once, then run on batches of prepared pictures.

    Parameters
    ----------
    path : Path
        `detector.onnx` or `detector.int8.onnx`.
    threads : int
        Threads that compute together; 0 means one for each core.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._session = _open(path, threads)

    def run(self, batch: NDArray[np.uint8]) -> RawScores:
        """Score pictures uint8 (N, H, W, 3), RGB, of the model's own size."""
        statistics, anomaly_map, latent = self._session.run(
            ["statistics", "anomaly_map", "latent"], {"image": batch}
        )
        return RawScores(statistics, anomaly_map, latent)


class NetworkSession:
    """The encoder or the decoder: a graph with one input and one output.

    Parameters
    ----------
    path : Path
        `encoder.onnx` or `decoder.onnx`.
    threads : int
        Threads that compute together; 0 means one for each core.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._session = _open(path, threads)
        self._input = self._session.get_inputs()[0]

    @property
    def input_shape(self) -> tuple[int | str | None, ...]:
        """Shape of one input without the batch dimension; an open side is a name or None."""
        return tuple(self._input.shape[1:])

    def run(self, value: NDArray[Any]) -> NDArray[Any]:
        """Run the graph on one item, given and returned without the batch dimension.

        One item at a time: the result never depends on other items of a batch.

        Raises
        ------
        BundleError
            The graph does not accept this item.
        """
        try:
            outputs = self._session.run(None, {self._input.name: value[np.newaxis]})
        except Exception as exc:  # onnxruntime's exceptions share no base class
            raise BundleError(
                f"{self.path.name} cannot be run on {value.dtype} of shape {value.shape}: {_first_line(exc)}",
                hint="fit the model again, or copy it again from its source",
            ) from exc
        return np.asarray(outputs[0][0])


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU."""
    options = onnxruntime.SessionOptions()
    # ONNX Runtime's own number is one for each core of the computer, whatever this process may use.
    options.intra_op_num_threads = threads or (cores() if cores() != os.cpu_count() else 0)
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime's exceptions share no base class
        raise BundleError(
            f"{path.name} cannot be opened by ONNX Runtime: {_first_line(exc)}",
            hint="the bundle is damaged or needs a newer onnxruntime; fit again or update",
        ) from exc


def _first_line(exc: Exception) -> str:
    return str(exc).splitlines()[0]
