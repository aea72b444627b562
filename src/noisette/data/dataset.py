"""The data set of a run folder: decoded pictures, mapped into memory, with labels, attributes, captions and masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from ..diffusion.condition import Condition
from ..errors import InputError
from ..io.files import file_sha256
from ..shapes import Images, UInt8Images
from .attributes import encode_attributes
from .caption_text import read_captions
from .latents import Encode, Latents, encode_latents
from .manifest import FileRecord, Manifest, SplitName
from .pictures import DataLayer, LatentSpace, Pictures
from .text import CaptionEmbeddings, TextEncoder, encode_captions

MANIFEST_FILE = "data.json"
MASKS_FILE = "data/masks.npy"  # uint8, (N, 1, H, W); only of data sets with masks
PIXELS_FILE = "data/pixels.npy"  # uint8, (N, C, H, W), straight alpha, color 0 where alpha is 0

PixelArray = UInt8[np.ndarray, "n c h w"]


@dataclass(frozen=True, eq=False)
class Subset:
    """The training or the held-out pictures. Indices, int64 (B,), count the pictures of this subset from 0."""

    pictures: Pictures
    files: tuple[FileRecord, ...]
    pixel_array: UInt8[np.ndarray, "every c h w"] = field(repr=False)  # of the whole data set
    rows: Int64[np.ndarray, "n"] = field(repr=False)  # the row of each picture in pixel_array and masks
    labels: Int64[Tensor, "n"] | None = field(repr=False)  # class numbers; -1: no label
    attribute_vectors: Float32[Tensor, "n d"] | None = field(repr=False)  # NaN: no attribute is known
    texts: tuple[str | None, ...] = field(repr=False, default=())  # captions, if the model reads them
    captions: CaptionEmbeddings | None = field(repr=False, default=None)
    masks: UInt8[np.ndarray, "every 1 h w"] | None = field(default=None, repr=False)  # of the whole data set
    latents: Latents | None = field(default=None, repr=False)  # of the whole data set, for a latent model

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, indices: Int64[Tensor, "b"]) -> UInt8Images:
        """Pictures as uint8 with straight alpha, (B, C, H, W)."""
        return torch.from_numpy(self.pixel_array[self.rows[indices.numpy()]])

    def x0(self, indices: Int64[Tensor, "b"], flip: Bool[Tensor, "b"] | None = None) -> Images:
        """Pictures in model space, or latents: float32 in [-1, 1], (B, C, H, W). flip: which ones are mirrored."""
        if self.latents is not None:
            return self.latents.x0(self.rows[indices.numpy()], flip)
        return _mirror(self.pictures.encode(self.pixels(indices)), flip)

    def images_and_masks(
        self, indices: Int64[Tensor, "b"], flip: Bool[Tensor, "b"] | None = None
    ) -> Float32[Tensor, "b _ h w"]:
        """As `x0`; if there are masks, they are one more channel: (B, C or C + 1, H, W)."""
        if self.masks is None:
            return self.x0(indices, flip)
        masks = torch.from_numpy(self.masks[self.rows[indices.numpy()]])
        return torch.cat([self.x0(indices, flip), _mirror(masks.float() / 127.5 - 1, flip)], dim=1)

    def condition(self, indices: Int64[Tensor, "b"]) -> Condition:
        """Labels, attributes and captions of pictures; a field is None if the data set has none."""
        return Condition(
            label=None if self.labels is None else self.labels[indices],
            vector=None if self.attribute_vectors is None else self.attribute_vectors[indices],
            tokens=None if self.captions is None else self.captions.tokens(self.caption_texts(indices)),
        )

    def caption_texts(self, indices: Int64[Tensor, "b"]) -> list[str | None]:
        """The captions of pictures; None where a picture has none."""
        return [self.texts[i] for i in indices.tolist()]

    def names(self, indices: Int64[Tensor, "b"]) -> list[str]:
        """The file names of pictures."""
        return [self.files[i].name for i in indices.tolist()]


@dataclass(frozen=True, eq=False)
class Dataset:
    """The data set in a run folder, made by `prepare`."""

    folder: Path
    manifest: Manifest
    pixel_array: PixelArray = field(repr=False)
    captions: CaptionEmbeddings | None = field(repr=False, default=None)  # None: captions are not used
    masks: UInt8[np.ndarray, "n 1 h w"] | None = field(default=None, repr=False)
    latents: Latents | None = field(default=None, repr=False)  # None: models work on pixels

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Open the data set of a run folder. Neither the source nor any option is needed.

        Raises InputError if there is none, or if the hash or shape of its pixels differs from data.json.
        """
        folder = Path(folder)
        if not (folder / MANIFEST_FILE).is_file():
            raise InputError(f"{folder} holds no data set: there is no {MANIFEST_FILE}")
        manifest = Manifest.read(folder / MANIFEST_FILE)
        shape, masks = manifest.pictures.shape, None
        if manifest.masks_sha256 is not None:
            masks = _open_memmap(folder / MASKS_FILE, manifest.masks_sha256, (manifest.rows, 1, *shape[1:]))
        array = _open_memmap(folder / PIXELS_FILE, manifest.pixels_sha256, (manifest.rows, *shape))
        latents = Latents.open(folder, manifest.pixels_sha256)
        return cls(folder, manifest, array, CaptionEmbeddings.open(folder), masks, latents)

    def with_captions(
        self, encoder: Callable[[], TextEncoder], progress: Callable[[int, int], object] = lambda done, total: None
    ) -> "Dataset":
        """This data set with encoded captions. `encoder` is only called if they are not in the run folder yet.

        progress: called with (texts done, texts in all). Raises InputError if there are no captions.
        """
        texts = [text for text in self.texts.values() if text is not None]
        return replace(self, captions=encode_captions(self.folder, texts, encoder, progress))

    def with_latents(self, space: LatentSpace, encode: Encode, mirrored: bool) -> "Dataset":
        """This data set with the latents of its pictures, as `encode_latents` makes them."""
        sha256 = self.manifest.pixels_sha256
        latents = encode_latents(self.folder, self.pixel_array, sha256, space, encode, mirrored)
        return replace(self, latents=latents)

    @property
    def pictures(self) -> Pictures:
        """Mode, size, names of labels and attributes, the text encoder if captions are used, the latents' size."""
        return replace(
            self.manifest.pictures,
            text_encoder=None if self.captions is None else self.captions.encoder_info,
            latent=None if self.latents is None else self.latents.index.space,
        )

    @property
    def sigma_data(self) -> float:
        """The standard deviation of the training pictures in model space, over all channels."""
        return self.manifest.sigma_data if self.latents is None else self.latents.index.sigma_data

    def layer_std(self, layer: DataLayer) -> float:
        """The standard deviation in model space of the training pictures or of their masks.

        Raises InputError for masks if the data set has none.
        """
        std = {"picture": self.sigma_data, "mask": self.manifest.mask_deviation}[layer]
        if std is None:
            raise InputError(f"{self.folder} holds pictures without masks: prepare it from a source with masks")
        return std

    @property
    def notes(self) -> tuple[str, ...]:
        """For the user: how the source was read, what was chosen and what was left out."""
        return self.manifest.notes

    @cached_property
    def texts(self) -> dict[str, str | None]:
        """The caption of each file, by name. Raises InputError as `read_captions` does."""
        files = self.manifest.files
        return dict(zip((f.name for f in files), read_captions(files, self.manifest.source), strict=True))

    @cached_property
    def train(self) -> Subset:
        """The pictures to train on."""
        return self._subset("train")

    @cached_property
    def held_out(self) -> Subset:
        """The pictures that are never trained on."""
        return self._subset("held_out")

    def _subset(self, split: SplitName) -> Subset:
        files = tuple(f for f in self.manifest.files if f.split == split and f.copy_of is None)
        return Subset(
            self.pictures,
            files,
            self.pixel_array,
            np.array([f.row for f in files], np.int64),
            _label_indices(files, self.pictures.labels),
            torch.from_numpy(encode_attributes(self.manifest.columns, [f.attributes for f in files]))
            if self.manifest.columns
            else None,
            () if self.captions is None else tuple(self.texts[f.name] for f in files),
            self.captions,
            self.masks,
            self.latents,
        )


def _mirror(x: Tensor, flip: Tensor | None) -> Tensor:
    """x, (B, …, W), with the chosen images mirrored."""
    return x if flip is None else torch.where(flip[:, None, None, None], x.flip(-1), x)


def _label_indices(files: Sequence[FileRecord], names: Sequence[str]) -> Tensor | None:
    if not names:
        return None
    numbers = {name: i for i, name in enumerate(names)}
    return torch.tensor([-1 if f.label is None else numbers[f.label] for f in files], dtype=torch.int64)


def _open_memmap(path: Path, sha256: str, shape: tuple[int, ...]) -> np.ndarray:
    """A uint8 array, mapped into memory. Raises InputError if its hash or shape is another."""
    try:
        if file_sha256(path) != sha256:
            raise InputError(f"{path} has another hash than {MANIFEST_FILE} says: prepare the data set again")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(f"{path} has another shape than {MANIFEST_FILE} says: prepare the data set again")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: prepare the data set again") from error
    return np.asarray(array)
