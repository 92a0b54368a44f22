"""The auto-encoder of a model: encodes pictures to latents and decodes latents to pictures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.bundle.folder import DECODER, ENCODER, Bundle
from inspector.bundle.store import Store
from inspector.errors import BundleError
from inspector.imaging.source import Source
from inspector.scoring.preparation import prepare
from inspector.scoring.runtime import NetworkSession
from inspector.settings import Settings

Pixels = NDArray[np.uint8]
Latent = NDArray[np.float32]


class AutoEncoder:
    """Encoder and decoder of a model, each opened when it is first needed.

    Shapes are read from the graphs.

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
        self.model = bundle.model

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's pictures, in pixels."""
        return self.bundle.manifest.image.height, self.bundle.manifest.image.width

    @cached_property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent: (d,), or (d, h, w) if the latent is spatial."""
        shape = self._decoder.input_shape
        sides = tuple(side for side in shape if isinstance(side, int))
        if sides and len(sides) == len(shape):
            return sides
        return self.encode(np.zeros((*self.size, 3), np.uint8)).shape  # the graph leaves sides open

    def prepare(self, source: Source) -> Pixels:
        """Decode a picture and bring it to the model's size: uint8 (H, W, 3)."""
        return prepare(source, self.bundle.manifest.image, self.settings)[1]

    def encode(self, pixels: Pixels) -> Latent:
        """Return the latent of a prepared picture uint8 (H, W, 3): float32 of `latent_shape`."""
        return np.asarray(self._encoder.run(pixels), np.float32)

    def decode(self, latent: Latent) -> Pixels:
        """Return the picture of a latent, uint8 (H, W, 3).

        Raises
        ------
        BundleError
            The decoder does not accept the latent, or its output is not a picture of the model's size.
        """
        pixels = self._decoder.run(latent)
        if pixels.shape != (*self.size, 3) or pixels.dtype != np.uint8:
            raise BundleError(
                f"{self._decoder.path.name} makes {pixels.dtype} of shape {pixels.shape}; "
                f"pictures of this model are uint8 of shape {(*self.size, 3)}",
                hint="fit the model again, or copy it again from its source",
            )
        return pixels

    def reconstruct(self, batch: Pixels) -> Pixels:
        """Encode and decode prepared pictures uint8 (N, H, W, 3)."""
        return np.stack([self.decode(self.encode(pixels)) for pixels in batch])

    @cached_property
    def _encoder(self) -> NetworkSession:
        return NetworkSession(self.bundle.path / ENCODER, self.settings.threads)

    @cached_property
    def _decoder(self) -> NetworkSession:
        return NetworkSession(self.bundle.path / DECODER, self.settings.threads)


def open_autoencoder(reference: str | Path | None = None, *, threads: int | None = None) -> AutoEncoder:
    """Open the auto-encoder of a model; imports neither torch nor scikit-learn.

    Parameters
    ----------
    reference : str or Path, optional
        `NAME`, `NAME@VERSION` or the path of a bundle; default: the store's current model.
    threads : int, optional
        Threads of ONNX Runtime; 0 means one for each core.

    Raises
    ------
    StoreError
        No such model.
    BundleError
        The model on disk is damaged or incompatible.
    """
    settings = Settings.from_environment()
    if threads is not None:
        settings = settings.model_copy(update={"threads": threads})
    return AutoEncoder(Bundle.open(Store(settings.store).resolve(reference)), settings)
