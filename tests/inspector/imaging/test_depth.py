"""The full scale of pictures with more than 8 bits: from the file, from a folder, else 65535."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inspector.errors import UnknownFormatError
from inspector.imaging.decode import decode
from inspector.imaging.depth import DEEP, Depth, deciding_alone, learn
from tests.inspector.image_samples import GREY, WIDE, chunk, encoded, png16, refused, scene, tiff

U16 = npt.NDArray[np.uint16]


def camera(bits: int, shift: int = 0, dim: float = 1.0) -> U16:
    """Return a grey picture as a camera of so many bits takes it, its samples shifted to the left."""
    full = 2**bits - 1
    rows, columns = np.mgrid[0:48, 0:72]
    samples = np.rint((rows * 72 + columns) / (48 * 72 - 1) * full * dim).astype(np.uint16)
    return np.asarray(samples << shift, np.uint16)


def sbit(*bits: int) -> bytes:
    """Return the chunk that states the number of significant bits of each channel."""
    return chunk(b"sBIT", bytes(bits))


def depth_of(source: Any, **options: Any) -> Depth:
    """Decode a picture of more than 8 bits, and return its depth."""
    found = decode(source, **options).depth
    assert found is not None
    return found


def eight(samples: U16, full: int) -> npt.NDArray[np.float64]:
    """Scale samples to 255 in floating point, as a second implementation."""
    return np.asarray(np.rint(np.minimum(samples.astype(np.float64), full) * 255 / full))


# --- one picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [255, 1023, 4095, 16383, 65535, 1000])
@pytest.mark.parametrize("form", ["array", "png", "tiff"])
def test_the_models_full_scale_is_white(form: str, full: int) -> None:
    """Without a statement in the file, samples are scaled by the model's full scale, and clipped above it."""
    samples = camera(12)
    source: Any = {"array": samples, "png": png16(samples[..., None]), "tiff": tiff(samples, 1)}[form]
    picture = decode(source, full_scale=full)
    np.testing.assert_array_equal(picture.pixels[..., 1], eight(samples, full))
    assert picture.clipped_pixels == np.count_nonzero(samples > full)
    assert (picture.bits, depth_of(source, full_scale=full).full_scale) == (16, full)


@pytest.mark.parametrize("form", ["array", "png", "tiff", "big-endian tiff"])
def test_colour_keeps_its_low_bits(form: str) -> None:
    """Colour of 12 bits in 16 keeps all of its levels; a pixel is clipped once, whatever its channels."""
    samples = np.asarray(WIDE[..., :3] >> 4, np.uint16)
    source: Any = {
        "array": samples,
        "png": png16(samples),
        "tiff": tiff(samples, 2),
        "big-endian tiff": tiff(samples, 2, order=">"),
    }[form]
    np.testing.assert_array_equal(decode(source, full_scale=4095).pixels, eight(samples, 4095))
    assert depth_of(source, full_scale=1023).clipped_pixels == np.count_nonzero((samples > 1023).any(axis=2))


@pytest.mark.parametrize("full", [4095, 65535])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_an_opened_pillow_image_keeps_its_low_bits(form: str, full: int) -> None:
    """Pillow reduces 16-bit colour to 8 bits as it loads it; until then, its file is decoded instead."""
    samples = np.asarray(WIDE[..., :3] >> 4, np.uint16)
    image = Image.open(io.BytesIO({"png": png16(samples), "tiff": tiff(samples, 2)}[form]))
    for _ in range(2):  # decoding leaves the image as it was
        np.testing.assert_array_equal(decode(image, full_scale=full).pixels, eight(samples, full))
    assert decode(image).bits == 16
    image.load()
    assert decode(image).bits == 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colour_is_upright(orientation: int) -> None:
    """A colour TIFF of 16 bits is turned as one of 8 bits is, and has its own size."""
    deep = decode(tiff(WIDE[..., :3], 2, {274: orientation}))
    shallow = decode(tiff(np.asarray(WIDE[..., :3] >> 8, np.uint8), 2, {274: orientation}))
    assert (deep.width, deep.height) == (shallow.width, shallow.height)
    assert np.abs(deep.pixels.astype(int) - shallow.pixels).max() <= 1


