"""Aseprite files as sources: their pictures, labels and slices, and what damaged and hostile ones do."""

import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noisette.data import aseprite, open_source, prepare, scan
from noisette.data.aseprite import MAX_PIXELS, parse_sprite
from noisette.data.decode import decode
from noisette.data.entry import BadPicture
from noisette.data.sprite_render import render_frame
from noisette.errors import InputError

from .build import noise, put
from .sprite_build import (
    File,
    cel,
    cel_of,
    chunk,
    layer,
    link,
    old_palette,
    palette,
    slice_,
    tags,
    text,
    walk,
)

COLORS = np.concatenate([noise(5, 1, 40, 3)[0], np.full((40, 1), 255, np.uint8)], 1)


def draw(file: File, frame: int = 0) -> np.ndarray:
    return render_frame(parse_sprite(file.encode()), frame)


def over(*pictures: np.ndarray) -> np.ndarray:
    """Pictures (h, w, 4) over each other, by Pillow."""
    result = Image.fromarray(pictures[0], "RGBA")
    for picture in pictures[1:]:
        result = Image.alpha_composite(result, Image.fromarray(picture, "RGBA"))
    return np.asarray(result)


def faded(picture: np.ndarray, opacity: float) -> np.ndarray:
    result = picture.copy()
    result[..., 3] = np.rint(picture[..., 3] * opacity)
    return result


def opaque(seed: int, h: int = 6, w: int = 7) -> np.ndarray:
    pixels = noise(seed, h, w, 4)
    pixels[..., 3] = 255
    return pixels


def visible(pixels: np.ndarray) -> np.ndarray:
    """With the color of transparent pixels cleared."""
    return np.where(pixels[..., 3:] == 0, np.uint8(0), pixels)


# ── pixels ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("packed", [True, False])
def test_pixels_of_every_depth(packed: bool) -> None:
    """RGBA, gray with alpha, and colors of a palette with a transparent one."""
    rgba, gray = noise(0, 6, 7, 4), noise(1, 6, 7, 2)
    assert np.array_equal(draw(File(7, 6, [[layer(), cel(rgba, packed=packed)]])), visible(rgba))
    found = draw(File(7, 6, [[layer(), cel(gray, packed=packed)]], 16))
    assert np.array_equal(found, visible(gray[..., [0, 0, 0, 1]]))
    indices = noise(2, 6, 7, 1)[..., 0] % 40
    half = COLORS.copy()
    half[7, 3] = 128
    found = draw(File(7, 6, [[palette(half, name="ink"), layer(), cel(indices, packed=packed)]], 8, clear=3))
    expected = half[indices]
    expected[indices == 3] = 0
    assert np.array_equal(found, expected)
    background = draw(File(7, 6, [[palette(half), layer(flags=9), cel(indices, packed=packed)]], 8, clear=3))
    assert np.array_equal(background, half[indices])


def test_palettes_of_old_files_and_of_later_frames() -> None:
    indices = np.arange(40).reshape(5, 8)
    body = [layer(), cel(indices)]
    for chunks in ([old_palette(COLORS[:, :3])], [old_palette(noise(9, 1, 40, 3)[0]), palette(COLORS)]):
        assert np.array_equal(draw(File(8, 5, [[*chunks, *body]], 8, clear=255)), COLORS[indices])
    dark = COLORS[:, :3] // 4
    found = draw(File(8, 5, [[old_palette(dark, kind=0x11), *body]], 8, clear=255))
    assert np.abs(found[..., :3].astype(int) - dark[indices] * (255 / 63)).max() <= 0.5
    file = File(8, 5, [[palette(COLORS), *body], [palette(COLORS[:4] ^ [255, 255, 255, 0], 2), link(0)]], 8, clear=255)
    changed = COLORS.copy()
    changed[2:6] = COLORS[:4] ^ np.array([255, 255, 255, 0])
    assert np.array_equal(draw(file), COLORS[indices]) and np.array_equal(draw(file, 1), changed[indices])


