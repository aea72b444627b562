"""Reading a user's picture or mask for a model, converted in the same way as the model's training data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..io.files import read_bytes
from ..shapes import UInt8Images
from .color_mode import convert_mode
from .decode import decode_deep, decode_raw, is_deep
from .entry import BadPicture, Pixels
from .levels import Levels
from .pictures import MODE_BY_CHANNELS, Pictures
from .resize import fitted_size, pad, resize_and_pad, resize_area


@dataclass(frozen=True, eq=False)
class LoadedPicture:
    """A picture file, converted to a model's mode and size."""

    path: Path
    sha256: str  # of the file
    size: tuple[int, int]  # height and width of the file
    pixels: UInt8Images  # (1, C, H, W) in the model's mode and size; colors of transparent pixels are kept
    opaque_mask: Float[Tensor, "1 1 h w"]  # 0 where the picture is fully transparent, 1 elsewhere
    notes: tuple[str, ...] = ()  # for the user: each conversion that was made


def read_picture(path: str | Path, pictures: Pictures, size: tuple[int, int] | None = None) -> LoadedPicture:
    """Read a picture file for a model of `pictures`, at the model's size or at `size` (height, width).

    The picture is converted to the model's mode and resized as training data are; `notes` lists what was changed.
    Raises InputError for a file that cannot be used, and for pixel art whose size no whole factor leads to.
    """
    path, (height, width) = Path(path), size or (pictures.height, pictures.width)
    data, pixels = _decode(path, pictures.levels)
    h, w, channels = pixels.shape
    notes = []
    if MODE_BY_CHANNELS[channels] != pictures.mode:
        notes.append(f"{path} is {MODE_BY_CHANNELS[channels]}: converted to {pictures.mode}, the model's mode")
    if (h, w) != (height, width):
        notes.append(f"{path} is {w}×{h}: resized to {width}×{height}")
    fitted = resize_and_pad(convert_mode(pixels, pictures.mode), height, width, pictures.pixel_art)
    alpha = pixels[..., -1:] if channels in (2, 4) else np.full((h, w, 1), 255, np.uint8)
    opaque = resize_and_pad(alpha, height, width, pictures.pixel_art) > 0
    return LoadedPicture(
        path, hashlib.sha256(data).hexdigest(), (h, w), _to_tensor(fitted), _to_tensor(opaque).float(), tuple(notes)
    )


def read_small(path: str | Path, pictures: Pictures) -> tuple[LoadedPicture, int]:
    """Read a picture to be upscaled, at its own size, and the factor from its size to the model's.

    Raises InputError unless the factor is a whole number, 2 or more, the same for height and width.
    """
    _, pixels = _decode(Path(path), pictures.levels)
    h, w = pixels.shape[:2]
    factor = pictures.height // h
    if factor < 2 or (factor * h, factor * w) != (pictures.height, pictures.width):
        raise InputError(
            f"{path} is {w}×{h}: a whole factor, 2 or more, must lead to {pictures.width}×{pictures.height}, "
            "the model's size"
        )
    return read_picture(path, pictures, (h, w)), factor


def read_mask(path: str | Path, picture: LoadedPicture, pictures: Pictures) -> Float[Tensor, "1 1 h w"]:
    """Read an inpainting mask, float (1, 1, H, W): 1 where the picture is kept, 0 where new pixels are generated.

    White marks the region to generate; in a mask with transparent pixels, transparency does. The mask must have the
    size of the picture's file or of the model's pictures, otherwise InputError. After resizing, a pixel that is
    partly marked is marked.
    """
    _, pixels = _decode(Path(path))
    h, w, channels = pixels.shape
    if (h, w) not in (picture.size, (pictures.height, pictures.width)):
        raise InputError(
            f"the mask {path} is {w}×{h}, the picture {picture.size[1]}×{picture.size[0]}: give them the same size"
        )
    alpha = pixels[..., -1:] if channels in (2, 4) else np.full((h, w, 1), 255, np.uint8)
    marked = alpha < 128 if (alpha < 255).any() else convert_mode(pixels, "L") >= 128
    height, width = pictures.height, pictures.width
    resized = resize_area(marked * np.uint8(255), *fitted_size(h, w, height, width, pictures.pixel_art))
    # with two channels `pad` adds transparent pixels, as it does to pictures with alpha; otherwise it repeats the edge
    layers = np.repeat(resized, 2 if pictures.has_alpha else 1, axis=2)
    return (_to_tensor(pad(layers, height, width)[..., :1]) == 0).float()


def _decode(path: Path, levels: Levels | None = None) -> tuple[bytes, Pixels]:
    """A file, and its pixels; gray pictures of more than 8 bits scaled by the levels of a model."""
    data = read_bytes(path)
    try:
        if levels is not None and is_deep(data):
            return data, levels.scale(decode_deep(data)[0])
        return data, decode_raw(data).pixels
    except BadPicture as error:
        raise InputError(f"{path} {error}") from error


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
