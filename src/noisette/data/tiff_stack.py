"""Stacks, which are TIFF files of several pages: each page becomes a picture of its own, named NAME#PAGE.

A page is read as a TIFF file of its own, made of the bytes that belong to it, so that its hash, its size and the time
to decode it are those of the page.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import UInt

from ..errors import InputError
from .entry import BadPicture, Entry, Limits
from .listing import Reader, format_names
from .masks import raise_if_any
from .tiff_pages import (
    MAX_PAGES,
    TYPE_FORMATS,
    ByteLayout,
    Directory,
    Field,
    find_layout,
    is_page,
    read_directory,
    read_largest,
    walk_directories,
)

TIFF_SUFFIXES = (".tif", ".tiff")
HEAD_BYTES = 2**16  # read first; a file of one page often says so there
MAX_STACK_PIXELS = 2**30  # of all pages of a stack
MAX_PARTS = 2**18  # strips or tiles of a page
OPEN_STACKS = 2  # files that are kept in memory: a stack, and that of its masks
WIDTH, HEIGHT, COMPRESSION = 256, 257, 259
OLD_JPEG = 6  # a value of COMPRESSION: its tables are anywhere in the file
DATA_SIZES = {273: 279, 324: 325}  # tags of the positions of a page's data (strips, tiles), and of their sizes
LINKS = (330, 513, 34665, 34853, 40965)  # tags of positions of what is no pixels: thumbnails, EXIF, GPS
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}

Numbers = UInt[np.ndarray, " n"]


def split_stacks(
    entries: tuple[Entry, ...], files: Mapping[str, Reader], location: str, limits: Limits
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries with one for each page of a stack, with its label, attributes and text; and notes.

    Pages of a stack of masks belong to the pages of the pictures' stack in the same order. Raises InputError if their
    numbers differ, or if there are more than `limits.max_entries` entries.
    """
    stacks, split, unequal = _Stacks(files), list[Entry](), list[str]()
    for entry in entries:
        pages = stacks.split(entry)
        if entry.mask is not None:
            masks = stacks.split(entry.mask)
            if len(masks) != len(pages):
                unequal.append(f"{entry.name} ({len(pages)}, its mask {len(masks)})")
                continue
            pages = [replace(page, mask=mask) for page, mask in zip(pages, masks, strict=True)]
        split += pages
        if len(split) > limits.max_entries:
            raise InputError(f"{location} holds more than {limits.max_entries:,} pages, the maximum: give fewer")
    raise_if_any(location, "pictures differ in their number of pages from their masks", unequal)
    return tuple(split), tuple(stacks.notes)


@dataclass
class _Stacks:
    """The stacks among the files of a source. The last OPEN_STACKS that were read are kept until their last page."""

    files: Mapping[str, Reader]
    pages: dict[str, list[int]] = field(default_factory=dict)  # the positions of the pages of each stack
    damaged: list[str] = field(default_factory=list)  # files whose pages cannot be followed to the last
    open: dict[str, bytes] = field(default_factory=dict)

    @property
    def notes(self) -> Iterator[str]:
        """For the user."""
        if self.pages:
            total, names = sum(map(len, self.pages.values())), format_names(self.pages)
            yield f"pages of TIFF files, each a picture of its own: {total}, of {len(self.pages)} files ({names})"
        if full := [name for name, pages in self.pages.items() if len(pages) == MAX_PAGES]:
            yield f"TIFF files of which at most {MAX_PAGES:,} pages are read: {format_names(full)}"
        if self.damaged:
            yield f"TIFF files that are damaged, so that pages may be missing: {format_names(self.damaged)}"

    def split(self, entry: Entry) -> list[Entry]:
        """An entry for each page of a stack; the entry itself if it is none."""
        if PurePosixPath(entry.name).suffix.lower() not in TIFF_SUFFIXES:
            return [entry]
        try:
            positions = self.find_pages(entry.name)
        except BadPicture as error:
            return [replace(entry, read=partial(_refuse, str(error)))]
        except OSError:  # said when it is read again
            return [entry]
        if len(positions) < 2:
            return [entry]
        self.pages[entry.name] = positions
        read = self.read_page
        return [
            replace(entry, name=f"{entry.name}#{number}", read=partial(read, entry.name, position))
            for number, position in enumerate(positions, 1)
        ]

    def find_pages(self, name: str) -> list[int]:
        """The positions of the pages of a file. Raises BadPicture for a file that asks for too much work."""
        head = self.files[name](HEAD_BYTES)
        if is_single_page(head):
            return []
        positions, is_complete = find_pages(self.files[name]())
        if positions and not is_complete:
            self.damaged.append(name)
        return positions

    def read_page(self, name: str, position: int) -> bytes:
        """One page as a TIFF file. Raises BadPicture or OSError."""
        data = self.open.pop(name, None)
        if data is None:
            data = self.files[name]()
        if position != self.pages[name][-1]:
            self.open[name] = data
            while len(self.open) > OPEN_STACKS:
                del self.open[next(iter(self.open))]
        try:
            return extract_page(data, position)
        except struct.error as error:
            raise BadPicture("is damaged: its data lead out of the file") from error


