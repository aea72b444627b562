"""Palettes: files of other programs, the colors of pictures, and pictures in the colors of a palette."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.GimpPaletteFile import GimpPaletteFile

from noisette.data.palette import MAX_COLORS, Palette, learn_palette, read_palette
from noisette.data.palette_lock import BAYER, PaletteLock, bayer, oklab
from noisette.data.png import encode_png, read_png, to_image, to_indexed, write_png
from noisette.errors import InputError

COLORS = ("#1a1c2c", "#ffcd75", "#5d275d", "#000000", "#ff8000")


def swatches(*blocks: tuple[bytes, tuple[float, ...]], name: str = "a") -> bytes:
    """A file of Adobe's swatches, with a group around the colors."""
    text = (name + "\0").encode("utf-16-be")
    parts = [struct.pack(">HIH", 0xC001, 2 + len(text), len(name) + 1) + text]
    for model, values in blocks:
        body = struct.pack(">H", len(name) + 1) + text + model + struct.pack(f">{len(values)}f", *values) + b"\0\2"
        parts.append(struct.pack(">HI", 1, len(body)) + body)
    parts.append(struct.pack(">HI", 0xC002, 0))
    return b"ASEF\0\1\0\0" + struct.pack(">I", len(parts)) + b"".join(parts)


