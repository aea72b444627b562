"""Every way of storing a picture comes out as the same pixels, and what is no picture is refused in words."""

import io
import random
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from noisette.data.decode import decode, from_array
from noisette.data.entry import BadPicture, Limits

from .build import chunk, encoded, image, noise, png

RGBA = noise(1, 9, 13, 4)
RGBA[2:5, 3:7, 3] = 0
RGBA[..., :3][RGBA[..., 3] == 0] = 0


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_give_back_every_pixel(format: str, channels: int) -> None:
    pixels = noise(2, 9, 13, channels)
    if channels in (2, 4):
        pixels[..., -1] |= 1
    found = decode(encoded(pixels, format, **({"lossless": True, "exact": True} if format == "WEBP" else {})))
    expected = (
        np.asarray(image(pixels).convert({1: "RGB", 2: "RGBA"}[channels]))
        if (format == "WEBP" and channels < 3)
        else pixels
    )
    assert (found.pixels == expected).all()
    assert (found.format, found.animated, found.hidden_color_pixels) == (format, False, 0)


def test_bmp_and_jpeg() -> None:
    pixels = noise(3)
    assert (decode(encoded(pixels, "BMP")).pixels == pixels).all()
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = decode(encoded(smooth, "JPEG", quality=95))
    assert found.format == "JPEG" and np.abs(found.pixels.astype(int) - smooth).max() <= 2
    cmyk = decode(encoded(image(smooth).convert("CMYK"), "JPEG", quality=95))
    assert cmyk.stored_mode == "CMYK" and cmyk.pixels.shape == (16, 16, 3)


def test_one_bit() -> None:
    bits = Image.fromarray(noise(4, channels=1)[..., 0] > 127)
    found = decode(encoded(bits))
    assert found.bits == 1 and (found.pixels[..., 0] == np.asarray(bits) * np.uint8(255)).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_black_and_white(format: str) -> None:
    values = np.array([[0, 257, 128, 129, 65535, 65279, 32768, 385]] * 8, np.uint16)
    found = decode(encoded(Image.fromarray(values), format))
    assert found.bits == 16
    assert found.pixels[0, :, 0].tolist() == [round(v / 257) for v in values[0].tolist()]


def test_sixteen_bit_color() -> None:
    rows = b"".join(b"\0" + struct.pack(">24H", *([65535, 0, 32896] * 8)) for _ in range(8))
    found = decode(png(8, 8, 16, 2, rows))
    assert found.bits == 16 and (found.pixels == [255, 0, 128]).all()


@pytest.mark.parametrize(
    ("bits", "color", "row", "clear", "expected"),
    [
        (1, 0, bytes([0b10101010]), b"\0\1", [[255, 0], [0, 255]]),
        (2, 0, bytes([0b00011011] * 2), b"\0\2", [[0, 255], [85, 255], [170, 0], [255, 255]]),
        (4, 0, bytes([0x1A] * 4), b"\0\1", [[17, 0], [170, 255]]),
        (8, 0, bytes([5, 9] * 4), b"\0\5", [[5, 0], [9, 255]]),
        (16, 0, struct.pack(">8H", *[0x0203, 0x0204] * 4), b"\2\3", [[2, 0], [2, 255]]),
        (8, 2, bytes([1, 2, 3, 4, 5, 6] * 4), b"\0\1\0\2\0\3", [[1, 2, 3, 0], [4, 5, 6, 255]]),
        (16, 2, struct.pack(">24H", *[256, 512, 768, 4096, 5120, 6144] * 4), b"\1\0\2\0\3\0",
         [[1, 2, 3, 0], [16, 20, 24, 255]]),
    ],
)  # fmt: skip
def test_the_transparent_color_of_a_png(
    bits: int, color: int, row: bytes, clear: bytes, expected: list[list[int]]
) -> None:
    found = decode(png(8, 8, bits, color, (b"\0" + row) * 8, chunk(b"tRNS", clear))).pixels
    wanted = np.array(expected, np.uint8)
    wanted[wanted[:, -1] == 0] = 0  # what was hidden is gone
    assert (found[3, : len(expected)] == wanted).all()