def is_single_page(head: bytes) -> bool:
    """Whether the first bytes of a file show that it has no second page, or that it is no TIFF."""
    layout = find_layout(head)
    if layout is None:
        return True
    try:
        return len(list(islice(walk_directories(head, layout), 2))) < 2
    except struct.error:  # its directories are not all in the head
        return False


def find_pages(data: bytes) -> tuple[list[int], bool]:
    """The positions of the pages of a TIFF file, at most MAX_PAGES, and whether all directories can be read.

    Raises BadPicture if the pages together have more than MAX_STACK_PIXELS, or more data than the file can hold.
    """
    layout = find_layout(data)
    positions: list[int] = []
    pixels, stored, most, is_complete = 0, 0.0, 2 * len(data), True
    if layout is None:
        return positions, is_complete
    try:
        for directory in walk_directories(data, layout):
            if len(positions) == MAX_PAGES:
                break
            if is_page(data, layout, directory):
                positions.append(directory.position)
                width, height = (read_largest(data, layout, directory, tag, 0) for tag in (WIDTH, HEIGHT))
                pixels += width * height
                stored += _measure_page(data, layout, directory, most - stored)
    except struct.error:
        is_complete = False
    if len(positions) > 1 and (pixels > MAX_STACK_PIXELS or stored > most):
        raise BadPicture("declares more in its pages than a file of its size can hold: a decompression bomb")
    return positions, is_complete


def extract_page(data: bytes, position: int) -> bytes:
    """The page whose directory is at `position` as a TIFF file of one page.

    Raises BadPicture for a kind of page that cannot be taken out, struct.error for a damaged one.
    """
    layout = find_layout(data)
    assert layout is not None  # only stacks have pages
    directory = read_directory(data, layout, position)
    if read_largest(data, layout, directory, COMPRESSION, 1) == OLD_JPEG:
        raise BadPicture("is packed as JPEG in the way of TIFF 6.0, which cannot be taken out: save the pages as files")
    sizes = {f[0]: _read_numbers(data, layout, f) for f in directory.fields if f[0] in DATA_SIZES.values()}
    kept = [f for f in directory.fields if f[0] not in LINKS and f[1] in TYPE_BYTES]
    width, start = struct.calcsize(layout.position), layout.first + struct.calcsize(layout.position)
    # where values and pixels begin: behind the directory, which ends with the position of the next one, 0
    end = start + struct.calcsize(layout.number) + len(kept) * struct.calcsize(layout.field) + width
    fields, rest, position_kind = list[bytes](), bytearray(), 16 if layout.is_big else 4
    for tag, kind, count, value in kept:
        if tag in DATA_SIZES:
            starts = []
            for part in _read_parts(
                data, _read_numbers(data, layout, (tag, kind, count, value)), sizes.get(DATA_SIZES[tag])
            ):
                starts.append(end + len(rest))
                rest += part
            content = struct.pack(f"{layout.order}{count}{layout.position[1]}", *starts)
        elif (size := count * TYPE_BYTES[kind]) > width:
            content = _slice(data, struct.unpack(layout.position, value)[0], size)
        else:
            content = value
        if len(content) > width:
            rest += bytes(len(rest) % 2)  # values begin at even positions
            content, moved = struct.pack(layout.position, end + len(rest)), content
            rest += moved
        fields.append(struct.pack(layout.field, tag, position_kind if tag in DATA_SIZES else kind, count, content))
    head = data[: layout.first] + struct.pack(layout.position, start) + struct.pack(layout.number, len(kept))
    return b"".join((head, *fields, bytes(width), bytes(rest)))


def _measure_page(data: bytes, layout: ByteLayout, directory: Directory, most: float) -> float:
    """The bytes that a page is made of; any number above `most` if it is more.

    What leads out of the file is not counted, since a page with it is not taken out.
    """
    sizes = (count * TYPE_BYTES[kind] for _, kind, count, _ in directory.fields if kind in TYPE_BYTES)
    total = float(sum(size for size in sizes if size <= len(data)))
    for found in directory.fields:
        if total <= most and found[0] in DATA_SIZES.values():
            with suppress(struct.error):  # said when the page is read
                numbers = _read_numbers(data, layout, found)
                total += float(numbers[numbers <= len(data)].sum(dtype=np.float64))
    return total


def _read_numbers(data: bytes, layout: ByteLayout, found: Field) -> Numbers:
    """All whole numbers of a field. Raises struct.error if they lead out of the file, or are of another type."""
    _, kind, count, value = found
    if kind not in TYPE_FORMATS:
        raise struct.error("positions and sizes are whole numbers")
    size = count * TYPE_BYTES[kind]
    raw = value[:size] if size <= len(value) else _slice(data, struct.unpack(layout.position, value)[0], size)
    return np.frombuffer(raw, f"{layout.order}u{TYPE_BYTES[kind]}")


def _read_parts(data: bytes, starts: Numbers, sizes: Numbers | None) -> list[bytes]:
    """The strips or tiles of a page. Raises struct.error if one leads out of the file, or sizes are missing."""
    if sizes is None or len(sizes) != len(starts) or len(starts) > MAX_PARTS:
        raise struct.error("the sizes of the data are missing")
    return [_slice(data, start, size) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]


def _slice(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise struct.error("a value leads out of the file")
    return data[start : start + size]


def _refuse(reason: str) -> bytes:
    raise BadPicture(reason)
