"""The edits on 8-bit pictures, as files hold them, around the edits in model space.

Each draws one `EditBatch`: a result for each seed of the batch, (B, C, H, W), of one picture, (1, C, H, W), or of as
many as there are seeds.
"""

from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor, nn

from ..diffusion.sampler import sample
from ..errors import InputError, lookup
from ..models.codec import Codec
from ..sampling.batch import EditBatch, OneOrEach
from ..shapes import Images, UInt8Images
from .hspace import Direction, HSpaceEdit
from .inpaint import KnownMask, inpaint_ddnm, inpaint_repaint, restore_known
from .tile import OutpaintDenoiser, SeamlessDenoiser, border_mask
from .upscale import project_to_range, upscale
from .vary import vary

INPAINT_METHODS = {"repaint": inpaint_repaint, "ddnm": inpaint_ddnm}


def vary_picture(codec: Codec, batch: EditBatch, pixels: OneOrEach, strength: float) -> UInt8Images:
    """Variations of the picture; strength above 0 (almost no change) to 1."""
    x0 = batch.encode_repeated(codec, pixels)
    x = vary(batch.denoise, batch.sampler, batch.grid, x0, strength, batch.noise, batch.temperature)
    return codec.decode_samples(x).cpu()


def inpaint_picture(
    codec: Codec, batch: EditBatch, pixels: OneOrEach, known_mask: KnownMask, rounds: int = 5, method: str = "repaint"
) -> UInt8Images:
    """Pixels where `known_mask` is 0 are drawn; the others stay the same, byte for byte. A picture larger than the
    model's is denoised in windows. Raises InputError if no pixel is to be drawn."""
    if bool(known_mask.all()):
        raise InputError("no pixels to fill in: mark at least one")
    x0, known = batch.encode_repeated(codec, pixels), codec.shrink_known(known_mask)
    is_larger = x0.shape[1:] != codec.shape
    denoise = OutpaintDenoiser(batch.denoise, *codec.shape[1:]) if is_larger else batch.denoise
    fill = lookup(method, INPAINT_METHODS, "inpainting method")
    x = fill(denoise, batch.sampler, batch.grid, x0, known.to(x0), batch.noise, rounds, batch.temperature)
    return restore_known(pixels, known_mask, codec.decode_samples(x).cpu())


def upscale_picture(
    codec: Codec, batch: EditBatch, small: UInt8[Tensor, "#b c h2 w2"], factor: int, rounds: int = 3
) -> UInt8Images:
    """A small picture at the model's size, `factor` times as large; reduced again, it is the small picture."""
    codec.require_pixels("enlarging")
    repeated = batch.encode_repeated(codec, small)
    x = upscale(batch.denoise, batch.sampler, batch.grid, repeated, factor, batch.noise, rounds, batch.temperature)
    return codec.decode(project_to_range(x, repeated, factor, codec.pictures.has_alpha)).cpu()


def sample_seamless(codec: Codec, batch: EditBatch, axes: str = "xy") -> UInt8Images:
    """New pictures that are seamless in `axes`: x, y or xy."""
    codec.require_pixels("a seamless edge")
    seamless = SeamlessDenoiser(batch.denoise, "x" in axes, "y" in axes)
    x = sample(seamless, batch.sampler, batch.grid, batch.initial_noise(codec), batch.noise)
    return codec.decode_samples(x).cpu()


def remove_seam(
    codec: Codec, batch: EditBatch, pixels: OneOrEach, axes: str, band: int, rounds: int = 5
) -> UInt8Images:
    """The picture made seamless in `axes`: `band` pixels at each edge are drawn anew, the others stay the same."""
    codec.require_pixels("a seamless edge")
    known_mask = border_mask(codec.pictures.height, codec.pictures.width, band, "x" in axes, "y" in axes)
    seamless = SeamlessDenoiser(batch.denoise, "x" in axes, "y" in axes)
    x0, mask, noise = batch.encode_repeated(codec, pixels), known_mask.to(batch.device), batch.noise
    x = inpaint_repaint(seamless, batch.sampler, batch.grid, x0, mask, noise, rounds, batch.temperature)
    return restore_known(pixels, known_mask, codec.decode_samples(x).cpu())


def sample_masks(codec: Codec, batch: EditBatch) -> Images:
    """Sampled masks of the input that the model is conditioned on, in model space."""
    return sample(batch.denoise, batch.sampler, batch.grid, batch.initial_noise(codec), batch.noise)


def sample_along(
    codec: Codec, batch: EditBatch, module: nn.Module, along: Sequence[tuple[Direction, float]]
) -> UInt8Images:
    """New pictures, moved along (direction, strength) pairs in the output of `module`."""
    moves = [(d, s) for d, s in along if s]
    denoise = HSpaceEdit(batch.denoise, module, moves) if moves else batch.denoise
    x = sample(denoise, batch.sampler, batch.grid, batch.initial_noise(codec), batch.noise)
    return codec.decode_samples(x).cpu()