@pytest.mark.parametrize("opaque", [4095, 65535])
def test_alpha_beside_twelve_bits(opaque: int) -> None:
    """Opaque may be the full scale of the colours or of 16 bits, and alpha is no brightness."""
    colours = np.asarray(WIDE[..., :3] >> 4, np.uint16)
    rgba = np.dstack([colours, np.full(colours.shape[:2], opaque, np.uint16)])
    rgba[:9, :, 3] = 0
    for source in (rgba, png16(rgba), tiff(rgba, 2, {338: 2})):
        picture = decode(source, full_scale=4095)
        np.testing.assert_allclose(picture.pixels[9:], eight(colours[9:], 4095), atol=1)
        assert (picture.pixels[:9] == 255).all()
        assert picture.clipped_pixels == 0


@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize("colour", [False, True])
def test_a_tiff_states_its_full_scale(tag: int, colour: bool) -> None:
    """MaxSampleValue and SMaxSampleValue win over the model's full scale."""
    samples = np.asarray(WIDE[..., :3] >> 6, np.uint16) if colour else camera(10)
    tiff_file = tiff(samples, 2 if colour else 1, {tag: [1023] * (3 if colour else 1)})
    picture = decode(tiff_file, full_scale=4095)
    np.testing.assert_array_equal(picture.pixels[..., 0], eight(samples.reshape(48, 72, -1)[..., 0], 1023))


def test_colour_that_opencv_does_not_read() -> None:
    """A colour TIFF with a tag that OpenCV refuses is scaled all the same, from its high bytes."""
    samples = np.asarray(WIDE[..., :3] >> 4, np.uint16)
    picture = decode(tiff(samples, 2, {341: 4095}), full_scale=65535)
    assert np.abs(picture.pixels - samples / 4095 * 255).max() <= 17
    assert depth_of(tiff(samples, 2, {341: 1023}), full_scale=4095).full_scale == 4095