def test_palettes_with_transparency() -> None:
    palette = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])
    rows = (b"\0" + bytes([0, 1, 2] * 3)) * 9
    found = decode(png(9, 9, 8, 3, rows, chunk(b"PLTE", palette), chunk(b"tRNS", bytes([0, 128]))))
    assert found.stored_mode == "P" and found.hidden_color_pixels == 27
    assert found.pixels[0, :3].tolist() == [[0, 0, 0, 0], [0, 255, 0, 128], [0, 0, 255, 255]]
    opaque = decode(png(9, 9, 8, 3, rows, chunk(b"PLTE", palette)))
    assert opaque.pixels[0, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_a_large_palette_picture_takes_memory_in_proportion() -> None:
    picture = image(noise(0, 1024, 1024, 1)).convert("P")
    data = encoded(picture, transparency=bytes([0] * 3 + [255] * 253))
    tracemalloc.start()
    try:
        assert decode(data).pixels.shape == (1024, 1024, 4)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20  # bytes: 4 per pixel are the result
    finally:
        tracemalloc.stop()


def test_color_under_alpha_0_is_gone() -> None:
    pixels = RGBA.copy()
    pixels[2:5, 3:7, :3] = (255, 0, 255)
    found = decode(encoded(pixels))
    assert found.hidden_color_pixels == 12 and (found.pixels == RGBA).all()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (12, 10), c) for c in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if format == "WEBP" else {}
    found = decode(encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=40, **options))
    assert found.animated and (found.pixels[..., :3] == [250, 0, 0]).all()
    assert not decode(encoded(frames[0], format, **options)).animated


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 10))
def test_exif_turns_it_upright(format: str, orientation: int) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8], pixels[8:, 16:] = 255, 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(pixels, format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert (decode(data).pixels == expected).all()


def test_a_text_file_and_other_things_are_named() -> None:
    for data, words in [
        (b"", "is empty"),
        ("Schöne Grüße, kein Bild\n".encode() * 9, "is a text file"),
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (b'<?xml version="1.0"?><svg/>', "is an SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"%PDF-1.7 \0\1\2" + bytes(range(256)), "is not in a supported format"),
        (b"8BPS\0\1" + bytes(100), "is not in a supported format"),
        (b"\x89PNG\r\n\x1a\n", "has a damaged header"),
    ]:
        with pytest.raises(BadPicture, match=words):
            decode(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_cut_short(format: str) -> None:
    data = encoded(noise(5, 40, 40), format)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(BadPicture):
            decode(data[: int(len(data) * share)])


def test_impossible_sizes_are_refused_before_they_are_decoded() -> None:
    def claims(width: int, height: int) -> bytes:
        return png(width, height, 8, 6, zlib.compress(b"\0" * 1000))

    for width, height, words in [
        (0, 0, "is 0×0: it has no pixels"),
        (0, 7, "is 0×7: it has no pixels"),
        (50_000, 50_000, "the maximum is 16384 pixels per side and 67 million in all"),
        (2**31 - 1, 2**31 - 1, "the maximum is 16384 pixels per side and 67 million in all"),
        (16_384, 16_384, "the maximum is 16384 pixels per side and 67 million in all"),
        (3, 5000, "is 3×5000, more than 16 times as long as wide"),
    ]:
        with pytest.raises(BadPicture, match=words):
            decode(claims(width, height))
    with pytest.raises(BadPicture, match="is 3×5000"):
        decode(encoded(np.zeros((5000, 3, 3), np.uint8), "BMP"))
    with pytest.raises(BadPicture, match="is a file of 2 MiB: the maximum is 1 MiB"):
        decode(bytes(2**21), Limits(max_file_bytes=2**20))
    gif = bytearray(encoded(noise(), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"  # 65,535 a side
    with pytest.raises(BadPicture, match="a decompression bomb"):
        decode(bytes(gif))
    gif[6:10] = b"\0\x28\0\x28"  # 10,240 a side
    with pytest.raises(BadPicture, match="is 10240×10240: the maximum is 16384 pixels per side and 67 million in all"):
        decode(bytes(gif))


def declare_jpeg_size(data: bytes, marker: bytes, side: int) -> bytes:
    """The JPEG with another size in its header."""
    at = data.index(marker)
    return data[: at + 5] + struct.pack(">HH", side, side) + data[at + 9 :]


def large_from_few_bytes() -> dict[str, tuple[bytes, str]]:
    """Files of up to 4 MB that would take gigabytes, or many seconds, to decode; and why they are refused."""
    small = Image.new("RGB", (64, 64))
    progressive = declare_jpeg_size(encoded(small, "JPEG", progressive=True), b"\xff\xc2", 8000)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    gif = bytearray(encoded(Image.new("P", (16, 16)), "GIF"))
    gif[6:10] = struct.pack("<HH", 8000, 8000)
    strips = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    strips += [(273, 4, 10**6, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 10**6, 8)]
    fields = b"".join(struct.pack("<HHII", *field) for field in strips)
    tiff = b"II*\0" + struct.pack("<IH", 8, len(strips)) + fields + bytes(4 + 4 * 10**6)
    few_bytes = "declares 8000×8000 pixels in .* bytes: a decompression bomb"
    return {
        "scans": (progressive[:-2] + 3000 * scan + b"\xff\xd9", "is a JPEG in 3,0.. scans, the maximum is 100"),
        "jpeg": (declare_jpeg_size(encoded(small, "JPEG"), b"\xff\xc0", 8000), few_bytes),
        "webp": (encoded(Image.new("RGB", (8000, 8000)), "WEBP", lossless=True, quality=0, method=0), few_bytes),
        "gif": (bytes(gif), few_bytes),
        "png": (png(8000, 8000, 16, 6, b""), few_bytes),
        "strips": (tiff, "is a TIFF in 1,000,000 strips or tiles, the maximum is 65,536"),
    }


@pytest.mark.parametrize("kind", ["scans", "jpeg", "webp", "gif", "png", "strips"])
def test_large_pictures_of_few_bytes_are_refused_before_they_are_decoded(kind: str) -> None:
    data, reason = large_from_few_bytes()[kind]
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(BadPicture, match=reason):
        decode(data)
    assert time.process_time() - start < 1 and tracemalloc.get_traced_memory()[1] < 2 * len(data) + 2**22
    tracemalloc.stop()


def test_the_bytes_of_a_scan_in_metadata_are_no_scan() -> None:
    picture = Image.fromarray(noise(0, 16, 16))
    commented = encoded(picture, "JPEG", comment=b"\xff\xda" * 5000)
    assert np.array_equal(decode(commented).pixels, decode(encoded(picture, "JPEG")).pixels)
    assert decode(encoded(picture, "JPEG", progressive=True)).pixels.shape == (16, 16, 3)


def test_large_pictures_of_one_color_are_read() -> None:
    """As PNG and TIFF, whose compression has a bound."""
    blank = Image.new("L", (4200, 4200), 255)
    for format, options in (("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})):
        assert decode(encoded(blank, format, **options)).pixels.min() == 255


def test_numbers_with_a_sign_are_refused() -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 251).save(buffer, "TIFF", tiffinfo={339: 2})
    with pytest.raises(BadPicture, match="numbers with a sign"):
        decode(buffer.getvalue())


def test_a_color_profile_that_cannot_be_used_is_reported() -> None:
    rgb, gray = Image.fromarray(noise(0, 8, 8)), Image.fromarray(noise(0, 8, 8, 1)[..., 0])
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for picture, profile, ignored in (
        (rgb, srgb, False), (rgb, lab, True), (rgb, b"x" * 500, True), (rgb, srgb[:200], True), (gray, srgb, True),
    ):  # fmt: skip
        decoded = decode(encoded(picture, "PNG", icc_profile=profile))
        assert decoded.profile_ignored == ignored and decoded.profile is None


def test_a_format_off_the_list_is_not_tried() -> None:
    data = encoded(noise(), "PPM")
    assert Image.open(io.BytesIO(data)).format == "PPM"
    with pytest.raises(BadPicture, match="use PNG, JPEG"):
        decode(data)


def test_numbers_without_black_and_white() -> None:
    for values in (np.linspace(0, 1, 64, dtype=np.float32), np.arange(64, dtype=np.int32)):
        with pytest.raises(BadPicture, match="save it with 8 or 16 bits"):
            decode(encoded(Image.fromarray(values.reshape(8, 8)), "TIFF"))


def test_arrays_are_taken_as_they_are() -> None:
    pixels = noise(6, channels=4)
    pixels[0] = (255, 0, 255, 0)
    found = from_array(pixels)
    assert found.hidden_color_pixels == 16 and (found.pixels[1:] == pixels[1:]).all() and not found.pixels[0].any()
    with pytest.raises(BadPicture, match="more than 16 times"):
        from_array(np.zeros((100, 2, 1), np.uint8))


ORIGINALS = [
    encoded(RGBA),
    encoded(image(noise(7)).quantize(16)),
    encoded(image(noise(8)).quantize(16), "GIF"),
    encoded(image(noise(9)).quantize(8), "GIF", save_all=True, append_images=[image(noise(10)).quantize(8)]),
]
SMALL = Limits(max_file_bytes=2**16, max_pixels=2**20, max_side=4096)


@settings(max_examples=600, deadline=None)
@given(which=st.integers(0, 3), seed=st.integers(0, 2**32), checksums=st.booleans())
def test_damage_is_refused_or_decoded_and_never_crashes(which: int, seed: int, checksums: bool) -> None:
    rng = random.Random(seed)
    data = bytearray(ORIGINALS[which])
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at : at + rng.randint(1, 4)] = rng.randbytes(rng.randint(0, 6))
            case 2:
                del data[at:][: rng.randint(1, 40)]
            case 3:
                data[at:at] = data[: rng.randint(1, 60)]
        if not data:
            break
    if checksums:
        data = mended(bytes(data))
    try:
        found = decode(bytes(data), SMALL)
    except BadPicture as error:
        assert str(error).isprintable() and "Type-check" not in str(error)
    else:
        assert found.pixels.dtype == np.uint8 and found.pixels.size


def mended(data: bytes) -> bytearray:
    """A PNG whose chunks have the right checksums, so that damage reaches the decoder."""
    out, at = bytearray(data[:8]), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + size])
        at += 12 + size
    return out + data[at:]
