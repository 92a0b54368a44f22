"""The auto-encoder in a bundle: pictures become codes, and codes become pictures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import Bundle
from inspector.bundle.records import ModelId
from inspector.bundle.store import Store
from inspector.errors import BundleError
from inspector.imaging import images
from inspector.scoring.detector import Source, open_session
from inspector.settings import Settings

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
_HINT = "fit the model again, or take it from its source again"

Session = Any  # of onnxruntime, whose door is `inspector.scoring.detector`
Pixels = NDArray[np.uint8]
Code = NDArray[np.float32]


class AutoEncoder:
    """Encoder and decoder of a model; all shapes are read from their graphs.

    Both take one picture at a time, so that what a code becomes depends on nothing beside it.

    Parameters
    ----------
    bundle : Bundle
        Verified on opening.
    settings : Settings, optional
        Limits on pictures, and the number of threads.
    """

    def __init__(self, bundle: Bundle, settings: Settings | None = None) -> None:
        self.bundle = bundle
        self.settings = settings or Settings.from_environment()
        self.model = ModelId(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its pictures, in pixels."""
        return self.bundle.manifest.image.height, self.bundle.manifest.image.width

    @cached_property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one code: (d,), or (d, h, w) where each place of the picture has a code of its own."""
        sides = self._decoder.get_inputs()[0].shape[1:]
        if sides and all(isinstance(side, int) for side in sides):
            return tuple(sides)
        return self.encode(np.zeros((*self.size, 3), np.uint8)).shape  # sides that the graph leaves open

    def prepare(self, source: Source) -> Pixels:
        """Decode a picture, and bring it to the model's size: uint8 (H, W, 3)."""
        picture = images.decode(
            source,
            max_pixels=self.settings.max_pixels,
            max_bytes=self.settings.max_bytes,
            reduce_to=self.size,
            background=self.bundle.manifest.image.background,
        )
        return images.fit_to(picture.pixels, *self.size)

    def encode(self, pixels: Pixels) -> Code:
        """Return the code of a prepared picture uint8 (H, W, 3), float32 of `latent_shape`."""
        code = _run(self._encoder, ENCODER, pixels)
        return np.asarray(code, np.float32)

    def decode(self, code: Code) -> Pixels:
        """Return the picture of a code, uint8 (H, W, 3).

        Raises
        ------
        BundleError
            The decoder does not take the code, or makes something that is no picture of the model's size.
        """
        pixels = _run(self._decoder, DECODER, code)
        if pixels.shape != (*self.size, 3) or pixels.dtype != np.uint8:
            raise BundleError(
                f"{DECODER} makes {pixels.dtype} of shape {pixels.shape}; "
                f"pictures of this model are uint8 of shape {(*self.size, 3)}",
                hint=_HINT,
            )
        return pixels

    @cached_property
    def _encoder(self) -> Session:
        return open_session(self.bundle.path / ENCODER, self.settings.threads)

    @cached_property
    def _decoder(self) -> Session:
        return open_session(self.bundle.path / DECODER, self.settings.threads)


def open_autoencoder(reference: str | Path | None = None, *, threads: int | None = None) -> AutoEncoder:
    """Open the auto-encoder of a model; loads neither torch nor scikit-learn.

    Parameters
    ----------
    reference : str or Path, optional
        `NAME`, `NAME@VERSION` or the path of a bundle; the store's current model without it.
    threads : int, optional
        Threads of ONNX Runtime; 0 means one for each core.

    Raises
    ------
    StoreError
        No such model.
    BundleError
        The model on disk cannot be trusted.
    """
    settings = Settings.from_environment()
    if threads is not None:
        settings = settings.model_copy(update={"threads": threads})
    return AutoEncoder(Bundle.open(Store(settings.store).resolve(reference)), settings)


def _run(session: Session, name: str, value: NDArray[Any]) -> NDArray[Any]:
    """Run a graph of one input on one item."""
    try:
        outputs = session.run(None, {session.get_inputs()[0].name: value[np.newaxis]})
    except Exception as exc:  # onnxruntime raises classes of its own without a common root
        raise BundleError(
            f"{name} cannot be run on {value.dtype} of shape {value.shape}: {str(exc).splitlines()[0]}",
            hint=_HINT,
        ) from exc
    return np.asarray(outputs[0][0])
