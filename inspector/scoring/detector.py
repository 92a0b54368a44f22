"""The ONNX graphs of a bundle: a picture goes in, raw scores, a map and a verdict come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inspector.bundle import golden
from inspector.bundle.folder import GRAPH, INT8_GOLDEN, INT8_GRAPH, Bundle
from inspector.bundle.records import (
    Calibration,
    ImageSize,
    Manifest,
    Milliseconds,
    ModelId,
    Region,
    ScoredImage,
    Verdict,
)
from inspector.errors import BundleError, ImageError, InvalidReason
from inspector.imaging import images
from inspector.scoring import decision, heatmap
from inspector.settings import Settings

Source = str | Path | bytes | NDArray[np.generic]
Precision = Literal["fp32", "int8"]


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open one graph on the processor with `threads` threads (0: one for each core)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises classes of its own without a common root
        raise BundleError(
            f"{path.name} cannot be opened by ONNX Runtime: {str(exc).splitlines()[0]}",
            hint="the bundle is damaged or needs a newer onnxruntime; fit again or update",
        ) from exc


@dataclass(frozen=True)
class RawScores:
    """What the graph says of a batch; no threshold has been applied.

    Attributes
    ----------
    statistics : float32 (N, C)
        One column for each entry of the manifest's `columns`; they rise with anomaly.
    anomaly_map : float32 (N, h, w)
        In units of the training pictures' spread; it rises with anomaly.
    latent : float32 (N, d)
        The codes, averaged over places.
    """

    statistics: NDArray[np.float32]
    anomaly_map: NDArray[np.float32]
    latent: NDArray[np.float32]


class Graph:
    """The graph that scores, opened once and run on batches of prepared pictures.

    Parameters
    ----------
    path : Path
        `detector.onnx` or `detector.int8.onnx`.
    threads : int
        Threads that compute together; 0 means one for each core.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self._session = open_session(path, threads)

    def run(self, batch: NDArray[np.uint8]) -> RawScores:
        """Score pictures uint8 (N, H, W, 3), RGB, of the model's own size."""
        statistics, anomaly_map, latent = self._session.run(
            ["statistics", "anomaly_map", "latent"], {"image": batch}
        )
        return RawScores(statistics, anomaly_map, latent)


@dataclass(frozen=True, eq=False)
class Inspection:
    """One inspected picture: its verdict, the numbers behind it, and where to look.

    The fields are those of the JSON object, in which `reason` and `message` are one string.  `picture`
    (uint8 (H, W, 3)) and `anomaly_map` (float32 (H, W)) are in the picture's own pixels, `coarse_map`
    (float32 (h, w)) is the same as the graph gives it, `latent` (float32 (d,)) is the code averaged over
    places; all are None when the verdict is `invalid`.
    """

    path: str | None
    verdict: Verdict
    score: float | None
    threshold: float
    p_value: float | None
    components: dict[str, float] | None
    regions: tuple[Region, ...]
    model: ModelId
    image: ImageSize | None
    milliseconds: Milliseconds
    reason: InvalidReason | None
    message: str | None
    _pixels: NDArray[np.uint8] | None = field(default=None, repr=False)
    coarse_map: NDArray[np.float32] | None = field(default=None, repr=False)
    latent: NDArray[np.float32] | None = field(default=None, repr=False)

    @cached_property
    def anomaly_map(self) -> NDArray[np.float32] | None:
        """float32 (H, W) in the picture's own pixels; the scale is the model's, never the picture's."""
        if self.coarse_map is None or self.image is None:
            return None
        return heatmap.upsample(self.coarse_map, self.image.height, self.image.width)

    @cached_property
    def picture(self) -> NDArray[np.uint8] | None:
        """uint8 (H, W, 3), RGB, as it was inspected."""
        if self._pixels is None or self.image is None:
            return None
        return images.fit_to(self._pixels, self.image.height, self.image.width)

    def record(self) -> ScoredImage:
        """Return the record that JSON and HTTP carry."""
        fields = {name: getattr(self, name) for name in ScoredImage.model_fields}
        if self.reason is not None:
            fields["reason"] = f"{self.reason}: {self.message}"
        return ScoredImage(**fields)


