"""The latents of a data set's pictures: encoded once by an autoencoder, kept in the run folder, mapped into memory.

data/latents.npy    float16 (k, N, c, h, w); k is 2 with those of the mirrored pictures
data/latents.json   what they were made of, and their hash
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int64, UInt8
from numpy.lib import format as npy
from torch import Tensor

from ..errors import InputError
from ..io.files import atomic_write, file_sha256, require_space
from ..io.json_files import read_object, write_json
from ..io.json_types import get_field, parse_object
from ..shapes import ModelSpace, UInt8Images
from .pictures import LatentSpace

LATENTS_FILE, INDEX_FILE = "data/latents.npy", "data/latents.json"
FORMAT_VERSION = 1
ENCODE_BATCH = 64  # pictures that are encoded at a time

Encode = Callable[[UInt8Images], ModelSpace]  # 8-bit pictures to latents in [-1, 1]


@dataclass(frozen=True)
class LatentsIndex:
    """The content of data/latents.json."""

    space: LatentSpace
    sigma_data: float  # standard deviation over all channels of the latents of all pictures
    pixels_sha256: str  # of the pixels that were encoded
    latents_sha256: str


@dataclass(frozen=True)
class Latents:
    """The encoded pictures of a run."""

    index: LatentsIndex
    array: Float16[np.ndarray, "k n c h w"] = field(repr=False)

    @classmethod
    def open(cls, run: Path, pixels_sha256: str) -> "Latents | None":
        """Open the latents of a run folder; None if it has none. Raises InputError if they are damaged, or belong to
        other pictures."""
        if not (run / INDEX_FILE).is_file():
            return None
        path = run / LATENTS_FILE
        try:
            value = read_object(run / INDEX_FILE)
            if get_field(value, "format", int, run / INDEX_FILE) != FORMAT_VERSION:
                raise ValueError("written by another version")
            index = parse_object(LatentsIndex, {k: v for k, v in value.items() if k != "format"}, "it")
            if index.pixels_sha256 != pixels_sha256:
                raise ValueError("of other pictures")
            if file_sha256(path) != index.latents_sha256:
                raise ValueError("another hash than in the index")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.ndim != 5 or array.dtype != np.float16:
                raise ValueError("another shape than expected")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} does not match {INDEX_FILE}: remove both files and run the command again ({error})"
            ) from error
        return cls(index, np.asarray(array))

    @property
    def has_mirrored(self) -> bool:
        """Whether the latents of the mirrored pictures are there, too."""
        return len(self.array) == 2

    def x0(self, rows: Int64[np.ndarray, "b"], flip: Bool[Tensor, "b"] | None = None) -> Float[Tensor, "b c h w"]:
        """Latents of pictures, float32 in [-1, 1]; `flip`: of which pictures the mirrored ones are wanted."""
        sides = np.zeros(len(rows), np.int64) if flip is None else flip.cpu().numpy().astype(np.int64)
        return torch.from_numpy(self.array[sides, rows].astype(np.float32))


def encode_latents(
    run: Path,
    pixels: UInt8[np.ndarray, "n c h w"],
    pixels_sha256: str,
    space: LatentSpace,
    encode: Encode,
    mirrored: bool,
) -> Latents:
    """Open the latents of a run folder; where they are missing or made by another autoencoder, make them first.

    mirrored: those of the mirrored pictures, too, for training with flips.
    """
    existing = Latents.open(run, pixels_sha256)
    if existing is not None and existing.index.space == space and existing.has_mirrored >= mirrored:
        return existing
    count, height, width = len(pixels), *pixels.shape[2:]
    latent = (space.channels, -(-height // space.factor), -(-width // space.factor))
    shape = (1 + mirrored, count, *latent)
    require_space(run, 2 * int(np.prod(shape)))
    sums = np.zeros(2)

    def write(file: BinaryIO) -> None:
        npy.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        for side in range(1 + mirrored):
            for first in range(0, count, ENCODE_BATCH):
                part = torch.from_numpy(np.array(pixels[first : first + ENCODE_BATCH]))
                x = encode(part.flip(-1) if side else part).cpu().half().numpy()
                file.write(np.ascontiguousarray(x).tobytes())
                if not side:
                    sums[:] += x.astype(np.float64).sum(), np.square(x.astype(np.float64)).sum()

    atomic_write(run / LATENTS_FILE, write)
    mean, square = sums / (count * np.prod(latent))
    index = LatentsIndex(
        space, float(max(square - mean**2, 1e-12) ** 0.5), pixels_sha256, file_sha256(run / LATENTS_FILE)
    )
    write_json(run / INDEX_FILE, {"format": FORMAT_VERSION} | asdict(index))
    made = Latents.open(run, pixels_sha256)
    assert made is not None
    return made
