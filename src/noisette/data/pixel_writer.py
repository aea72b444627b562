"""Writing pixels.npy and masks.npy: decode, convert and resize pictures, a chunk at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import numpy as np
from jaxtyping import UInt8
from numpy.lib import format as npy

from ..errors import InputError
from .color_mode import convert_mode
from .entry import BadPicture, Entry, Limits, Pixels
from .mask_values import MaskReading, read_mask
from .masks import resize_mask
from .parallel import chunk_size, map_chunks
from .pictures import Pictures
from .resize import is_lossless_shrink, resize_and_pad
from .scan import ProgressCallback
from .scan_chunk import clear_hidden, decode_entry, load_entry, stack_mode
from .scanned_pictures import ScannedPictures

T = TypeVar("T")
Block = UInt8[np.ndarray, "n c h w"]
PreparedPixels = UInt8[np.ndarray, "height width channels"]


@dataclass
class PixelWriter:
    """Writes pixels.npy chunk by chunk, so that the array is never in memory as a whole."""

    distinct: ScannedPictures
    pictures: Pictures
    progress: ProgressCallback
    limits: Limits
    lossy_count: int = field(default=0, init=False)  # pictures that lost pixels when reduced as pixel art
    first_lossy: str = field(default="", init=False)  # name of the first of them

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on pictures that lost pixels."""
        if not self.lossy_count:
            return ()
        problem = f"pictures that are not pixel art enlarged by a whole factor: {self.lossy_count} ({self.first_lossy})"
        return (f"{problem}; one pixel of each block is kept",)

    def __call__(self, file: BinaryIO) -> None:
        total, size = len(self.distinct), chunk_size(len(self.distinct), max(1, 2**22 // (self.pictures.height**2)))
        shape = (total, *self.pictures.shape)
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        chunks = map_chunks(lambda number: self.convert_chunk(number * size, size), -(-total // size))
        for number, (block, lossy) in enumerate(chunks):
            self.progress(total + number * size, 2 * total)
            file.write(block.data)
            if lossy:
                self.lossy_count, self.first_lossy = self.lossy_count + len(lossy), self.first_lossy or lossy[0]
        self.progress(2 * total, 2 * total)

    def convert_chunk(self, first: int, size: int) -> tuple[Block, list[str]]:
        """The pixels of some pictures in the data set's mode and size, and the names of those that lost pixels."""
        rows = range(first, min(first + size, len(self.distinct)))
        block, lossy = np.empty((len(rows), *self.pictures.shape), np.uint8), list[str]()
        by_shape: dict[tuple[int, ...], list[tuple[int, Pixels]]] = {}
        for place, row in enumerate(rows):
            entry = self.entry(row)
            pixels = self.read_file(entry, self.hash_row(row), self.decode)
            if pixels.shape[:2] == self.pictures.shape[1:]:
                by_shape.setdefault(pixels.shape, []).append((place, pixels))
                continue
            resized, is_lossy = self.convert(pixels)
            block[place] = resized.transpose(2, 0, 1)
            lossy += [entry.name] if is_lossy else []
        for same in by_shape.values():
            stack = stack_mode(clear_hidden(np.stack([pixels for _, pixels in same]))[0], self.pictures.mode)
            block[[place for place, _ in same]] = stack.transpose(0, 3, 1, 2)
        return block, lossy

    def entry(self, row: int) -> Entry:
        """The entry of a distinct picture."""
        return self.distinct.entries[int(self.distinct.columns.entry[row])]

    def hash_row(self, row: int) -> str:
        """The hash of its file when it was scanned."""
        return self.distinct.columns.sha256[row].tobytes().hex()

    def decode(self, data: bytes | Pixels) -> Pixels:
        """The pixels of a file. Those of an array are not cleared yet where they are transparent."""
        return decode_entry(data, self.limits).pixels if isinstance(data, bytes) else data

    def convert(self, pixels: Pixels) -> tuple[PreparedPixels, bool]:
        """A picture in the data set's mode and size, and whether it lost pixels as pixel art."""
        height, width = self.pictures.height, self.pictures.width
        pixels = convert_mode(clear_hidden(pixels[None])[0][0], self.pictures.mode)
        is_lossy = self.pictures.pixel_art and not is_lossless_shrink(pixels, height, width)
        return resize_and_pad(pixels, height, width, self.pictures.pixel_art), is_lossy

    def read_file(self, entry: Entry, sha256: str, decode: Callable[[bytes | Pixels], T]) -> T:
        """Read and decode a file. Raises InputError if it has changed since it was scanned."""
        try:
            data, current = load_entry(entry)
            if current != sha256:
                raise BadPicture("has another hash")
            return decode(data)
        except BadPicture as error:
            raise InputError(
                f"{entry.name} changed while the data set was made (it {error}): "
                "run the command again when no program writes to the files"
            ) from error


@dataclass
class MaskWriter(PixelWriter):
    """Writes masks.npy."""

    has_alpha: bool  # whether the pictures have alpha
    reading: MaskReading

    def convert_chunk(self, first: int, size: int) -> tuple[Block, list[str]]:
        """The masks of some pictures in the data set's size."""
        target, masks = self.pictures, []
        hashes = self.distinct.columns.mask_sha256
        for row in range(first, min(first + size, len(self.distinct))):
            mask = self.entry(row).mask
            assert mask is not None and hashes is not None
            values = self.read_file(mask, hashes[row].tobytes().hex(), lambda data: read_mask(data, self.limits))
            pixels = self.reading.to_pixels(values)
            masks.append(resize_mask(pixels, target.height, target.width, target.pixel_art, self.has_alpha))
        return np.ascontiguousarray(np.stack(masks).transpose(0, 3, 1, 2)), []
