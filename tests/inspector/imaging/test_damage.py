"""Pictures at fault are refused with the error that says why."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from inspector.errors import (
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    TruncatedImageError,
    UnknownFormatError,
)
from inspector.imaging.decode import decode
from tests.inspector.image_samples import (
    CUT,
    HEIGHT,
    RGBA,
    SOUND,
    WIDE,
    WIDTH,
    bomb_png,
    encoded,
    refused,
    scene,
    tiff,
)


def test_text_file_named_png(tmp_path: Path) -> None:
    """A text file named .png is refused by its first bytes."""
    path = tmp_path / "notes.png"
    path.write_text("not a picture\nat all\n")
    error = refused(path, UnknownFormatError)
    assert "notes.png" in error.message
    assert "not a pictur" in error.message
    assert "PNG" in error.hint


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"GIF89a" + bytes(40), "GIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIF"),
        (b"BMW parts list, all of them", "BMW parts"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "RIFF"),
    ],
)
def test_other_formats(data: bytes, fragment: str) -> None:
    """A file of another format is refused, and its format is named if it is known."""
    assert fragment in refused(data, UnknownFormatError).message


def test_empty_file(tmp_path: Path) -> None:
    """A file of 0 bytes is called empty."""
    path = tmp_path / "empty.png"
    path.touch()
    assert "0 bytes" in refused(path, EmptyImageError).message
    refused(b"", EmptyImageError)


@pytest.mark.parametrize("kind", CUT)
def test_cut_anywhere(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is cut off anywhere is refused."""
    data = CUT[kind]
    places = {*range(1, min(len(data), 200)), *range(1, len(data), 1 + len(data) // 150)}
    for place in sorted(places | set(range(max(1, len(data) - 60), len(data)))):
        with pytest.raises((TruncatedImageError, UnknownFormatError)):
            decode(data[:place])
    assert not capfd.readouterr().err


def test_cut_file_names_itself(tmp_path: Path) -> None:
    """The message about a truncated file names it, and the hint says what to do."""
    for suffix, data in ((".jpg", CUT["jpeg"]), (".png", CUT["png"])):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[: len(data) // 2])
        error = refused(path, TruncatedImageError)
        assert str(path) in error.message
        assert "copy it again" in error.hint
        assert error.reason == "truncated"


def test_jpeg_padded_with_zeros() -> None:
    """A JPEG that ends in zeros instead of data is refused."""
    data = encoded(scene(), "JPEG")
    refused(data[: len(data) // 2] + bytes(len(data)), TruncatedImageError)


def test_png_with_a_changed_byte() -> None:
    """A single changed byte in a PNG's pixels is found by its checksum."""
    data = bytearray(encoded(scene(), "PNG", compress_level=0))
    data[len(data) // 2] ^= 1
    assert "checksum" in refused(bytes(data), TruncatedImageError).message


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (tiff(WIDE[..., 0].astype(np.float32) / 65535, 1, {339: 3}), "floating point"),
        (tiff(WIDE[..., :3], 2, {284: 2}), "planes"),
        (tiff(WIDE[..., :3], 9), "unknown"),
        (encoded(scene(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12-bit"),
    ],
)
def test_variants_that_are_not_read(data: bytes, fragment: str) -> None:
    """An unsupported variant of a format is refused as such, not as damaged."""
    assert fragment in refused(data, UnknownFormatError).message


def test_bomb(tmp_path: Path) -> None:
    """A PNG of 30,000 x 30,000 is refused from its header, without memory for its pixels."""
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_png())
    decode(encoded(scene(), "PNG"))  # imports of the first picture are not counted
    tracemalloc.start()
    error = refused(path, ImageTooLargeError)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "30000 x 30000 = 900,000,000" in error.message
    assert "80,000,000" in error.message
    assert "INSPECTOR_MAX_PIXELS" in error.hint
    assert peak_bytes < 4 * path.stat().st_size + 200_000


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "lossless WEBP", "extended WEBP", "BMP", "TIFF"])
def test_pixel_limit_of_every_format(kind: str) -> None:
    """The pixel limit is checked before decoding, in every format; the limit itself is allowed."""
    options = {"lossless": True} if kind == "lossless WEBP" else {}
    data = encoded(RGBA if kind == "extended WEBP" else scene(), kind.rsplit(maxsplit=1)[-1], **options)
    assert f"{WIDTH} x {HEIGHT}" in refused(data, ImageTooLargeError, max_pixels=WIDTH * HEIGHT - 1).message
    assert decode(data, max_pixels=WIDTH * HEIGHT).width == WIDTH


def test_webp_canvas_is_not_reserved() -> None:
    """A WebP that claims the largest canvas is refused from its header."""
    data = bytearray(encoded(RGBA, "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xfe\x3f\0\xfe\x3f\0"
    assert "16383 x 16383" in refused(bytes(data), ImageTooLargeError).message


def test_pillows_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Pillow's own limit is lower, the picture is called too large."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(encoded(scene(), "TIFF"), ImageTooLargeError)
    assert decode(encoded(scene(), "PNG")).width == WIDTH


LITTLE_MEMORY = """
    import pathlib, resource, sys
    from inspector.imaging.decode import decode
    from inspector.errors import ImageTooLargeError
    decode(sys.argv[1], max_pixels=10**9)
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 50_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        decode(sys.argv[2], max_pixels=10**9)
    except ImageTooLargeError as error:
        print(error.message)
"""


def test_out_of_memory(tmp_path: Path) -> None:
    """If memory runs out, the picture is called too large, not damaged."""
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(bomb_png(64, 64))
    large.write_bytes(bomb_png(20_000, 20_000))
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LITTLE_MEMORY), str(small), str(large)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    assert run.stdout.startswith(f"{large} needs more memory to decode than there is")
    assert not run.stderr


def test_byte_limit(tmp_path: Path) -> None:
    """A file over the byte limit is refused without being read; the limit itself is allowed."""
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert "1,000,000,000,000 bytes" in refused(path, ImageTooLargeError).message
    data = encoded(scene(), "PNG")
    assert decode(data, max_bytes=len(data)).width == WIDTH
    refused(data, ImageTooLargeError, max_bytes=len(data) - 1)


@pytest.mark.parametrize(("height", "width"), [(31, 400), (400, 31), (1, 1)])
def test_too_small(height: int, width: int) -> None:
    """A side under 32 pixels is refused, 32 is allowed, for files and arrays alike."""
    small = np.zeros((height, width, 3), np.uint8)
    for source in (small, encoded(small, "PNG"), encoded(small, "WEBP")):
        assert f"{width} x {height}" in refused(source, ImageTooSmallError).message
    assert decode(np.zeros((32, 32), np.uint8)).height == 32


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
    st.sampled_from([0.02, 0.2, 1.0]),
)
def test_random_damage(data: bytes, flips: list[tuple[float, int]], cut: float, reach: float) -> None:
    """Changed and cut bytes give a picture or an `ImageError`, and no warning."""
    changed = bytearray(data)
    for place, value in flips:
        changed[int(place * reach * (len(changed) - 1))] = value
    changed = changed[: 1 + int(cut * len(changed))] if cut < 0.5 else changed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ImageError):
            picture = decode(bytes(changed), max_pixels=4_000_000, reduce_to=(32, 32))
            assert picture.pixels.shape[2] == 3


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([data[:12] for data in SOUND]), st.binary(max_size=300))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    """Random bytes behind a known signature never raise anything but an `ImageError`."""
    with pytest.raises(ImageError):
        decode(start + rest)


def test_warnings_of_other_threads() -> None:
    """Decoding in many threads leaves the process's warning filters as they were."""
    before = list(warnings.filters)
    sources = [CUT["tiff"], CUT["png"], CUT["jpeg"], CUT["webp"]] * 8
    with ThreadPoolExecutor(4) as pool:
        widths = list(pool.map(lambda data: decode(data).width, sources))
    assert widths == [WIDTH] * len(sources)
    assert list(warnings.filters) == before
