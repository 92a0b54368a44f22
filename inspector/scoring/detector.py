"""Opens a model, scores pictures with it, decides on verdicts, and draws the results."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.bundle import golden
from inspector.bundle.folder import GOLDEN, GRAPH, INT8_GOLDEN, INT8_GRAPH, Bundle
from inspector.bundle.records import Calibration, ImageContract, Manifest
from inspector.errors import BundleError, GoldenMismatchError, ImageError
from inspector.imaging.coverage import covered
from inspector.imaging.decode import Picture
from inspector.imaging.one_colour import is_of_one_colour
from inspector.imaging.source import Source, check_file
from inspector.scoring import decision, heatmap
from inspector.scoring.familiarity import REMARK, Familiarity
from inspector.scoring.inspection import Inspection
from inspector.scoring.preparation import prepare, remarks
from inspector.scoring.records import ImageSize, Milliseconds, PixelSize
from inspector.scoring.runtime import DetectorSession
from inspector.settings import Settings
from inspector.types import RawScores

if TYPE_CHECKING:
    from inspector.scoring.autoencoder import AutoEncoder

Precision = Literal["fp32", "int8"]


class Detector:
    """Scores pictures with an opened model, and draws the results.

    Parameters
    ----------
    bundle : Bundle
        Its files were checked when it was read, and are not checked again.
    settings : Settings, optional
        Limits on pictures, and the number of threads.

    Attributes
    ----------
    int8_problem : str or None
        The error that keeps the detector from using the 8-bit graph; None if the graph is used or missing.
    """

    def __init__(self, bundle: Bundle, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self.bundle = bundle
        self.model = bundle.model
        self.int8_problem: str | None = None
        self._session = self._verified_session()

    def __repr__(self) -> str:
        size = self.manifest.image
        return (
            f"<Detector {self.model.reference}: {size.width} × {size.height} px, "
            f"fails over {self.calibration.threshold:.2f}, {self.precision}>"
        )

    def with_calibration(self, calibration: Calibration) -> Detector:
        """Return a detector that shares the graphs of this one, and decides with another calibration."""
        other = copy.copy(self)
        other.bundle = replace(self.bundle, calibration=calibration)
        return other

    @property
    def precision(self) -> Precision:
        """`int8` if convolutions compute with 8 bits, else `fp32`."""
        return "int8" if self.graph_path.name == INT8_GRAPH else "fp32"

    @property
    def graph_path(self) -> Path:
        """File of the graph in use."""
        return self._session.path

    def verify(self) -> None:
        """Check that this machine reproduces the scores of the golden images.

        If the 8-bit graph does not reproduce them, the 32-bit graph takes over and is verified instead.

        Raises
        ------
        GoldenMismatchError
            A number differs by more than the tolerance; the message names the picture and both values.
        BundleError
            The golden images are missing or cannot be read.
        """
        if self.precision == "int8":
            try:
                golden.verify_graph(self.bundle, self.raw, INT8_GOLDEN)
            except GoldenMismatchError as error:
                self.fall_back(error)
            else:
                return
        golden.verify_graph(self.bundle, self.raw, GOLDEN)

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the model's components, in the order of the manifest's columns."""
        return tuple(dict.fromkeys(column.component for column in self.manifest.columns))

    @property
    def calibration(self) -> Calibration:
        """The numbers that turn raw scores into a verdict."""
        return self.bundle.calibration

    @cached_property
    def autoencoder(self) -> AutoEncoder:
        """The model's encoder and decoder."""
        from inspector.scoring.autoencoder import AutoEncoder

        return AutoEncoder(self.bundle, self.settings)

    @cached_property
    def familiarity(self) -> Familiarity:
        """Tells which pictures look unlike every good picture that the model knows."""
        return Familiarity.of(self.bundle)

    def fall_back(self, error: BundleError) -> None:
        """Switch to the 32-bit graph because the 8-bit graph gave this error."""
        self.int8_problem = error.message
        self._session = self._open(GRAPH)

    def prepare(self, source: Source) -> tuple[Picture, NDArray[np.uint8]]:
        """Return a decoded picture, and its pixels in the model's size; see `preparation.prepare`."""
        return prepare(source, self.manifest.image, self.settings)

    def raw(self, batch: NDArray[np.uint8]) -> RawScores:
        """Score prepared pictures uint8 (N, H, W, 3); no threshold is applied."""
        return self._session.run(batch)

    def reconstruct(self, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the auto-encoder's reconstructions of prepared pictures, uint8 (N, H, W, 3)."""
        return self.autoencoder.reconstruct(batch)

    def score(self, source: Source, name: str | PathLike[str] | None = None) -> Inspection:
        """Inspect one picture.

        Parameters
        ----------
        source : path, bytes of an image file, open file, array, or Pillow image
            Arrays are uint8, uint16 or bool, (H, W) or (H, W, 3) RGB.  `cv2.imread` gives BGR: turn it around
            first.
        name : str or path, optional
            The `path` of the result; by default the source, if that is a path.

        Returns
        -------
        Inspection
            If the picture is at fault, the verdict is `invalid` and `reason` says why.

        Raises
        ------
        FileNotFoundError
            The path leads to no file.
        TypeError, ValueError
            The source is no picture, such as a list, an array of floating point numbers, or a folder.
        """
        if name is not None and not isinstance(name, str | PathLike):
            raise TypeError(f"the name of a picture is a text or a path, not {type(name).__name__}")
        if isinstance(source, str | PathLike):
            check_file(source)
            name = source if name is None else name
        return self._inspect(source, None if name is None else str(name))

    def score_file(self, path: Path, name: str | None = None) -> Inspection:
        """Inspect a file that was listed before; if it has gone, the verdict is `invalid` as well."""
        return self._inspect(path, str(path) if name is None else name)

    def refuse(self, name: str | None, error: ImageError, seconds: float = 0.0) -> Inspection:
        """Return the verdict `invalid` for a picture at fault, which was decoded for `seconds`."""
        return Inspection(
            path=name,
            verdict="invalid",
            score=None,
            threshold=self.calibration.threshold,
            p_value=None,
            components=None,
            regions=(),
            model=self.model,
            image=None,
            milliseconds=_milliseconds(seconds, 0.0, 0.0),
            reason=error.reason,
            message=error.message,
            _columns=self.components,
            hint=error.hint,
        )

    def draw(
        self, inspection: Inspection, pixels: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8] | None:
        """Draw the heatmap over the picture and outline the regions that the inspection lists.

        Parameters
        ----------
        inspection : Inspection
        pixels : uint8 (h, w, 3), optional
            The same picture in the size to draw; default: `inspection.picture`.

        Returns
        -------
        uint8 (h, w, 3) or None
            RGB; None if the inspection is invalid, or if there are no pixels to draw on.
        """
        return inspection.draw(pixels)

    def _inspect(self, source: Source, name: str | None) -> Inspection:
        started = perf_counter()
        try:
            picture, pixels = self.prepare(source)
        except ImageError as error:
            return self.refuse(name, error, perf_counter() - started)
        decoded = perf_counter()
        raw = self.raw(pixels[np.newaxis])
        inferred = perf_counter()
        return self._decide(name, picture, raw, decoded - started, inferred - decoded)

    def _decide(
        self, name: str | None, picture: Picture, raw: RawScores, decode: float, infer: float
    ) -> Inspection:
        """Turn raw scores into an inspection; decoding took `decode` seconds, the graph `infer` seconds."""
        started = perf_counter()
        calibration = self.calibration
        components = decision.component_scores(raw.statistics, self.manifest.columns, calibration)
        score = float(decision.fuse(components, calibration)[0])
        verdict = decision.verdict(score, calibration.threshold, calibration.review_threshold)
        coarse_map, latent = raw.anomaly_map[0], raw.latent[0]
        unfamiliar = is_of_one_colour(picture.pixels) or self.familiarity.is_unfamiliar(
            latent, coarse_map, calibration.map_limit, failed=verdict == "fail"
        )
        return Inspection(
            path=name,
            verdict=verdict,
            score=score,
            threshold=calibration.threshold,
            p_value=decision.p_value(score, calibration.heldout_scores),
            components={component: float(values[0]) for component, values in components.items()},
            regions=heatmap.listed_regions(
                verdict, coarse_map, (picture.height, picture.width), calibration.map_limit
            ),
            model=self.model,
            image=_described(picture, self.manifest.image),
            milliseconds=_milliseconds(decode, infer, perf_counter() - started),
            reason=None,
            message=None,
            unfamiliar=unfamiliar,
            remarks=(*([REMARK] if unfamiliar else ()), *remarks(picture, self.manifest.image)),
            _pixels=picture.pixels,
            coarse_map=coarse_map,
            latent=latent,
            map_scale=(calibration.map_limit, calibration.map_ceiling),
        )

    def _verified_session(self) -> DetectorSession:
        """Open the 8-bit graph if the model has one that reproduces a golden image, else the 32-bit one."""
        int8 = self.manifest.int8
        if int8 is not None and int8.shipped:
            try:
                session = self._open(INT8_GRAPH)
                golden.verify_graph(self.bundle, session.run, INT8_GOLDEN, only_last=True)
            except BundleError as error:
                self.int8_problem = error.message
            else:
                return session
        return self._open(GRAPH)

    def _open(self, name: str) -> DetectorSession:
        return DetectorSession(self.bundle.path / name, self.settings.threads)


def _described(picture: Picture, contract: ImageContract) -> ImageSize:
    """Describe a picture's size and brightness scale."""
    across, down = covered((picture.width, picture.height), (contract.width, contract.height))
    return ImageSize(
        width=picture.width,
        height=picture.height,
        bits=picture.bits,
        full_scale=255 if picture.depth is None else picture.depth.full_scale,
        clipped_pixels=picture.clipped_pixels,
        model_pixel=PixelSize(width=round(across, 3), height=round(down, 3)),
    )


def _milliseconds(decode: float, infer: float, decide: float) -> Milliseconds:
    """Turn seconds into rounded milliseconds."""
    return Milliseconds(
        decode=round(decode * 1e3, 3), infer=round(infer * 1e3, 3), decide=round(decide * 1e3, 3)
    )


def verify_bundle(bundle: Bundle) -> None:
    """Check that this machine reproduces the scores of a bundle's golden images; see `Detector.verify`."""
    Detector(bundle).verify()
