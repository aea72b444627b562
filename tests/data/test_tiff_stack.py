"""TIFF files of several pages: each page is a picture."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clock import limited
from noisette.data import open_source, prepare, scan
from noisette.data.decode import decode
from noisette.data.entry import BadPicture, Entry, Limits, Source
from noisette.data.tiff_pages import MAX_PAGES
from noisette.data.tiff_stack import MAX_STACK_PIXELS, extract_page, find_pages
from noisette.errors import InputError

from .build import encoded, image, noise, put


def stack(*pages: np.ndarray | Image.Image, **options: object) -> bytes:
    images = [image(page) if isinstance(page, np.ndarray) else page for page in pages]
    return encoded(images[0], "TIFF", save_all=True, append_images=images[1:], **options)


def by_hand(order: str, pages: list[np.ndarray], copies: int = 1, shared: bool = False) -> bytes:
    """A gray TIFF in a byte order, of single strips. shared: all pages have the data of the first."""
    data = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8))
    for number in range(len(pages) * copies):
        page = pages[number % len(pages)]
        h, w = page.shape
        end = len(data) + 2 + 8 * 12 + 4
        start = 8 + 2 + 8 * 12 + 4 if shared else end
        fields = ((256, w), (257, h), (258, 8), (259, 1), (262, 1), (273, start), (278, h), (279, h * w))
        data += struct.pack(f"{order}H", len(fields))
        for tag, value in fields:
            data += struct.pack(f"{order}HHII", tag, 4, 1, value)
        content = b"" if shared and number else page.tobytes()
        following = end + len(content) if number + 1 < len(pages) * copies else 0
        data += struct.pack(f"{order}I", following) + content
    return bytes(data)


MODES = ("L", "LA", "RGB", "RGBA", "P", "1", "I;16", "CMYK")
PACKINGS: tuple[str | None, ...] = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
CASES = [(m, p) for m in MODES for p in PACKINGS if p != "jpeg" or m in ("L", "RGB", "CMYK")]


@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize(("mode", "packing"), CASES)
def test_an_extracted_page_equals_the_page(mode: str, packing: str | None, big: bool) -> None:
    def page(seed: int) -> Image.Image:
        if mode == "I;16":
            return Image.fromarray(np.random.default_rng(seed).integers(0, 2**16, (70, 9), np.uint16))
        return image(noise(seed, 70, 9)).convert(mode)

    data = stack(*map(page, range(3)), big_tiff=big, **({} if packing is None else {"compression": packing}))
    positions, is_complete = find_pages(data)
    assert len(positions) == 3 and is_complete
    with Image.open(io.BytesIO(data)) as whole:
        for number, position in enumerate(positions):
            whole.seek(number)
            taken = extract_page(data, position)
            with Image.open(io.BytesIO(taken)) as one:
                assert one.mode == whole.mode and np.array_equal(np.asarray(one), np.asarray(whole))
            assert decode(taken).pages == 1 and len(taken) < len(data) / 2
            assert find_pages(taken) == ([16 if taken[2] == 43 else 8], True)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    pages = [noise(i, 8, 8, 1)[..., 0] for i in range(3)]
    data = by_hand(order, pages)
    for page, position in zip(pages, find_pages(data)[0], strict=True):
        assert np.array_equal(decode(extract_page(data, position)).pixels[..., 0], page)


def test_pages_are_entries_in_folders_zips_and_single_files(tmp_path: Path) -> None:
    pages = [noise(i) for i in range(4)]
    files = {"cells/a.tif": stack(*pages[:3]), "cells/a.txt": b"some cells", "other/b.TIFF": encoded(pages[3], "TIFF")}
    for name, data in files.items():
        put(tmp_path / "set" / name, data)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    for place in (tmp_path / "set", tmp_path / "set.zip"):
        source = open_source(place)
        assert [e.name for e in source.entries] == ["cells/a.tif#1", "cells/a.tif#2", "cells/a.tif#3", "other/b.TIFF"]
        assert [e.label for e in source.entries] == ["cells"] * 3 + ["other"]
        assert [e.text for e in source.entries] == ["some cells"] * 3 + [None]
        for order in (range(4), (2, 0, 1, 3), (1, 1, 2, 2)):
            for i in order:
                assert np.array_equal(decode(source.entries[i].read()).pixels, pages[i])
        assert "pages of TIFF files, each a picture of its own: 3, of 1 files (cells/a.tif)" in scan(place).notes
        data = prepare(place, tmp_path / f"of {place.name}")
        assert data.manifest.rows == 4 and [f.name for f in data.manifest.files] == [e.name for e in source.entries]
        assert prepare(place, tmp_path / f"of {place.name}").manifest == data.manifest
    single = open_source(tmp_path / "set/cells/a.tif")
    assert (single.kind, [e.name for e in single.entries]) == ("stack", ["a.tif#1", "a.tif#2", "a.tif#3"])
    with pytest.raises(InputError, match="has 3 pages, and a sprite sheet has one: leave the cell size out"):
        open_source(tmp_path / "set/cells/a.tif", cell=8)
    with pytest.raises(InputError, match="is a single picture"):
        open_source(tmp_path / "set/other/b.TIFF")


def test_rows_of_a_table_describe_all_pages(tmp_path: Path) -> None:
    put(tmp_path / "a.tif", stack(noise(0), noise(1)))
    put(tmp_path / "b.tif", stack(noise(2), noise(3)))
    (tmp_path / "metadata.csv").write_text("file_name,label,depth\na.tif,x,1\nb.tif,y,2\n")
    found = {e.name: (e.label, dict(e.attributes)) for e in open_source(tmp_path).entries}
    assert found == {f"{n}.tif#{i}": (w, {"depth": d}) for n, w, d in (("a", "x", 1), ("b", "y", 2)) for i in (1, 2)}


def test_pages_of_masks_belong_to_pages_of_pictures(tmp_path: Path) -> None:
    masks = [np.zeros((16, 16), np.uint8) for _ in range(20)]
    for i, mask in enumerate(masks):
        mask[: i // 2 + 1] = 255
    put(tmp_path / "a.tif", stack(*(noise(i) for i in range(20))))
    put(tmp_path / "a_mask.tif", stack(*map(Image.fromarray, masks)))
    data = prepare(tmp_path, tmp_path / "run", masks=True)
    rows = {f.name: f.row for f in data.manifest.files}
    assert data.masks is not None
    for i, mask in enumerate(masks):
        assert np.array_equal(data.masks[rows[f"a.tif#{i + 1}"]].squeeze(), mask)
    put(tmp_path / "a_mask.tif", stack(*map(Image.fromarray, masks[:3])))
    with pytest.raises(InputError, match=r"1 pictures differ in their number of pages from their masks .* mask 3\)"):
        open_source(tmp_path, masks=True)


def test_thumbnails_are_no_pages(tmp_path: Path) -> None:
    data = bytearray(by_hand("<", [noise(i, 8, 8, 1)[..., 0] for i in range(3)]))
    second = find_pages(bytes(data))[0][1]
    struct.pack_into("<HHII", data, second + 2 + 6 * 12, 254, 4, 1, 1)  # in place of the rows of a strip
    put(tmp_path / "a.tif", bytes(data))
    source = open_source(tmp_path)
    assert [e.name for e in source.entries] == ["a.tif#1", "a.tif#2"]
    assert np.array_equal(decode(source.entries[1].read()).pixels, noise(2, 8, 8, 1))


def test_damaged_pages_are_left_out_by_name(tmp_path: Path) -> None:
    data = by_hand("<", [noise(i, 8, 8, 1)[..., 0] for i in range(5)])
    positions, _ = find_pages(data)
    put(tmp_path / "cut.tif", data[: positions[4] + 30])  # within the directory of the last page
    lost = bytearray(data)
    struct.pack_into("<I", lost, positions[1] + 2 + 5 * 12 + 8, 2**31)  # the data of the second page
    struct.pack_into("<I", lost, positions[2] + 2 + 7 * 12 + 4, 2**31)  # the number of sizes of the third
    put(tmp_path / "lost.tif", bytes(lost))
    result = scan(tmp_path)
    assert "TIFF files that are damaged, so that pages may be missing: cut.tif" in result.notes
    assert [q.name for q in result.quarantined] == ["lost.tif#2", "lost.tif#3"]
    assert len(result.pictures) == 4 + 3


@pytest.mark.parametrize("kind", ["many pages", "shared data", "many pixels", "many fields"])
def test_work_is_in_proportion_to_the_file(tmp_path: Path, kind: str) -> None:
    small, large = np.zeros((8, 8), np.uint8), np.zeros((1024, 1024), np.uint8)
    if kind == "many pages":
        data = by_hand("<", [small], 2 * MAX_PAGES)
    elif kind == "shared data":
        data = by_hand("<", [large], 5000, shared=True)
    elif kind == "many pixels":
        data = by_hand("<", [small], 100)
        for position in find_pages(data)[0]:
            changed = bytearray(data)
            struct.pack_into("<I", changed, position + 2 + 8, 8192)
            struct.pack_into("<I", changed, position + 2 + 12 + 8, 8192)
            data = bytes(changed)
        assert MAX_STACK_PIXELS < 100 * 8192**2
    else:  # directories within each other: 10,000, of 128 fields each, in 168 kB
        changed = bytearray(struct.pack("<2sHI", b"II", 42, 8) + bytes(16 * MAX_PAGES + 8192))
        for position in range(8, 16 * MAX_PAGES, 16):
            struct.pack_into("<H", changed, position, 128)
            struct.pack_into("<I", changed, position + 2 + 128 * 12, position + 16)
        data = bytes(changed)
    put(tmp_path / "a.tif", data)
    put(tmp_path / "b.tif", encoded(noise(), "TIFF"))
    with limited(2, kind):
        source = open_source(tmp_path)
    if kind == "many pages":
        tracemalloc.start()
        open_source(tmp_path)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert memory < 4 * len(data) + 2**24
    if kind == "many pages":
        assert len(source.entries) == MAX_PAGES + 1
        assert "TIFF files of which at most 10,000 pages are read: a.tif" in source.notes
    elif kind in ("shared data", "many pixels"):
        with pytest.raises(BadPicture, match="more in its pages than a file of its size can hold"):
            source.entries[0].read()


def test_the_number_of_pages_of_a_source_is_limited(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / f"{i}.tif", by_hand("<", [noise(i, 8, 8, 1)[..., 0]], 20))
    with pytest.raises(InputError, match="holds more than 50 pages, the maximum: give fewer"):
        open_source(tmp_path, limits=Limits(max_entries=50))


def test_at_most_two_files_are_kept(tmp_path: Path) -> None:
    """However many stacks a source has, and in whatever order their pages are read."""
    for i in range(40):
        put(tmp_path / f"{i:02}.tif", stack(noise(i, 256, 256), noise(i + 100, 256, 256)))
    source = open_source(tmp_path)
    tracemalloc.start()
    for entry in source.entries[::2]:
        entry.read()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert memory < 3 * len(stack(noise(0, 256, 256), noise(1, 256, 256)))


def test_pages_of_a_source_made_by_hand_are_said(tmp_path: Path) -> None:
    data = stack(noise(0), noise(1))
    entries = (Entry("a", lambda: data), Entry("b", lambda: encoded(noise(2))))
    result = scan(Source("mine", "mine", entries))
    assert result.notes == (
        "only the first page is used of 1 TIFFs with several (a has 2): save the pages as files to use all",
    )
    assert result.to_json()["pages"] == {"a": 2}
