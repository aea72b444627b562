"""A picture from outside, as a model's pictures are: by the rules that made its training data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..data.decode import stored
from ..data.entry import BadPicture, Pixels
from ..data.modes import MODES, as_mode
from ..data.resize import area, fit, fitted, pad
from ..errors import InputError
from ..files import read_bytes
from ..pictures import Pictures
from ..shapes import Bytes


@dataclass(frozen=True, eq=False)
class Given:
    """A picture that was read."""

    path: Path
    sha256: str  # of the file
    size: tuple[int, int]  # of the file: height, width
    pixels: Bytes  # (1, C, H, W) of the model's mode and size; what hides under alpha 0 is still there
    opaque: Float[Tensor, "1 1 h w"]  # 0 where it is wholly transparent, 1 elsewhere
    notes: tuple[str, ...] = ()  # what was changed, in sentences


def read_picture(path: str | Path, pictures: Pictures, size: tuple[int, int] | None = None) -> Given:
    """Read a picture for a model of `pictures`, at its own height and width or at `size`.

    Another mode is converted and another size resized, as training data are, and `notes` says so. Raises InputError
    for what cannot be used, and for pixel art of a size that no whole factor leads to.
    """
    path, (height, width) = Path(path), size or (pictures.height, pictures.width)
    data, pixels = _decoded(path)
    h, w, channels = pixels.shape
    notes = []
    if MODES[channels] != pictures.mode:
        notes.append(f"{path} is {MODES[channels]}: made {pictures.mode}, as the model's pictures are")
    if (h, w) != (height, width):
        notes.append(f"{path} is {w}×{h}: made {width}×{height}")
    fitted = fit(as_mode(pixels, pictures.mode), height, width, pictures.pixel_art)
    alpha = pixels[..., -1:] if channels in (2, 4) else np.full((h, w, 1), 255, np.uint8)
    opaque = fit(alpha, height, width, pictures.pixel_art) > 0
    return Given(path, hashlib.sha256(data).hexdigest(), (h, w), _tensor(fitted), _tensor(opaque).float(), tuple(notes))


def read_small(path: str | Path, pictures: Pictures) -> tuple[Given, int]:
    """A picture that a whole number makes as large as the model's, and that number: what upscaling begins with."""
    _, pixels = _decoded(Path(path))
    h, w = pixels.shape[:2]
    factor = pictures.height // h
    if factor < 2 or (factor * h, factor * w) != (pictures.height, pictures.width):
        raise InputError(
            f"{path} is {w}×{h}: a whole number, 2 or more, must make it {pictures.width}×{pictures.height}, "
            "which the model draws"
        )
    return read_picture(path, pictures, (h, w)), factor


def read_mask(path: str | Path, given: Given, pictures: Pictures) -> Float[Tensor, "1 1 h w"]:
    """1 where a pixel of the picture is kept, 0 where a new one is wanted.

    Wanted is what is white in the mask; or, in a mask with transparent pixels, what is transparent. The mask has the
    size of the picture's file or of the model's pictures; resized, a pixel of which a part is wanted is wanted.
    """
    _, pixels = _decoded(Path(path))
    h, w, channels = pixels.shape
    if (h, w) not in (given.size, (pictures.height, pictures.width)):
        raise InputError(f"{path} is {w}×{h} and the picture {given.size[1]}×{given.size[0]}: give them one size")
    alpha = pixels[..., -1:] if channels in (2, 4) else np.full((h, w, 1), 255, np.uint8)
    wanted = alpha < 128 if (alpha < 255).any() else as_mode(pixels, "L") >= 128
    height, width = pictures.height, pictures.width
    marked = area(wanted * np.uint8(255), *fitted(h, w, height, width, pictures.pixel_art))  # where its pixels are
    layers = np.repeat(marked, 2 if pictures.has_alpha else 1, axis=2)  # clear around them, if the picture is
    return (_tensor(pad(layers, height, width)[..., :1]) == 0).float()


def palette_of(path: str | Path) -> Float[Tensor, "n 3"]:
    """The colours of a picture's pixels, 0 … 255, of those that show."""
    _, pixels = _decoded(Path(path))
    rows = as_mode(pixels, "RGBA").reshape(-1, 4)
    return torch.from_numpy(rows[rows[:, 3] > 0][:, :3].copy()).float()


def _decoded(path: Path) -> tuple[bytes, Pixels]:
    data = read_bytes(path)
    try:
        return data, stored(data).pixels
    except BadPicture as error:
        raise InputError(f"{path} {error}") from error


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
