"""What the edits do with pictures as they lie in files: 8 bits in, 8 bits out, around the edits in model space.

Each draws one batch, a `Turn`. A single picture, (1, C, H, W), becomes one result for each seed of the turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from ..denoiser import Denoiser
from ..errors import InputError, known
from ..noise import Noise
from ..pictures import Pictures
from ..sampler import Sampler, sample
from ..shapes import Bytes, Grid, Images
from .generate import fresh
from .hspace import Directed, Direction
from .inpaint import Known, fill, kept, repaint
from .tile import Rolled, Windowed, border
from .upscale import upscale, within
from .vary import vary

One = UInt8[Tensor, "1 c h w"]

WAYS = {"repaint": repaint, "ddnm": fill}


@dataclass(frozen=True, eq=False)
class Turn:
    """Some pictures, drawn at once: all that an edit is made of."""

    denoise: Denoiser
    sampler: Sampler
    grid: Grid
    noise: Noise
    size: int  # how many
    device: torch.device
    first: int = 0  # how many were drawn before
    temperature: float = 1.0  # of the noise that new pictures begin with

    def several(self, pictures: Pictures, pixels: One) -> Images:
        """One picture in model space, once for each of the turn, with memory of its own."""
        return pictures.encode(pixels).to(self.device).expand(self.size, -1, -1, -1).contiguous()

    def start(self, pictures: Pictures) -> Images:
        """Pure noise of the model's own size."""
        blank = torch.empty(self.size, *pictures.shape, device=self.device)
        return fresh(self.denoise, self.grid, blank, self.noise, self.temperature)


def varied(pictures: Pictures, turn: Turn, pixels: One, strength: float) -> Bytes:
    """Pictures like this one."""
    x0 = turn.several(pictures, pixels)
    return pictures.finished(vary(turn.denoise, turn.sampler, turn.grid, x0, strength, turn.noise)).cpu()


def filled(pictures: Pictures, turn: Turn, pixels: One, there: Known, rounds: int = 5, way: str = "repaint") -> Bytes:
    """What is not `there` is drawn; the rest stays, byte for byte. A picture larger than the model's is drawn in
    windows."""
    if bool(there.all()):
        raise InputError("nothing is to be filled in: mark what is to be drawn anew")
    x0, larger = turn.several(pictures, pixels), pixels.shape[2:] != (pictures.height, pictures.width)
    denoise = Windowed(turn.denoise, pictures.height, pictures.width) if larger else turn.denoise
    fills = known(way, WAYS, "way of inpainting")
    drawn = fills(denoise, turn.sampler, turn.grid, x0, there.to(x0), turn.noise, rounds)
    return kept(pixels, there, pictures.finished(drawn).cpu())


def enlarged(pictures: Pictures, turn: Turn, small: UInt8[Tensor, "1 c h2 w2"], factor: int, rounds: int = 3) -> Bytes:
    """A small picture at the model's size: shrunk again, it is the small one."""
    several = turn.several(pictures, small)
    drawn = upscale(turn.denoise, turn.sampler, turn.grid, several, factor, turn.noise, rounds, turn.temperature)
    return pictures.decode(within(drawn, several, factor, pictures.has_alpha)).cpu()


def seamless(pictures: Pictures, turn: Turn, axes: str = "xy") -> Bytes:
    """New pictures that go on at their other side in x, in y or in both."""
    rolled = Rolled(turn.denoise, "x" in axes, "y" in axes)
    return pictures.finished(sample(rolled, turn.sampler, turn.grid, turn.start(pictures), turn.noise)).cpu()


def mended(pictures: Pictures, turn: Turn, pixels: One, axes: str, band: int, rounds: int = 5) -> Bytes:
    """The same picture without a seam: `band` pixels at each edge are drawn anew."""
    there = border(pictures.height, pictures.width, band, "x" in axes, "y" in axes)
    rolled = Rolled(turn.denoise, "x" in axes, "y" in axes)
    x0 = turn.several(pictures, pixels)
    drawn = repaint(rolled, turn.sampler, turn.grid, x0, there.to(x0), turn.noise, rounds)
    return kept(pixels, there, pictures.finished(drawn).cpu())


def found(pictures: Pictures, turn: Turn) -> Images:
    """Samples of the mask of what the model was given, in model space."""
    return sample(turn.denoise, turn.sampler, turn.grid, turn.start(pictures), turn.noise)


def moved(pictures: Pictures, turn: Turn, part: nn.Module, along: Sequence[tuple[Direction, float]]) -> Bytes:
    """New pictures, moved along directions of a part of the network."""
    there = [(d, s) for d, s in along if s]
    denoise = Directed(turn.denoise, part, there) if there else turn.denoise
    return pictures.finished(sample(denoise, turn.sampler, turn.grid, turn.start(pictures), turn.noise)).cpu()