FILES = {  # the colors of COLORS
    "gimp.gpl": b"GIMP Palette\nName: my colors\nColumns: 4\n# a comment\n 26  28  44\tdark blue\n255 205 117 a 1 2\n\n"
    b"93\t39 93\n0 0 0\n255 128 0\tfire\n",
    "lines.hex": b"\xef\xbb\xbf1A1C2C\r\nffcd75\r\n#5d275d\r\n000000\r\nff8000\r\n",
    "jasc.pal": b"JASC-PAL\r\n0100\r\n5\r\n26 28 44\r\n255 205 117\r\n93 39 93 255\r\n0 0 0\r\n255 128 0\r\n",
    "paint.txt": b"; Paint.NET palette\n;Colors: 5\nFF1a1c2c\nFFffcd75 ; sand\nFF5d275d\nFF000000\nFFff8000\n",
    "adobe.ase": swatches(
        (b"RGB ", (26 / 255, 28 / 255, 44 / 255)), (b"RGB ", (1.0, 205 / 255, 117 / 255)),
        (b"RGB ", (93 / 255, 39 / 255, 93 / 255)), (b"Gray", (0.0,)), (b"RGB ", (1.0, 128 / 255, 0.0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_palettes_of_other_programs(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    assert read_palette(tmp_path / name).colors == COLORS
    assert read_palette(str(tmp_path / name)).rgb[1] == (255, 205, 117)


def test_colors_as_text() -> None:
    assert read_palette("#FF8000, #000000,#ff8000").colors == ("#ff8000", "#000000")
    assert read_palette(["#ff8000", "#010203"]).colors == ("#ff8000", "#010203")
    for wrong in ("#ff80", "#ff8000,red", ["red"]):
        with pytest.raises(InputError, match="write it like #ff8000"):
            read_palette(wrong)
    with pytest.raises(InputError, match="1 to 256 colors, got 0"):
        read_palette([])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.gpl", b"255 0 0\n", "GIMP Palette"),
        ("a.gpl", b"GIMP Palette\n255 0\n", "255 0 is no color like 255 128 0"),
        ("a.gpl", b"GIMP Palette\n0 0 256\n", "0 to 255"),
        ("a.gpl", b"GIMP Palette\nName: none\n", "has no colors"),
        ("a.hex", b"ff8000ff\n", "ff8000ff is no color"),
        ("a.pal", b"RIFF\x10\0\0\0PAL data", "JASC-PAL"),
        ("a.pal", b"JASC-PAL\n0100\nmany\n", "no palette"),
        ("a.ase", b"\x00\x10\x00\x00\xe0\xa5\x01\x00", "sprite of Aseprite"),
        ("a.ase", b"ASEF\0\1\0\0" + struct.pack(">I", 3), "no palette"),
        ("a.ase", swatches((b"CMYK", (0, 0, 0, 1))), "colors of the model CMYK"),
        ("a.txt", b"", "has no colors"),
        ("a.png", b"\x89PNG", "a.png"),
        ("a.xyz", b"red", "a.xyz"),
    ],
)
def test_what_is_no_palette_is_refused(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason) as refused:
        read_palette(tmp_path / name)
    assert name in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_damaged_palettes_are_read_or_refused(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(60):
        data = bytearray(FILES[name][: random.integers(1, len(FILES[name]) + 1)])
        for at in random.integers(0, len(data), number % 4):
            data[at] = random.integers(256)
        (tmp_path / name).write_bytes(data)
        try:
            assert 1 <= len(read_palette(tmp_path / name)) <= MAX_COLORS
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("ending", [".gpl", ".hex", ".pal", ".png"])
def test_palettes_are_written_as_they_are_read(ending: str, tmp_path: Path) -> None:
    Palette(COLORS).write(tmp_path / f"mine{ending}")
    assert read_palette(tmp_path / f"mine{ending}").colors == COLORS
    if ending == ".gpl":  # another reader
        with (tmp_path / "mine.gpl").open("rb") as file:
            table, mode = GimpPaletteFile(file).getpalette()
        assert mode == "RGB" and table[:15] == bytes(v for color in Palette(COLORS).rgb for v in color)
    with pytest.raises(InputError, match=r"\.gpl, \.hex"):
        Palette(COLORS).write(tmp_path / "mine.doc")


def test_the_colors_of_a_picture_keep_their_order(tmp_path: Path) -> None:
    """Of an image with a palette its entries, as far as they are used; of others as they come."""
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.putdata([2, 0, 2, 1])
    image.save(tmp_path / "indexed.png")
    assert read_palette(tmp_path / "indexed.png").colors == ("#ff0000", "#00ff00", "#0000ff")
    image.convert("RGB").save(tmp_path / "rgb.png")
    assert read_palette(tmp_path / "rgb.png").colors == ("#0000ff", "#ff0000", "#00ff00")
    image.save(tmp_path / "clear.png", transparency=0)
    assert read_palette(tmp_path / "clear.png").colors == ("#00ff00", "#0000ff")


def test_a_palette_of_millions_of_pixels_takes_little_memory(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 1000, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "all.png", compress_level=1)
    Image.fromarray(pixels // 128 * 255).save(tmp_path / "few.png")
    tracemalloc.start()
    with pytest.raises(InputError, match=r"has 4\d\d,\d{3} colors, and a palette has at most 256"):
        read_palette(tmp_path / "all.png")
    assert tracemalloc.get_traced_memory()[1] < 60 * 500_000
    tracemalloc.stop()
    assert len(read_palette(tmp_path / "few.png")) == 8


def test_learned_palettes() -> None:
    """Few colors are all taken, by how often they are; of many, some that the pictures have; clear pixels count not."""
    few = np.array([[[1, 1, 1, 255], [9, 9, 9, 255], [9, 9, 9, 7], [5, 5, 5, 0]]], np.uint8)
    assert learn_palette([few, few[:, :1]]).colors == ("#010101", "#090909")
    random = np.random.default_rng(0)
    centers = np.array([[20, 20, 20], [240, 40, 40], [40, 200, 60], [250, 250, 250]])
    many = [
        np.clip(centers[random.integers(4, size=(8, 8))] + random.integers(-5, 6, (8, 8, 3)), 0, 255).astype(np.uint8)
        for _ in range(30)
    ]
    found = learn_palette(many, 4)
    known = {f"#{r:02x}{g:02x}{b:02x}" for part in many for r, g, b in part.reshape(-1, 3).tolist()}
    assert len(found) == 4 and known.issuperset(found.colors)
    for center in centers:
        assert min(np.abs(np.array(found.rgb) - center).max(axis=1)) <= 8
    assert learn_palette(iter(many), 4) == found
    with pytest.raises(InputError, match="no visible pixel"):
        learn_palette([few[:, 3:]])
    with pytest.raises(InputError, match="1 to 256, got 0"):
        learn_palette(many, 0)


def test_oklab() -> None:
    """The values that its author gives for white and red, and grays without color."""
    lab = oklab(torch.tensor([[255, 255, 255], [255, 0, 0], [0, 0, 255], [77, 77, 77]], dtype=torch.uint8))
    torch.testing.assert_close(lab[0], torch.tensor([1.0, 0, 0], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(lab[1], torch.tensor([0.62796, 0.22486, 0.12585]).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(lab[2], torch.tensor([0.45201, -0.03246, -0.31153]).double(), atol=1e-4, rtol=0)
    assert lab[3, 1:].abs().max() < 1e-4


pictures = st.tuples(st.integers(1, 4), st.integers(0, 2**32 - 1)).map(
    lambda given: torch.randint(
        256, (2, given[0], 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(given[1])
    )
)
palettes = st.lists(st.sampled_from([*COLORS, "#ffffff", "#808080", "#00ff00"]), min_size=1, unique=True).map(tuple)


@given(pictures, palettes, st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_every_visible_pixel_has_a_color_of_the_palette(
    pixels: torch.Tensor, colors: tuple[str, ...], dither: float, binary: bool
) -> None:
    """At any alpha, however small; alpha stays or becomes binary; what is locked stays as it is."""
    lock = PaletteLock(colors, dither, binary)
    locked, has_alpha = lock(pixels), pixels.shape[1] in (2, 4)
    assert locked.shape[1] == (4 if has_alpha else 3)
    rgb = locked[:, :3].permute(0, 2, 3, 1).reshape(-1, 3)
    alpha = locked[:, 3].flatten() if has_alpha else torch.full((len(rgb),), 255)
    found = {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb[alpha > 0].tolist()}
    assert found.issubset(colors)
    assert (rgb[alpha == 0] == 0).all()
    if has_alpha:
        before = pixels[:, -1].flatten()
        assert torch.equal(alpha, torch.where(before >= 128, 255, 0).to(torch.uint8) if binary else before)
    assert torch.equal(lock(locked), locked)


def test_the_nearest_color_is_the_nearest_to_the_eye() -> None:
    """By OKLab: middle blue is nearer to blue than to gray, where RGB says gray; without dithering."""
    pixels = torch.tensor([[200, 60, 60], [60, 60, 190], [128, 128, 128]], dtype=torch.uint8).T.reshape(1, 3, 1, 3)
    locked = PaletteLock(("#ff0000", "#0000ff", "#7f7f7f"))(pixels)
    assert locked[0, :, 0].T.tolist() == [[255, 0, 0], [0, 0, 255], [127, 127, 127]]


def test_dithering_keeps_the_mean_lightness() -> None:
    """A gray between black and white becomes a pattern with its lightness; stronger dithering is nearer to it."""
    gray = torch.full((1, 3, 16, 16), 99, dtype=torch.uint8)
    wanted = float(oklab(gray[0, :, 0, :1].T)[0, 0])
    errors = []
    for dither in (0.0, 0.5, 1.0):
        locked = PaletteLock(("#000000", "#ffffff"), dither)(gray)
        errors.append(abs(float(oklab(locked[0].flatten(1).T)[:, 0].mean()) - wanted))
    assert errors[0] > errors[2] and errors[2] < 1 / 16
    assert sorted(v for row in BAYER for v in row) == list(range(16))
    assert abs(float(bayer(8, 4).mean())) < 1e-12 and bayer(3, 5).shape == (3, 5)


@pytest.mark.parametrize("binary", [True, False])
def test_locked_pictures_have_the_palette_in_order(binary: bool, tmp_path: Path) -> None:
    """In the file, as another reader sees it; pixels and record come back."""
    pixels = torch.randint(256, (1, 4, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    locked = PaletteLock(COLORS, binary_alpha=binary)(pixels)
    write_png(tmp_path / "a.png", to_indexed(locked, COLORS), {"seed": 1})
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        table = np.array(image.getpalette()).reshape(-1, 3)
        assert [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in table[:5].tolist()] == list(COLORS)
        assert np.array_equal(np.asarray(image.convert("RGBA")), np.asarray(to_image(locked)))
    back, metadata = read_png(tmp_path / "a.png")
    assert torch.equal(back, locked) and metadata == {"seed": 1}
    assert read_palette(tmp_path / "a.png").colors == tuple(
        c for c in COLORS if c in read_palette(tmp_path / "a.png").colors
    )


def test_opaque_pictures_need_no_clear_entry() -> None:
    opaque = PaletteLock(COLORS)(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    image = to_indexed(opaque, COLORS)
    assert "transparency" not in image.info and set(image.tobytes()) == {COLORS.index("#000000")}


def test_too_many_colors_and_alphas_are_written_as_rgba() -> None:
    alpha = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    colors = torch.tensor([[255, 128, 0], [0, 0, 0]], dtype=torch.uint8)[torch.arange(256) % 2].T.reshape(1, 3, 16, 16)
    assert to_indexed(torch.cat([colors, alpha], 1), COLORS).mode == "RGBA"
    assert to_indexed(torch.cat([colors, alpha // 4 * 4], 1), COLORS).mode == "P"
    assert len(encode_png(to_indexed(torch.cat([colors, alpha], 1), COLORS))) > 100


def test_locks_that_cannot_be() -> None:
    for colors, dither, reason in (((), 0.0, "1 to 256"), (("red",), 0.0, "#ff8000"), (COLORS, 1.5, "dither")):
        with pytest.raises(InputError, match=reason):
            PaletteLock(colors, dither)
    with pytest.raises(InputError, match="each color once"):
        Palette(("#000000", "#000000"))
