"""Lists test folders in the MVTec layout: labelled pictures and the masks of their defects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DatasetError, ImageError, NoImagesError
from inspector.imaging.decode import decode
from inspector.imaging.files import is_set_aside, list_images, printable
from inspector.settings import Settings

GOOD = "good"


@dataclass(frozen=True)
class LabelledPicture:
    """A picture of a test folder: its file, the folder's name as kind, and its mask file or None."""

    path: Path
    kind: str
    mask: Path | None


def labelled_pictures(test_dir: Path) -> list[LabelledPicture]:
    """List a test folder in the MVTec layout, good pictures first.

    Parameters
    ----------
    test_dir : Path
        Contains `good/`; every other folder is a kind of defect.  The mask of `KIND/NAME.png` is
        `TEST_DIR/../ground_truth/KIND/NAME_mask.png`.

    Returns
    -------
    list of LabelledPicture

    Raises
    ------
    DatasetError
        The folder does not exist, has no `good/`, or has no picture in `good/`.
    """
    if not test_dir.is_dir():
        list_images(test_dir)  # raises the error that fits
    shown = printable(test_dir)
    if not (test_dir / GOOD).is_dir():
        raise DatasetError(f"{shown} has no folder {GOOD}/", hint=_layout_hint(test_dir))
    masks = test_dir.resolve().parent / "ground_truth"
    folders = sorted(entry for entry in test_dir.iterdir() if entry.is_dir() and not is_set_aside(entry.name))
    folders.sort(key=lambda folder: folder.name != GOOD)
    found = [
        LabelledPicture(path, folder.name, _mask_of(path.relative_to(test_dir), masks))
        for folder in folders
        for path in list_images(folder)
    ]
    if not any(picture.kind == GOOD for picture in found):
        raise NoImagesError(
            f"{printable(test_dir / GOOD)} holds no picture",
            hint="put good pictures there that the fit did not use",
        )
    return found


def _layout_hint(test_dir: Path) -> str:
    if (test_dir / "test" / GOOD).is_dir():
        return f"did you mean {printable(test_dir / 'test')}?"
    return f"put good pictures into {GOOD}/, and each kind of defect into a folder of its own beside it"


def _mask_of(relative: Path, masks: Path) -> Path | None:
    mask = masks / relative.with_name(f"{relative.stem}_mask.png")
    return mask if relative.parts[0] != GOOD and mask.is_file() else None


def read_mask(path: Path, shape: tuple[int, ...], settings: Settings | None = None) -> NDArray[np.bool_]:
    """Read a mask: True where it is neither black nor transparent.

    Parameters
    ----------
    path : Path
        An image file.
    shape : (height, width)
        Size of the picture that the mask belongs to.
    settings : Settings, optional
        The limits on pictures; defaults without it.

    Returns
    -------
    bool array (height, width)

    Raises
    ------
    DatasetError
        The mask cannot be read, or has another size.
    """
    limits = settings or Settings()
    try:
        pixels = decode(
            path, max_pixels=limits.max_pixels, max_bytes=limits.max_bytes, background=(0, 0, 0)
        ).pixels
    except ImageError as exc:
        raise DatasetError(
            f"mask {exc.message}", hint=exc.hint or "replace the mask, or take it out of ground_truth"
        ) from exc
    if pixels.shape[:2] != shape:
        raise DatasetError(
            f"mask {printable(path)} has {pixels.shape[1]} x {pixels.shape[0]} pixels, "
            f"its picture {shape[1]} x {shape[0]}",
            hint="a mask needs the size of its picture, after EXIF rotation",
        )
    return np.asarray(pixels.any(axis=2))
