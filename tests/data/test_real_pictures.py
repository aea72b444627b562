"""Picture files of cameras, editors, microscopes and phones."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from noisette.data import scan
from noisette.data.decode import decode
from noisette.data.entry import BadPicture

from .build import chunk, encoded, image, noise, png, put

ROWS = (b"\0" + bytes([10, 20, 30] * 8)) * 8


def broken(kind: bytes, data: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    return chunk(kind, data)[:-1] + b"\xff"


def test_damaged_metadata_chunks_do_not_change_pixels() -> None:
    plain = decode(png(8, 8, 8, 2, ROWS)).pixels
    megabytes = zlib.compress(bytes(2**21))
    for extra in (
        broken(b"gAMA", struct.pack(">I", 45455)),
        broken(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")),
        broken(b"eXIf", b"MM\0*"),
        chunk(b"zTXt", b"Comment\0\0" + megabytes),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + megabytes),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + megabytes),
        chunk(b"iCCP", b"large\0\0" + megabytes),
        chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(2**25))),
        chunk(b"tEXt", b"Comment\0" + b"x" * 2**21),
    ):
        assert (decode(png(8, 8, 8, 2, ROWS, extra)).pixels == plain).all()
    with pytest.raises(BadPicture):
        decode(png(8, 8, 8, 2, ROWS, broken(b"tRNS", b"\0\1\0\2\0\3")))  # tRNS changes pixels


def test_exif_orientation_in_png_text_is_applied() -> None:
    pixels = noise(0, 8, 12)
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    text = b"\nexif\n%8d\n" % len(raw) + raw.hex().encode()
    packed = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    data = encoded(pixels)
    end = data.index(b"IDAT") - 4
    assert decode(data[:end] + packed + data[end:]).pixels.shape[:2] == (12, 8)


def test_bytes_after_the_end_of_a_png_are_ignored() -> None:
    data = encoded(noise())
    assert (decode(data + b"more" * 1000).pixels == noise()).all()


def test_iphone_png_is_refused_by_name() -> None:
    data = png(8, 8, 8, 2, ROWS)
    with pytest.raises(BadPicture, match="is a PNG for iPhones"):
        decode(data[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + data[8:])


def tiff(samples: np.ndarray, bits: int, photometric: int, packed: bytes, count: int = 1, kind: int = 1) -> bytes:
    """The bytes of an uncompressed TIFF."""
    h, w = samples.shape[:2]
    tags = [(256, 3, w), (257, 3, h), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
            (277, 3, count), (278, 3, h), (279, 4, len(packed)), (339, 3, kind)]  # fmt: skip
    entries = b"".join(struct.pack("<HHI", tag, t, 1) + struct.pack("<I", value) for tag, t, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


def pack_12(values: np.ndarray) -> bytes:
    """Pack each two 12-bit samples into three bytes."""
    a, b = values.reshape(-1, 2).astype(np.uint32).T
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()


def test_white_is_255_at_any_bit_depth() -> None:
    twelve = np.array([[0, 4095, 2048, 16]] * 8)
    found = decode(tiff(twelve, 12, 1, pack_12(twelve)))
    assert found.bits == 12 and found.pixels[0, :, 0].tolist() == [0, 255, 128, 1]
    sixteen = np.array([[0, 65535, 32896, 257]] * 8, "<u2")
    assert decode(tiff(sixteen, 16, 1, sixteen.tobytes())).pixels[0, :, 0].tolist() == [0, 255, 128, 1]
    assert decode(tiff(sixteen, 16, 0, sixteen.tobytes())).pixels[0, :, 0].tolist() == [255, 0, 127, 254]
    eight = np.array([[0, 255, 128, 1]] * 8, np.uint8)
    assert decode(tiff(eight, 8, 0, eight.tobytes())).pixels[0, :, 0].tolist() == [255, 0, 127, 254]


def test_12_bit_values_in_16_bit_files_are_reported_as_dark(tmp_path) -> None:
    for i in range(3):
        values = np.random.default_rng(i).integers(0, 4096, (8, 8)).astype(np.uint16)
        values[0, 0] = 4095
        put(tmp_path / f"{i}.png", encoded(Image.fromarray(values)))
    (note,) = (n for n in scan(tmp_path).notes if "dark" in n)
    assert "the brightest is 4095 of 65535: if 4095 is white" in note
    put(tmp_path / "bright.png", encoded(Image.fromarray(np.full((8, 8), 60000, np.uint16))))
    assert not any("dark" in n for n in scan(tmp_path).notes)


def test_error_names_the_kind_of_an_unreadable_tiff() -> None:
    five = np.zeros((8, 8, 5), np.uint8)
    with pytest.raises(BadPicture, match="is a TIFF with 5 channels of 8 bits, which cannot be read: save it as PNG"):
        decode(tiff(five, 8, 1, five.tobytes(), count=5))
    floats = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(BadPicture, match="is a TIFF with 3 channels of 32-bit floating-point numbers"):
        decode(tiff(floats, 32, 2, floats.tobytes(), count=3, kind=3))
    with pytest.raises(BadPicture, match="holds floating-point numbers, for which black and white"):
        decode(encoded(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF"))


@pytest.mark.parametrize(("subfile", "pages"), [(0, 2), (2, 2), (1, 1), (4, 1)])
def test_thumbnails_and_masks_are_not_counted_as_pages(subfile: int, pages: int) -> None:
    eight = np.zeros((8, 8), np.uint8)
    data = tiff(eight, 8, 1, eight.tobytes())
    second = struct.pack("<HHHIII", 1, 254, 4, 1, subfile, 0)
    assert decode(data[:-4] + struct.pack("<I", len(data)) + second).pages == pages


def test_cyclic_chain_of_pages_ends() -> None:
    data = bytearray(encoded(noise(), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    assert decode(bytes(data)).pages == 1


def test_color_profile_is_converted_and_reported(tmp_path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = 200, 60
    # a profile with the red and green primaries of sRGB swapped, so that the correct result is known
    swapped = lab.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    found = decode(encoded(pixels, icc_profile=swapped))
    assert found.profile and np.abs(found.pixels.astype(int) - pixels[..., [1, 0, 2]]).max() <= 2
    assert decode(encoded(pixels, "JPEG", icc_profile=swapped, quality=95)).profile == found.profile
    alpha = np.concatenate([pixels, np.full((8, 8, 1), 77, np.uint8)], 2)
    kept = decode(encoded(alpha, icc_profile=swapped))
    assert (kept.pixels[..., 3] == 77).all() and (kept.pixels[..., :3] == found.pixels).all()
    for same in (lab, b"no profile at all"):
        plain = decode(encoded(pixels, icc_profile=same))
        assert plain.profile is None and (plain.pixels == pixels).all()
    put(tmp_path / "a.png", encoded(pixels, icc_profile=swapped))
    put(tmp_path / "b.png", noise(channels=3))
    assert any(n.startswith("pictures with a color profile, converted to sRGB: 1, ") for n in scan(tmp_path).notes)


def test_error_names_unsupported_formats() -> None:
    icon = io.BytesIO()
    image(noise(channels=4)).save(icon, "ICO")
    for data, words in (
        (icon.getvalue(), r"is a Windows icon \(.ico\): export it as PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is in HEIC"),
        (b"8BPS\0\1" + bytes(100), "is a Photoshop document"),
    ):
        with pytest.raises(BadPicture, match=words):
            decode(data)