def test_cels_beyond_the_canvas_and_linked_ones() -> None:
    picture = opaque(0, 9, 9)
    frames = [[layer(), cel(picture, x=-3, y=-2)], [link(0, x=-3, y=-2)], [cel(picture, x=4, y=30)], [link(1)], []]
    file = File(5, 4, frames)
    assert np.array_equal(draw(file), picture[2:6, 3:8]) and np.array_equal(draw(file, 1), picture[2:6, 3:8])
    assert not draw(file, 2).any() and not draw(file, 4).any()
    assert np.array_equal(draw(file, 3), picture[:4, :5])  # the link of a link, at a place of its own


def test_layers_and_their_opacities() -> None:
    """As Pillow draws them, from below; hidden layers, hidden groups and references are left out."""
    a, b, c = (noise(i, 6, 7, 4) for i in range(3))
    chunks = [
        layer("a"), layer("hidden", 0), layer("group", 0, kind=1), layer("in it", level=1), layer("b", opacity=128),
        layer("reference", 65), layer("open", kind=1), layer("c", level=1), cel(a), cel(c, 1), cel(c, 3),
        cel(b, 4, opacity=200), cel(c, 5), cel(c, 7),
    ]  # fmt: skip
    expected = over(a, faded(b, 128 / 255 * 200 / 255), c).astype(int)
    found = draw(File(7, 6, [chunks]))
    assert np.abs(found[..., 3] - expected[..., 3]).max() <= 1
    solid = expected[..., 3] > 60
    assert np.abs(found[solid] - expected[solid]).max() <= 3 and solid.mean() > 0.8
    assert np.array_equal(draw(File(7, 6, [[layer(opacity=9), cel(opaque(0))]], flags=0)), opaque(0))  # not valid


def test_the_order_of_cels_may_differ_from_that_of_layers() -> None:
    a, b, c = (opaque(i, 1, 1) for i in range(3))
    for order, top in (((0, 0, 0), c), ((0, 2, 0), b), ((2, 0, 0), a), ((0, 0, -2), b)):
        cels = [cel(p, i, z=z) for i, (p, z) in enumerate(zip((a, b, c), order, strict=True))]
        assert np.array_equal(draw(File(1, 1, [[layer(), layer(), layer(), *cels]])), top)


B, S = 0.25, 0.8  # backdrop and source; 0 to 1


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (1, B * S), (2, B + S - B * S), (3, 2 * B * S), (4, B), (5, S), (6, 1.0), (7, 1 - 0.75 / S),
        (8, 1 - 2 * 0.75 * 0.2), (9, B + (2 * S - 1) * (B**0.5 - B)), (10, S - B), (11, B + S - 2 * B * S), (16, 1.0),
        (17, 0.0), (18, B / S),
    ],
)  # fmt: skip
def test_blend_modes_by_their_formulas(mode: int, expected: float) -> None:
    """Between opaque pixels; over a transparent one, the pixel itself."""
    below, above = (np.full((1, 2, 4), [round(v * 255)] * 3 + [255], np.uint8) for v in (B, S))
    below[:, 1] = 0
    found = draw(File(2, 1, [[layer(), layer(mode=mode), cel(below), cel(above, 1)]]))
    assert np.abs(found[0, 0, :3] - expected * 255.0).max() <= 1.5 and np.array_equal(found[0, 1], above[0, 1])