class Detector:
    """An opened model.

    Parameters
    ----------
    bundle : Bundle
        Verified on opening.
    settings : Settings, optional
        Limits on pictures, and the number of threads.

    Attributes
    ----------
    int8_problem : str or None
        Why the graph with 8-bit convolutions that the model has is not used on this computer.
    """

    def __init__(self, bundle: Bundle, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self.bundle = bundle
        self.model = ModelId(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)
        self.int8_problem: str | None = None
        self._graph = self._trusted_graph()

    def _trusted_graph(self) -> Graph:
        """Open the graph with 8-bit convolutions, if there is one that computes here as it did at the fit."""
        int8 = self.manifest.int8
        if int8 is not None and int8.shipped:
            try:
                graph = self._open(INT8_GRAPH)
                golden.prove_graph(self.bundle, graph.run, INT8_GOLDEN, only_last=True)
            except BundleError as error:
                self.int8_problem = error.message
            else:
                return graph
        return self._open(GRAPH)

    def _open(self, name: str) -> Graph:
        return Graph(self.bundle.path / name, self.settings.threads)

    @property
    def precision(self) -> Precision:
        """`int8` where convolutions compute with 8 bits, else `fp32`."""
        return "int8" if self.graph_path.name == INT8_GRAPH else "fp32"

    @property
    def graph_path(self) -> Path:
        """File of the graph that scores here."""
        return self._graph.path

    def fall_back(self, error: BundleError) -> None:
        """Compute with 32 bits from now on, because of this error."""
        self.int8_problem = error.message
        self._graph = self._open(GRAPH)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.bundle.manifest

    @property
    def calibration(self) -> Calibration:
        """The numbers that make a verdict."""
        return self.bundle.calibration

    def prepare(self, source: Source) -> tuple[images.Picture, NDArray[np.uint8]]:
        """Decode a picture, and bring it to the model's size: uint8 (H, W, 3)."""
        size = (self.manifest.image.height, self.manifest.image.width)
        picture = images.decode(
            source,
            max_pixels=self.settings.max_pixels,
            max_bytes=self.settings.max_bytes,
            reduce_to=size,
            background=self.manifest.image.background,
        )
        return picture, images.fit_to(picture.pixels, *size)

    def raw(self, batch: NDArray[np.uint8]) -> RawScores:
        """Score prepared pictures uint8 (N, H, W, 3) without deciding anything."""
        return self._graph.run(batch)

    def score(self, source: Source) -> Inspection:
        """Inspect one picture.

        Parameters
        ----------
        source : path, bytes of an image file, or array
            Arrays are uint8 (H, W) or (H, W, 3), RGB.

        Returns
        -------
        Inspection
            With the verdict `invalid` and a reason where the picture is at fault.
        """
        path = str(source) if isinstance(source, (str, Path)) else None
        started = perf_counter()
        try:
            picture, pixels = self.prepare(source)
        except ImageError as error:
            return self.refuse(path, error, perf_counter() - started)
        decoded = perf_counter()
        raw = self.raw(pixels[np.newaxis])
        inferred = perf_counter()
        return self._decide(path, picture, raw, decoded - started, inferred - decoded)

    def refuse(self, path: str | None, error: ImageError, seconds: float = 0.0) -> Inspection:
        """Return the verdict `invalid` for a picture that is at fault; it took `seconds` to find out."""
        return Inspection(
            path=path,
            verdict="invalid",
            score=None,
            threshold=self.calibration.threshold,
            p_value=None,
            components=None,
            regions=(),
            model=self.model,
            image=None,
            milliseconds=Milliseconds(decode=round(seconds * 1e3, 3), infer=0.0, decide=0.0),
            reason=error.reason,
            message=error.message,
        )

    def draw(self, inspection: Inspection) -> NDArray[np.uint8] | None:
        """Draw what was found over the picture, uint8 (H, W, 3), RGB; None for one that is invalid."""
        if inspection.picture is None or inspection.anomaly_map is None:
            return None
        return heatmap.overlay(
            inspection.picture,
            inspection.anomaly_map,
            limit=self.calibration.map_limit,
            ceiling=self.calibration.map_ceiling,
            regions=inspection.regions,
        )

    def reconstruct(self, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what the auto-encoder makes of prepared pictures, uint8 (N, H, W, 3)."""
        latent = self._encoder.run(None, {"image": batch})[0]
        return np.asarray(self._decoder.run(None, {"latent": latent})[0])

    @cached_property
    def _encoder(self) -> onnxruntime.InferenceSession:
        return open_session(self.bundle.path / "encoder.onnx", self.settings.threads)

    @cached_property
    def _decoder(self) -> onnxruntime.InferenceSession:
        return open_session(self.bundle.path / "decoder.onnx", self.settings.threads)

    def _decide(
        self, path: str | None, picture: images.Picture, raw: RawScores, decode: float, infer: float
    ) -> Inspection:
        started = perf_counter()
        calibration = self.calibration
        components = decision.component_scores(raw.statistics, self.manifest.columns, calibration)
        score = float(decision.fuse(components, calibration)[0])
        verdict = decision.verdict(score, calibration.threshold, calibration.review_threshold)
        size = ImageSize(width=picture.width, height=picture.height)
        regions: Sequence[Region] = ()
        if verdict != "pass":
            full = heatmap.upsample(raw.anomaly_map[0], size.height, size.width)
            regions = heatmap.regions(full, calibration.map_limit)
        return Inspection(
            path=path,
            verdict=verdict,
            score=score,
            threshold=calibration.threshold,
            p_value=decision.p_value(score, calibration.heldout_scores),
            components={name: float(values[0]) for name, values in components.items()},
            regions=tuple(regions),
            model=self.model,
            image=size,
            milliseconds=Milliseconds(
                decode=round(decode * 1e3, 3),
                infer=round(infer * 1e3, 3),
                decide=round((perf_counter() - started) * 1e3, 3),
            ),
            reason=None,
            message=None,
            _pixels=picture.pixels,
            coarse_map=raw.anomaly_map[0],
            latent=raw.latent[0],
        )
