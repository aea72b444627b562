"""The pictures of a run: decoded once, mapped into memory, and always the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from ..condition import Condition
from ..errors import InputError
from ..files import sha256_of
from ..pictures import Layer, Pictures
from ..shapes import Bytes, Images
from ..text import Captions, TextEncoder, written
from .attributes import vectors
from .manifest import File, Manifest, Side
from .words import captions

MANIFEST = "data.json"
MASKS = "data/masks.npy"  # uint8, (N, 1, H, W), where pictures have masks
PIXELS = "data/pixels.npy"  # uint8, (N, C, H, W), straight alpha, colour 0 under alpha 0

Rows = UInt8[np.ndarray, "n c h w"]


@dataclass(frozen=True, eq=False)
class Subset:
    """One side of the split. Indices count its pictures from 0."""

    pictures: Pictures
    files: tuple[File, ...]
    array: UInt8[np.ndarray, "every c h w"] = field(repr=False)  # of the whole data set
    rows: Int64[np.ndarray, "n"] = field(repr=False)
    labels: Int64[Tensor, "n"] | None = field(repr=False)  # -1: not labelled
    vectors: Float32[Tensor, "n d"] | None = field(repr=False)
    texts: tuple[str | None, ...] = field(repr=False, default=())  # of each picture, where captions are read
    captions: Captions | None = field(repr=False, default=None)
    masks: UInt8[np.ndarray, "every 1 h w"] | None = field(default=None, repr=False)  # of the whole data set

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, indices: Int64[Tensor, "b"]) -> Bytes:
        """8-bit pictures, straight alpha: (B, C, H, W)."""
        return torch.from_numpy(self.array[self.rows[indices.numpy()]])

    def x0(self, indices: Int64[Tensor, "b"]) -> Images:
        """Pictures in model space."""
        return self.pictures.encode(self.pixels(indices))

    def layers(self, indices: Int64[Tensor, "b"]) -> Float32[Tensor, "b _ h w"]:
        """Pictures in model space, and under them their masks, where there are any."""
        if self.masks is None:
            return self.x0(indices)
        masks = torch.from_numpy(self.masks[self.rows[indices.numpy()]])
        return torch.cat([self.x0(indices), masks.float() / 127.5 - 1], dim=1)

    def condition(self, indices: Int64[Tensor, "b"]) -> Condition:
        """What is known of them: labels, attributes and captions, if the data set has any of these."""
        return Condition(
            label=None if self.labels is None else self.labels[indices],
            vector=None if self.vectors is None else self.vectors[indices],
            tokens=None if self.captions is None else self.captions.tokens(self.told(indices)),
        )

    def told(self, indices: Int64[Tensor, "b"]) -> list[str | None]:
        """The captions."""
        return [self.texts[i] for i in indices.tolist()]

    def names(self, indices: Int64[Tensor, "b"]) -> list[str]:
        """The names of the files."""
        return [self.files[i].name for i in indices.tolist()]


@dataclass(frozen=True, eq=False)
class Dataset:
    """What `prepare` made, in `folder`."""

    folder: Path
    manifest: Manifest
    array: Rows = field(repr=False)
    captions: Captions | None = field(repr=False, default=None)  # where they are read
    masks: UInt8[np.ndarray, "n 1 h w"] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Open the data set of a run folder. It needs neither its source nor any option.

        Raises InputError if there is none, or if its pixels are not those that data.json describes.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder} holds no data set: there is no {MANIFEST}")
        manifest = Manifest.read(folder / MANIFEST)
        shape, masks = manifest.pictures.shape, None
        if manifest.masks_sha256 is not None:
            masks = _mapped(folder / MASKS, manifest.masks_sha256, (manifest.rows, 1, *shape[1:]))
        array = _mapped(folder / PIXELS, manifest.pixels_sha256, (manifest.rows, *shape))
        return cls(folder, manifest, array, Captions.open(folder), masks)

    def captioned(
        self, encoder: Callable[[], TextEncoder], progress: Callable[[int, int], object] = lambda done, total: None
    ) -> "Dataset":
        """The same, its captions read by an encoder: once, for they are kept beside the pixels. Only then is it opened.

        Raises InputError if there are no captions.
        """
        texts = [text for text in self.texts.values() if text is not None]
        return replace(self, captions=written(self.folder, texts, encoder, progress))

    @property
    def pictures(self) -> Pictures:
        """Mode, size, names of labels and attributes, and how captions are read."""
        return replace(self.manifest.pictures, wording=None if self.captions is None else self.captions.wording)

    @property
    def sigma_data(self) -> float:
        """The standard deviation of the training pictures in model space."""
        return self.manifest.sigma_data

    def deviation(self, layer: Layer) -> float:
        """The standard deviation in model space of the training pictures, or of their masks."""
        found = {"picture": self.sigma_data, "mask": self.manifest.mask_deviation}[layer]
        if found is None:
            raise InputError(f"{self.folder} holds pictures without masks: prepare it with them")
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood, chosen and left out, in sentences."""
        return self.manifest.notes

    @cached_property
    def texts(self) -> dict[str, str | None]:
        """The caption of each file. Raises InputError where hardly any has one."""
        files = self.manifest.files
        return dict(zip((f.name for f in files), captions(files, self.manifest.source), strict=True))

    @cached_property
    def train(self) -> Subset:
        return self._side("train")

    @cached_property
    def held_out(self) -> Subset:
        return self._side("held_out")

    def _side(self, side: Side) -> Subset:
        files = tuple(f for f in self.manifest.files if f.split == side and f.copy_of is None)
        return Subset(
            self.pictures,
            files,
            self.array,
            np.array([f.row for f in files], np.int64),
            _labels(files, self.pictures.labels),
            torch.from_numpy(vectors(self.manifest.columns, [f.attributes for f in files]))
            if self.manifest.columns
            else None,
            () if self.captions is None else tuple(self.texts[f.name] for f in files),
            self.captions,
            self.masks,
        )


def _labels(files: Sequence[File], names: Sequence[str]) -> Tensor | None:
    if not names:
        return None
    numbers = {name: i for i, name in enumerate(names)}
    return torch.tensor([-1 if f.label is None else numbers[f.label] for f in files], dtype=torch.int64)


def _mapped(path: Path, sha256: str, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels, checked and mapped into memory."""
    try:
        if sha256_of(path) != sha256:
            raise InputError(f"{path} is not what {MANIFEST} describes, its hash is another: prepare the data set anew")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(f"{path} has another shape than {MANIFEST} says: prepare the data set anew")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: prepare the data set anew") from error
    return np.asarray(array)
