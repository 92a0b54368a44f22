"""A program hands in pictures in many forms; its mistakes are refused in one helpful line."""

from __future__ import annotations

import base64
import io
import warnings
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from inspector.errors import TruncatedImageError
from inspector.imaging.decode import decode
from inspector.imaging.source import check_file
from tests.inspector.image_samples import GREY, RGBA, WIDE, encoded, scene

MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "floats of 0 to 1": (scene() / 255, TypeError, "numpy.rint(picture * 255).astype(numpy.uint8)"),
    "floats of 0 to 255": (scene().astype(np.float32), TypeError, "numpy.rint(picture).astype(numpy.uint8)"),
    "floats beyond": (scene() * 9.0, TypeError, "the sensor's full scale"),
    "not a number": (scene() * np.nan, TypeError, "float64"),
    "integers": (scene().astype(np.int64), TypeError, "numpy.rint(picture).astype(numpy.uint8)"),
    "objects": (scene().astype(object), TypeError, "object"),
    "complex numbers": (scene() * 1j, TypeError, "complex128"),
    "channels first": (scene().transpose(2, 0, 1), ValueError, "numpy.moveaxis(picture, 0, -1)"),
    "a batch": (scene()[np.newaxis], ValueError, "one after the other"),
    "two channels": (scene()[..., :2], ValueError, "(48, 72, 2)"),
    "one row": (np.zeros(64, np.uint8), ValueError, "(64,)"),
    "an array of text": (np.array("part"), ValueError, "()"),
    "an empty slice": (scene()[:0], ValueError, "no pixels"),
    "nothing": (None, TypeError, "cv2.imread returns None"),
    "a number": (3, TypeError, "not an int"),
    "an array of the standard library": (array("B", [1, 2]), TypeError, "not an array.array; score"),
    "a list of pictures": ([scene(), scene()], TypeError, "one after the other"),
    "a list of numbers": (GREY.tolist(), TypeError, "numpy.asarray(rows, numpy.uint8)"),
    "a tuple of paths": (("part.png",), TypeError, "tuple"),
    "a generator": ((path for path in ["part.png"]), TypeError, "generator"),
    "a dictionary": ({"image": scene()}, TypeError, "not a dict;"),
    "a module": (np, TypeError, "module"),
    "a class": (np.ndarray, TypeError, "type"),
    "a view of pixels": (memoryview(scene().data), TypeError, "numpy.asarray(view)"),
    "an open text": (io.StringIO("part"), TypeError, "mode 'rb'"),
    "a Pillow image of floats": (Image.new("F", (64, 64)), TypeError, "full scale"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    """A mistake of the program raises the error that Python uses for it; its line says what to do."""
    source, error, fragment = MISTAKES[case]
    with pytest.raises(error) as caught:
        decode(source)
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


PATHS: dict[str, tuple[str, type[Exception], str]] = {
    "mistyped": ("prat.png", FileNotFoundError, "the working directory is"),
    "mistyped folder": ("/no/such/part.png", FileNotFoundError, "check its spelling"),
    "below a file": ("part.png/part.png", FileNotFoundError, "part.png/part.png"),
    "empty": ("", FileNotFoundError, "''"),
    "address": ("https://camera/still.jpg", FileNotFoundError, "from an address"),
    "encoded": (base64.b64encode(bytes(900)).decode(), FileNotFoundError, "base64.b64decode(text)"),
    "broken link": ("link.png", FileNotFoundError, "link.png"),
    "folder": ("parts", ValueError, "one after the other"),
    "zero byte": ("part\0.png", ValueError, "null byte"),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that leads to no file is a mistake; the line is short whatever was handed in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.png").touch()
    (tmp_path / "parts").mkdir()
    (tmp_path / "link.png").symlink_to("gone.png")
    path, error, fragment = PATHS[case]
    with pytest.raises(error) as caught:
        check_file(path)
    assert fragment in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_files_that_are_there(tmp_path: Path) -> None:
    """A file is left for the decoder to judge, also an empty one."""
    (tmp_path / "part.png").touch()
    check_file(tmp_path / "part.png")
    check_file(str(tmp_path / "part.png"))
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "prat.png")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_and_open_files(kind: Callable[[bytes], Any], tmp_path: Path) -> None:
    """The bytes of a file and an open file give the pixels of the file."""
    data = encoded(scene(), "PNG")
    assert np.array_equal(decode(kind(data)).pixels, scene())
    (tmp_path / "part.png").write_bytes(data)
    with (tmp_path / "part.png").open("rb") as file:
        assert np.array_equal(decode(file).pixels, scene())
        with pytest.raises(ValueError, match=r"seek\(0\)"):
            decode(file)


def test_other_arrays() -> None:
    """An object that numpy takes for an array, such as a tensor, counts as one, with its mistakes."""

    class Tensor:
        def __init__(self, values: npt.NDArray[Any]) -> None:
            self._values = values

        def __array__(self, *_: Any, **__: Any) -> npt.NDArray[Any]:
            return self._values

    assert np.array_equal(decode(Tensor(scene())).pixels, scene())
    with pytest.raises(TypeError, match="float32"):
        decode(Tensor(scene().astype(np.float32)))


# --- Pillow images --------------------------------------------------------------------------

DEEP = Image.fromarray(np.ascontiguousarray(WIDE[..., 0]))
FILES = {
    "1": (Image.fromarray(scene()).convert("1"), "PNG"),
    "L": (Image.fromarray(GREY), "PNG"),
    "LA": (Image.fromarray(RGBA).convert("LA"), "PNG"),
    "P": (Image.fromarray(scene()).convert("P"), "PNG"),
    "RGB": (Image.fromarray(scene()), "PNG"),
    "RGBA": (Image.fromarray(RGBA), "PNG"),
    "CMYK": (Image.fromarray(scene()).convert("CMYK"), "TIFF"),
    "YCbCr": (Image.fromarray(scene()).convert("YCbCr"), "TIFF"),
    "LAB": (Image.fromarray(scene()).convert("LAB"), "TIFF"),
    "I;16": (DEEP, "PNG"),
    "I": (DEEP.convert("I"), "TIFF"),
}


@pytest.mark.parametrize("mode", FILES)
def test_pillow_images(mode: str) -> None:
    """A Pillow image of any mode gives the pixels of its file, opened from it or made in memory."""
    image, kind = FILES[mode]
    data = encoded(image, kind)
    expected = decode(data)
    for same in (image, Image.open(io.BytesIO(data))):
        picture = decode(same)
        assert np.array_equal(picture.pixels, expected.pixels)
        assert (picture.width, picture.height) == same.size
    assert image.mode == mode  # the caller's image stays as it is


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pillow_images_are_turned_upright_once(kind: str, orientation: int) -> None:
    """The EXIF orientation is applied, unless the program has done so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(scene()), kind, exif=exif)
    expected = decode(data)
    opened, copied, turned = (Image.open(io.BytesIO(data)) for _ in range(3))
    for image in (opened, copied.convert("RGB"), ImageOps.exif_transpose(turned)):
        picture = decode(image)
        assert np.array_equal(picture.pixels, expected.pixels)
        assert (picture.width, picture.height) == (expected.width, expected.height)


def test_pillow_images_at_fault() -> None:
    """An opened file that ends too early is a picture at fault; a closed one is a mistake of the program."""
    data = encoded(scene(), "PNG")
    with pytest.raises(TruncatedImageError, match="ends too early"):
        decode(Image.open(io.BytesIO(data[: len(data) // 2])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        closed = Image.open(io.BytesIO(data))
        closed.close()
    with pytest.raises(ValueError, match="closed"):
        decode(closed)