# ── sources ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_frames_and_tags_alone_in_a_folder_and_in_a_zip(tmp_path: Path) -> None:
    data, pictures = walk()
    single, (other,) = walk(9, frames=1)
    put(tmp_path / "set/hero.aseprite", data)
    put(tmp_path / "set/rock.ASE", single)
    put(tmp_path / "set/tree.png", opaque(3))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in (tmp_path / "set").iterdir():
            archive.write(path, path.name)
    names = [("hero.aseprite#1", "walk"), ("hero.aseprite#2", "walk"), ("hero.aseprite#3", None)]
    alone = open_source(tmp_path / "set/hero.aseprite")
    assert [(e.name, e.label) for e in alone.entries] == names and alone.kind == "sprite"
    for place in ("set", "set.zip"):
        source = open_source(tmp_path / place)
        assert [(e.name, e.label) for e in source.entries] == [*names, ("rock.ASE", "walk"), ("tree.png", None)]
        for entry, picture in zip(source.entries, [*pictures, other], strict=False):
            assert np.array_equal(entry.read(), picture)
        note = "frames of Aseprite files, each a picture of its own: 4, of 2 files (hero.aseprite, rock.ASE); tags are"
        assert any(n.startswith(note) for n in source.notes)
    for entry, picture in reversed(list(zip(alone.entries, pictures, strict=True))):  # in any order
        assert np.array_equal(entry.read(), picture)


def test_what_the_source_says_of_a_file_counts_more_than_its_tags(tmp_path: Path) -> None:
    """Labels of folders and tables; attributes, texts and credits are those of every frame."""
    data, _ = walk()
    put(tmp_path / "folders/elf/a.aseprite", data)
    put(tmp_path / "folders/orc/b.aseprite", data)
    assert [e.label for e in open_source(tmp_path / "folders").entries] == ["elf"] * 3 + ["orc"] * 3
    put(tmp_path / "table/a.aseprite", data)
    row = {"file_name": "a.aseprite", "label": "elf", "text": "an elf", "size": 3, "license": "CC0"}
    (tmp_path / "table/metadata.jsonl").write_text(json.dumps(row))
    for entry in open_source(tmp_path / "table").entries:
        assert (entry.label, entry.text, dict(entry.attributes), dict(entry.credits)) == (
            "elf", "an elf", {"size": 3.0}, {"license": "CC0"}
        )  # fmt: skip


def test_the_first_of_several_tags_counts(tmp_path: Path) -> None:
    frames = [[layer(), tags((1, 3, "run"), (0, 2, "all\nof it"), (9, 2, "none"), (3, 60000, ""))], [], [], []]
    labels = parse_sprite(File(4, 4, frames).encode()).labels
    assert labels == ("all\ufffdof it", "run", "run", "run")


def test_slices_are_cut(tmp_path: Path) -> None:
    """With keys that begin at later frames, empty ones, two of one name, and one that leads out of the canvas."""
    pictures = [opaque(i, 10, 12) for i in range(3)]
    frames = [[cel(p)] for p in pictures]
    frames[0] += [
        layer(), tags((0, 0, "idle")), slice_("head", (0, 2, 1, 4, 3), (2, 0, 0, 5, 5), flags=3),
        slice_("late", (1, 0, 0, 2, 2), (2, 0, 0, 0, 0)), slice_("", (2, -2, 8, 4, 6)),
        slice_("head", (2, 11, 9, 1, 1)),
    ]  # fmt: skip
    source = open_source(put(tmp_path / "a.ase", File(12, 10, frames).encode()))
    assert [(e.name, e.label, e.text) for e in source.entries] == [
        ("a.ase#1 head 1", "idle", "head 1"), ("a.ase#2 head 1", None, "head 1"), ("a.ase#2 late", None, "late"),
        ("a.ase#3 head 1", None, "head 1"), ("a.ase#3 3", None, "3"), ("a.ase#3 head 4", None, "head 4"),
    ]  # fmt: skip
    found = [e.read() for e in source.entries]
    assert np.array_equal(found[0], pictures[0][1:4, 2:6]) and np.array_equal(found[3], pictures[2][:5, :5])
    assert found[4].shape == (6, 4, 4) and np.array_equal(found[4][:2, 2:], pictures[2][8:, :2])
    assert not found[4][2:].any() and not found[4][:, :2].any()
    assert "cut into their slices: a.ase" in source.notes


