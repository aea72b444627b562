"""The edits on 8-bit pictures, as files hold them, around the edits in model space.

Each draws one `EditBatch`: of one picture, (1, C, H, W), a result for each seed of the batch, (B, C, H, W).
"""

from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor, nn

from ..data.pictures import Pictures
from ..diffusion.sampler import sample
from ..errors import InputError, lookup
from ..sampling.batch import EditBatch, One
from ..shapes import Images, UInt8Images
from .hspace import Direction, HSpaceEdit
from .inpaint import KnownMask, inpaint_ddnm, inpaint_repaint, restore_known
from .tile import OutpaintDenoiser, SeamlessDenoiser, border_mask
from .upscale import project_to_range, upscale
from .vary import vary

INPAINT_METHODS = {"repaint": inpaint_repaint, "ddnm": inpaint_ddnm}


def vary_picture(pictures: Pictures, batch: EditBatch, pixels: One, strength: float) -> UInt8Images:
    """Variations of the picture; strength above 0 (almost no change) to 1."""
    x0 = batch.encode_repeated(pictures, pixels)
    x = vary(batch.denoise, batch.sampler, batch.grid, x0, strength, batch.noise, batch.temperature)
    return pictures.decode_samples(x).cpu()


def inpaint_picture(
    pictures: Pictures, batch: EditBatch, pixels: One, known_mask: KnownMask, rounds: int = 5, method: str = "repaint"
) -> UInt8Images:
    """Pixels where `known_mask` is 0 are drawn; the others stay the same, byte for byte. A picture larger than the
    model's is denoised in windows. Raises InputError if no pixel is to be drawn."""
    if bool(known_mask.all()):
        raise InputError("no pixels to fill in: mark at least one")
    x0, is_larger = batch.encode_repeated(pictures, pixels), pixels.shape[2:] != (pictures.height, pictures.width)
    denoise = OutpaintDenoiser(batch.denoise, pictures.height, pictures.width) if is_larger else batch.denoise
    fill = lookup(method, INPAINT_METHODS, "inpainting method")
    x = fill(denoise, batch.sampler, batch.grid, x0, known_mask.to(x0), batch.noise, rounds, batch.temperature)
    return restore_known(pixels, known_mask, pictures.decode_samples(x).cpu())


def upscale_picture(
    pictures: Pictures, batch: EditBatch, small: UInt8[Tensor, "1 c h2 w2"], factor: int, rounds: int = 3
) -> UInt8Images:
    """A small picture at the model's size, `factor` times as large; reduced again, it is the small picture."""
    repeated = batch.encode_repeated(pictures, small)
    x = upscale(batch.denoise, batch.sampler, batch.grid, repeated, factor, batch.noise, rounds, batch.temperature)
    return pictures.decode(project_to_range(x, repeated, factor, pictures.has_alpha)).cpu()


def sample_seamless(pictures: Pictures, batch: EditBatch, axes: str = "xy") -> UInt8Images:
    """New pictures that are seamless in `axes`: x, y or xy."""
    seamless = SeamlessDenoiser(batch.denoise, "x" in axes, "y" in axes)
    x = sample(seamless, batch.sampler, batch.grid, batch.initial_noise(pictures), batch.noise)
    return pictures.decode_samples(x).cpu()


def remove_seam(
    pictures: Pictures, batch: EditBatch, pixels: One, axes: str, band: int, rounds: int = 5
) -> UInt8Images:
    """The picture made seamless in `axes`: `band` pixels at each edge are drawn anew, the others stay the same."""
    known_mask = border_mask(pictures.height, pictures.width, band, "x" in axes, "y" in axes)
    seamless = SeamlessDenoiser(batch.denoise, "x" in axes, "y" in axes)
    x0, mask, noise = batch.encode_repeated(pictures, pixels), known_mask.to(batch.device), batch.noise
    x = inpaint_repaint(seamless, batch.sampler, batch.grid, x0, mask, noise, rounds, batch.temperature)
    return restore_known(pixels, known_mask, pictures.decode_samples(x).cpu())


def sample_masks(pictures: Pictures, batch: EditBatch) -> Images:
    """Sampled masks of the input that the model is conditioned on, in model space."""
    return sample(batch.denoise, batch.sampler, batch.grid, batch.initial_noise(pictures), batch.noise)


def sample_along(
    pictures: Pictures, batch: EditBatch, module: nn.Module, along: Sequence[tuple[Direction, float]]
) -> UInt8Images:
    """New pictures, moved along (direction, strength) pairs in the output of `module`."""
    moves = [(d, s) for d, s in along if s]
    denoise = HSpaceEdit(batch.denoise, module, moves) if moves else batch.denoise
    x = sample(denoise, batch.sampler, batch.grid, batch.initial_noise(pictures), batch.noise)
    return pictures.decode_samples(x).cpu()
