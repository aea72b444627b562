"""What the directories of a TIFF file say about its pages, read without Pillow and without decoding.

Pillow says nothing of pages that it cannot open, and counts pages in a time that grows with the square of their number.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES_PER_PIXEL, SAMPLE_FORMAT = 254, 258, 262, 277, 339
WHITE_IS_ZERO = 0  # a value of PHOTOMETRIC
SIGNED, FLOATING_POINT = 2, 3  # values of SAMPLE_FORMAT
LISTS = (BITS_PER_SAMPLE, 273, 279, 324, 325, SAMPLE_FORMAT)  # fields with a number for each channel, strip or tile
MAX_LISTED = 2**16  # numbers of such a field; decoders take a time that grows with their square
REDUCED_OR_MASK = 0b101  # bits of SUBFILE_TYPE: a thumbnail or a transparency mask, no page of its own
MAX_PAGES = 10_000  # pages are counted up to this number
MAX_FIELDS = 128  # of a directory that are read
MAX_ALL_FIELDS = 2**18  # of all directories of a file: those of 10,000 pages with 26 each
TYPE_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # field types that hold whole numbers

Field = tuple[int, int, int, bytes]  # tag, type, number of values, and the values or their position in the file


@dataclass(frozen=True)
class ByteLayout:
    """How a TIFF file stores its directories: in 4-byte positions or, as a BigTIFF, in 8-byte ones."""

    order: str  # "<" or ">", as struct has them
    is_big: bool

    @property
    def position(self) -> str:
        """The struct format of a position in the file."""
        return f"{self.order}{'Q' if self.is_big else 'I'}"

    @property
    def number(self) -> str:
        """The struct format of the number of fields in a directory."""
        return f"{self.order}{'Q' if self.is_big else 'H'}"

    @property
    def field(self) -> str:
        """The struct format of a field."""
        return f"{self.order}HH{'Q8s' if self.is_big else 'I4s'}"

    @property
    def first(self) -> int:
        """Where the position of the first directory is."""
        return 8 if self.is_big else 4


@dataclass(frozen=True)
class Directory:
    """The fields of one page."""

    position: int  # in the file
    fields: list[Field]


def find_layout(data: bytes) -> ByteLayout | None:
    """The layout of a file; None if it is no TIFF."""
    if not data.startswith(TIFF_MAGICS):
        return None
    return ByteLayout("<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+"))


def count_pages(data: bytes) -> int:
    """The number of pages, thumbnails and masks not counted; at least 1, at most MAX_PAGES."""
    layout, pages = find_layout(data), 0
    if layout is not None:
        try:
            for directory in islice(walk_directories(data, layout), MAX_PAGES):
                pages += is_page(data, layout, directory)
        except struct.error:  # damaged from here on
            pass
    return max(1, pages)


def describe_samples(data: bytes) -> str | None:
    """What the first page stores: "5 channels of 8 bits", "3 channels of 32-bit floating-point numbers".

    None: the file is no TIFF, or its first directory is damaged.
    """
    layout = find_layout(data)
    if layout is None:
        return None
    try:
        first = next(walk_directories(data, layout), None)
        if first is None:
            return None
        channels, bits, kind = (
            read_largest(data, layout, first, tag, default)
            for tag, default in ((SAMPLES_PER_PIXEL, 1), (BITS_PER_SAMPLE, 1), (SAMPLE_FORMAT, 0))
        )
    except struct.error:
        return None
    number = f"{channels} channel{'s' if channels > 1 else ''}"
    if kind == SIGNED:
        return f"{number} of {bits} bits with a sign"
    if kind == FLOATING_POINT:
        return f"{number} of {bits}-bit floating-point numbers"
    return f"{number} of {bits} bits"


def find_tiff_problem(data: bytes) -> str | None:
    """Why the first page of a TIFF is refused before it is decoded; None: there is no reason."""
    layout = find_layout(data)
    try:
        first = next(walk_directories(data, layout), None) if layout else None
        if layout is None or first is None:
            return None
        if most := max((count for tag, _, count, _ in first.fields if tag in LISTS and count > MAX_LISTED), default=0):
            return f"is a TIFF in {most:,} strips or tiles, the maximum is {MAX_LISTED:,}: save it again"
        if read_largest(data, layout, first, SAMPLE_FORMAT, 0) == SIGNED:
            return "holds numbers with a sign, for which black and white are not defined: save it with 8 or 16 bits"
    except struct.error:  # damaged, which decoding finds
        pass
    return None


def walk_directories(data: bytes, layout: ByteLayout) -> Iterator[Directory]:
    """The directories of a TIFF file in order.

    Raises struct.error at one that is damaged or outside of `data`, and after MAX_ALL_FIELDS.
    """
    seen: set[int] = set()
    total = 0
    (position,) = struct.unpack_from(layout.position, data, layout.first)
    while position and position not in seen:
        seen.add(position)
        directory = read_directory(data, layout, position)
        total += len(directory.fields)
        if total > MAX_ALL_FIELDS:
            raise struct.error("the directories have too many fields")
        yield directory
        (number,) = struct.unpack_from(layout.number, data, position)
        end = position + struct.calcsize(layout.number) + number * struct.calcsize(layout.field)
        (position,) = struct.unpack_from(layout.position, data, end)


def read_directory(data: bytes, layout: ByteLayout, position: int) -> Directory:
    """The directory at a position, its first MAX_FIELDS fields. Raises struct.error if it is outside of `data`."""
    (number,) = struct.unpack_from(layout.number, data, position)
    first, size = position + struct.calcsize(layout.number), min(number, MAX_FIELDS) * struct.calcsize(layout.field)
    if first + size > len(data):
        raise struct.error("a directory leads out of the file")
    return Directory(position, list(struct.iter_unpack(layout.field, data[first : first + size])))


def is_page(data: bytes, layout: ByteLayout, directory: Directory) -> bool:
    """Whether a directory is that of a page, not of a thumbnail or mask. Raises struct.error if it is damaged."""
    return not read_largest(data, layout, directory, SUBFILE_TYPE, 0) & REDUCED_OR_MASK


def read_largest(data: bytes, layout: ByteLayout, directory: Directory, tag: int, default: int) -> int:
    """The largest of the first 16 whole numbers of a field; `default` without such a field.

    The numbers are in the field itself or, if they do not fit, elsewhere in the file. Raises struct.error if they are
    outside of it.
    """
    for found, kind, count, value in directory.fields:
        if found == tag and kind in TYPE_FORMATS and count:
            numbers = f"{layout.order}{min(count, 16)}{TYPE_FORMATS[kind]}"
            if struct.calcsize(numbers) <= len(value):
                return int(max(struct.unpack_from(numbers, value)))
            return int(max(struct.unpack_from(numbers, data, struct.unpack(layout.position, value)[0])))
    return default