def test_slices_of_too_many_pixels_are_refused_together(tmp_path: Path) -> None:
    """A small file of slices that are larger than its canvas, in each of its frames."""
    frames = [[layer(), cel(opaque(0)), *[slice_(str(i), (0, 0, 0, 4096, 4096)) for i in range(3)]], *[[]] * 30]
    with pytest.raises(InputError, match="has slices of more pixels than can be read"):
        open_source(put(tmp_path / "a.ase", File(8, 8, frames).encode()))
    assert len(open_source(put(tmp_path / "b.ase", File(8, 8, frames[:20]).encode())).entries) == 60


def test_a_data_set_of_sprites(tmp_path: Path) -> None:
    """Scanned and prepared as other pictures are; a damaged file is left out with its reason."""
    everything = []
    for i in range(4):
        data, pictures = walk(i)
        put(tmp_path / f"set/{i}.aseprite", data)
        everything += pictures
    put(tmp_path / "set/broken.aseprite", data[:-30])
    put(tmp_path / "set/colors.ase", b"ASEF\0\1\0\0")
    result = scan(tmp_path / "set")
    assert len(result.pictures) == 12 and result.labels == {"walk": 8}
    assert {q.name: q.reason for q in result.quarantined} == {
        "broken.aseprite": "is truncated", "colors.ase": "is a palette of Adobe, not a picture",
    }  # fmt: skip
    dataset = prepare(tmp_path / "set", tmp_path / "run")
    rows = {f.name: f.row for f in dataset.manifest.files}
    for i, picture in enumerate(everything):
        row = dataset.pixel_array[rows[f"{i // 3}.aseprite#{i % 3 + 1}"]]
        assert np.array_equal(row.transpose(1, 2, 0), picture)


def test_masks_and_pictures_to_edit_are_refused(tmp_path: Path) -> None:
    data, _ = walk(0, 1)
    with pytest.raises(BadPicture, match="is a file of Aseprite, which is read as a source of pictures to train on"):
        decode(data)
    put(tmp_path / "set/a.aseprite", data)
    put(tmp_path / "set/a_mask.png", noise(0, 8, 8, 1))
    put(tmp_path / "set/b.png", noise(1, 8, 8))
    put(tmp_path / "set/b_mask.ase", data)
    source = open_source(tmp_path / "set", masks=True)
    with pytest.raises(BadPicture, match="which cannot have a mask"):
        source.entries[0].read()
    assert source.entries[1].mask is not None
    with pytest.raises(BadPicture, match="export masks as PNG"):
        source.entries[1].mask.read()


# ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD = File(8, 8, [[layer(), cel(opaque(0, 8, 8))]])
TILES = struct.pack("<HhhBHh5x", 0, 0, 0, 255, 3, 0) + bytes(40)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"), (b"hello" * 40, "is no file of Aseprite, or is truncated"),
        (GOOD.encode()[:90], "or is truncated"),
        (GOOD.encode()[:-1], "is truncated"), (File(8, 8, []).encode(), "has no frames"),
        (File(0, 8, [[]]).encode(), "is 0×8: a sprite has 1 to"), (File(60000, 60000, [[]]).encode(), "60000×60000"),
        (File(8, 8, [[]], depth=24).encode(), "has pixels of 24 bits"),
        (File(8, 8, [[cel(opaque(0))]]).encode(), "a cel is of a layer that does not exist"),
        (File(8, 8, [[layer(), chunk(0x2005, b"\0" * 9)]]).encode(), "a value leads out of its chunk"),
        (File(8, 8, [[layer(), chunk(0x2018, struct.pack("<H8x", 60000))]]).encode(), "a value leads out of its chunk"),
        (File(8, 8, [[chunk(0x2004, bytes(16) + struct.pack("<H", 999))] * 5000]).encode(), "more than 4,096 layers"),
        (File(8, 8, [[chunk(0x2022, struct.pack("<III", 2**31, 0, 0) + text("a"))]]).encode(), "keys of a slice"),
        (File(8, 8, [[layer(kind=2, tileset=0), chunk(0x2005, TILES)]]).encode(), "has a layer of tiles, which is not"),
        (File(8, 8, [[layer(kind=1, opacity=9), layer(level=1)]], flags=3).encode(), "has a group of layers with an"),
        (File(8, 8, [[layer(), cel_of(b"x" * 64, 60000, 60000)]]).encode(), "has a cel of 60000×60000"),
        (File(8, 8, [[layer(), cel_of(zlib.compress(bytes(64)), 900, 900)]]).encode(), "damaged, or a zip bomb"),
        (File(4096, 4096, [[layer()]] * 65).encode(), "has more pixels or parts than can be read"),
    ],
)  # fmt: skip
def test_damaged_and_hostile_files_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    """In a sentence, before anything of the declared size is allocated."""
    path = put(tmp_path / "a.aseprite", data)
    tracemalloc.start()
    with pytest.raises(InputError, match=reason) as error:
        open_source(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{path} ")
    assert peak < 60e6


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([cel_of(b"no zlib data", 8, 8)], "a cel cannot be unpacked"),
        ([cel_of(zlib.compress(bytes(255)), 8, 8)], "a cel has too few pixels"),
        ([cel(opaque(0)), layer(mode=13), cel(opaque(1), 1)], "has a layer with the blend mode saturation"),
        ([cel(opaque(0)), layer(mode=77), cel(opaque(1), 1)], "has a layer with the blend mode number 77"),
    ],
)
def test_cels_that_cannot_be_drawn(chunks: list[bytes], reason: str, tmp_path: Path) -> None:
    data = File(8, 8, [[layer(), *chunks]]).encode()
    with pytest.raises(InputError, match=reason):
        open_source(put(tmp_path / "a.aseprite", data))
    put(tmp_path / "set/b.png", opaque(0))
    put(tmp_path / "set/a.aseprite", data)
    (bad,) = scan(tmp_path / "set").quarantined
    assert reason in bad.reason


def test_a_zip_bomb_takes_the_memory_of_its_size_alone(tmp_path: Path) -> None:
    """A cel of 1,024×1,024 pixels whose data unpack to 100 MB; a thousand links to a large cel."""
    packer = zlib.compressobj(1)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()
    path = put(tmp_path / "a.aseprite", File(64, 64, [[layer(), cel_of(bomb, 1024, 1024)]]).encode())
    tracemalloc.start()
    assert not open_source(path).entries[0].read().any()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(bomb) < 2**20 and peak < 30e6
    large = cel_of(zlib.compress(bytes(MAX_PIXELS)), 4096, 4096)
    links = [[link(0)] for _ in range(1000)]
    file = File(64, 64, [[layer(), large], *links], depth=8)
    with pytest.raises(InputError, match="has more pixels or parts than can be read"):
        open_source(put(tmp_path / "b.aseprite", file.encode()))


def test_too_many_parts_of_one_frame_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are read: the last one is damaged."""
    monkeypatch.setattr(aseprite, "MAX_CHUNKS", 20)
    with pytest.raises(BadPicture, match="more pixels or parts"):
        parse_sprite(File(8, 8, [[layer()] * 20 + [chunk(0x2004, b"")]]).encode())


def test_too_many_cels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aseprite, "MAX_CELS", 20)
    parse_sprite(File(8, 8, [[layer(), cel(opaque(0)), *[link(0)] * 19]]).encode())
    with pytest.raises(BadPicture, match="has more than 20 cels: export its frames as PNG"):
        parse_sprite(File(8, 8, [[layer(), cel(opaque(0)), *[link(0)] * 20]]).encode())


def test_the_command_refuses_in_a_sentence(tmp_path: Path) -> None:
    path = put(tmp_path / "none.aseprite", b"")
    with pytest.raises(InputError, match=r"none\.aseprite is empty: 0 bytes"):
        scan(path)
    with pytest.raises(InputError, match="a cell size can only be given for a sprite sheet"):
        open_source(put(tmp_path / "a.aseprite", walk()[0]), cell=8)
