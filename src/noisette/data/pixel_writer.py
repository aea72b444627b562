"""Writing pixels.npy and masks.npy: decode, convert and resize one picture after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.lib import format as npy

from ..errors import InputError
from .color_mode import convert_mode
from .entry import BadPicture, Entry, Limits, Pixels
from .mask_values import MaskReading, read_mask
from .masks import resize_mask
from .pictures import Pictures
from .resize import is_lossless_shrink, resize_and_pad
from .scan import ProgressCallback, decode_entry, load_entry
from .scan_result import ScannedPicture

T = TypeVar("T")


@dataclass
class PixelWriter:
    """Writes pixels.npy picture by picture, so that the array is never in memory as a whole."""

    entries: Mapping[str, Entry]
    distinct: Sequence[ScannedPicture]
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
        shape = (len(self.distinct), *self.pictures.shape)
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        total = len(self.distinct)
        for done, picture in enumerate(self.distinct):
            self.progress(total + done, 2 * total)
            file.write(np.ascontiguousarray(self.convert(picture).transpose(2, 0, 1)).tobytes())
        self.progress(2 * total, 2 * total)

    def convert(self, picture: ScannedPicture) -> Pixels:
        """The pixels of a picture in the data set's mode and size."""
        height, width = self.pictures.height, self.pictures.width
        pixels = convert_mode(self.read_file(picture, decode_entry).pixels, self.pictures.mode)
        if self.pictures.pixel_art and not is_lossless_shrink(pixels, height, width):
            self.lossy_count, self.first_lossy = self.lossy_count + 1, self.first_lossy or picture.name
        return resize_and_pad(pixels, height, width, self.pictures.pixel_art)

    def read_file(self, picture: ScannedPicture, decode: Callable[[bytes | Pixels, Limits], T]) -> T:
        """Read and decode a file. Raises InputError if it has changed since it was scanned."""
        try:
            data, sha256 = load_entry(self.entries[picture.name])
            if sha256 != picture.sha256:
                raise BadPicture("has another hash")
            return decode(data, self.limits)
        except BadPicture as error:
            raise InputError(
                f"{picture.name} changed while the data set was made (it {error}): "
                "run the command again when no program writes to the files"
            ) from error


@dataclass
class MaskWriter(PixelWriter):
    """Writes masks.npy."""

    has_alpha: bool  # whether the pictures have alpha
    reading: MaskReading

    def convert(self, picture: ScannedPicture) -> Pixels:
        """The mask of a picture in the data set's size."""
        target, mask = self.pictures, self.reading.to_pixels(self.read_file(picture, read_mask))
        return resize_mask(mask, target.height, target.width, target.pixel_art, self.has_alpha)