@pytest.mark.parametrize(
    "data",
    [
        png16(WIDE[..., :3], chunk(b"iCCP", b"no profile\0\0\x78\x9c")),
        tiff(WIDE[..., :3], 2, {341: 4095}),
        tiff(WIDE[..., :3], 2, {65000: 1}),
    ],
)
def test_nothing_is_written_to_stderr(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Libraries that decode odd metadata of deep colour stay silent, also below Python."""
    picture = decode(data)
    assert np.abs(picture.pixels - WIDE[..., :3] / 257).max() <= 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stated", [900, 3987, 255, 1])
def test_a_tiff_that_states_no_full_scale(stated: int) -> None:
    """The greatest value of the picture, or a value below it, is no full scale: light would be hidden."""
    found = depth_of(tiff(camera(10, dim=900 / 1023), 1, {281: stated}), full_scale=4095)
    assert found.full_scale == 4095


def test_white_is_zero_with_twelve_bits() -> None:
    """A TIFF in which 0 is white is turned round at the full scale."""
    samples = camera(12)
    pixels = decode(tiff(np.asarray(4095 - samples, np.uint16), 0), full_scale=4095).pixels
    np.testing.assert_array_equal(pixels[..., 0], eight(samples, 4095))


@pytest.mark.parametrize(
    ("samples", "bits", "full"),
    [
        (camera(12), 12, 4095),  # as programs of cameras write it
        (camera(10), 10, 1023),
        (camera(12, shift=4), 12, 65535),  # as the specification asks
        (camera(12, dim=0.1), 12, 4095),
        (camera(12, shift=4, dim=0.05), 12, 16383),  # dark: cannot be told, so the model decides
        (camera(16), 16, 65535),
        (camera(16, dim=0.1), 16, 65535),
        (camera(12), 0, 16383),  # nonsense
    ],
)
def test_a_png_states_its_significant_bits(samples: U16, bits: int, full: int) -> None:
    """SBIT counts if the samples use the low bits; shifted to the left they use the whole range."""
    found = depth_of(png16(samples[..., None], sbit(bits)), full_scale=16383)
    assert found.full_scale == full
    rgb = np.dstack([samples] * 3)
    assert depth_of(png16(rgb, sbit(bits, bits, bits)), full_scale=16383).full_scale == full


def test_models_from_before_score_the_same() -> None:
    """Without a full scale, as in an old bundle, 65535 is white whatever the file states."""
    samples = camera(12)
    for source in (samples, png16(samples[..., None], sbit(12)), tiff(samples, 1, {281: 4095})):
        picture = decode(source, full_scale=None)
        np.testing.assert_array_equal(picture.pixels[..., 0], eight(samples, 65535))
        assert picture.clipped_pixels == 0
    colours = decode(tiff(WIDE[..., :3], 2, {281: 4095}), full_scale=None)
    np.testing.assert_array_equal(colours.pixels, WIDE[..., :3] >> 8)


def test_eight_bits_have_their_own_full_scale() -> None:
    """255 is white in every picture of 8 bits, whatever the model learned."""
    for source in (scene(), GREY, encoded(scene(), "PNG"), encoded(GREY, "TIFF")):
        picture = decode(source, full_scale=4095)
        np.testing.assert_array_equal(picture.pixels, decode(source).pixels)
        assert (picture.bits, picture.depth, picture.clipped_pixels) == (8, None, 0)


# --- a folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pictures", "full"),
    [
        ([camera(8)], 255),
        ([camera(10), camera(10, dim=0.2)], 1023),
        ([camera(12, dim=0.6), camera(12, dim=0.3)], 4095),
        ([camera(14)], 16383),
        ([camera(16)], 65535),
        ([camera(12, dim=0.2), camera(12)], 4095),
        ([camera(12, shift=4, dim=0.1)] * 2, 65535),  # low bits always 0: aligned to the left
        ([camera(10, shift=6, dim=0.1)] * 2, 65535),
        ([camera(8, shift=8, dim=0.1)] * 2, 65535),
        ([camera(8, shift=4)], 4095),  # 8 of 12 bits in use
        ([camera(16, dim=0.05)] * 3, 4095),  # dark: more levels, by one factor
        ([np.zeros((48, 72), np.uint16)], 255),
    ],
)
def test_a_folder_shows_its_full_scale(pictures: list[U16], full: int) -> None:
    """The smallest full scale of a camera that holds every picture; left-aligned samples use all 16 bits."""
    assert learn([depth_of(picture) for picture in pictures]) == full


def test_a_folder_that_states_its_full_scale() -> None:
    """One value in all files counts, even an odd one; differing values are the pictures' own greatest."""
    dims = (0.2, 0.5, 0.7)
    same = [depth_of(tiff(camera(12, dim=dim), 1, {281: 4000})) for dim in dims]
    assert learn(same) == 4000
    own = [depth_of(tiff(camera(12, dim=dim), 1, {281: int(4095 * dim) + 1})) for dim in dims]
    assert learn(own) == 4095
    dark = [depth_of(tiff(camera(12, dim=0.1), 1, {281: 4095}))]
    assert learn(dark) == 4095
    assert learn([*dark, depth_of(camera(10, dim=0.5))]) == 4095
    assert learn([]) == DEEP


def test_few_pictures_that_make_the_others_dark() -> None:
    """One picture of 16 bits among many of 12 is found; brighter ones of the same camera are not."""
    twelve = [depth_of(camera(12))] * 15
    assert deciding_alone([*twelve, depth_of(camera(16))], 65535) == ([15], 4095)
    assert deciding_alone([*twelve, depth_of(camera(14))], 16383) == ([], 16383)
    assert deciding_alone([*twelve[:7], depth_of(camera(16))], 65535) == ([7], 4095)
    assert deciding_alone([*twelve, *[depth_of(camera(16))] * 5], 65535) == ([], 65535)
    assert deciding_alone([], DEEP) == ([], DEEP)


def test_unsigned_samples_of_32_bits() -> None:
    """Whole numbers of 32 bits count if they fit into 16; greater ones are named as the file stores them."""
    fitting = WIDE[..., 0].astype(np.uint32)
    np.testing.assert_array_equal(decode(tiff(fitting, 1)).pixels, decode(WIDE[..., 0]).pixels)
    beyond = fitting + np.uint32(3_000_000_000)
    error = refused(tiff(beyond, 1), UnknownFormatError)
    assert f"samples of {beyond.min()} to {beyond.max()}" in error.message
