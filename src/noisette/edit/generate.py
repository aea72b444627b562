"""Draw new pictures: noise, walked down a grid."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from ..condition import Condition
from ..denoiser import Denoiser
from ..errors import InputError
from ..guidance import Clipped, Guided
from ..model import PictureModel
from ..noise import Noise, Seeded
from ..sampler import DDIM, Sampler, State, trajectory
from ..shapes import Grid, Images
from .kin import Kin, Turned

ALWAYS = (0.0, 1.0)  # the times at which guidance guides, unless said


def steered(
    model: PictureModel, cond: Condition | None, guidance: float = 1.0, interval: tuple[float, float] = ALWAYS
) -> Denoiser:
    """The model as a denoiser of what is asked for, kept within [-1, 1].

    `guidance` goes `guidance` times as far from anything towards what is asked for; 1 is the model itself. It does so
    at times within `interval` alone.
    """
    if guidance == 1:
        return Clipped(model.given(cond))
    if cond is None:
        raise InputError(f"guidance {guidance:g} has nothing to guide to: this model was trained without labels")
    return Clipped(Guided(model.given(cond), away=model.given(cond.null()), scale=guidance, interval=interval))


def with_eta(sampler: Sampler, eta: float | None) -> Sampler:
    """DDIM with `eta` times DDPM's noise, 0 to 1. None leaves a sampler, any sampler, as it is."""
    if eta is None:
        return sampler
    if not isinstance(sampler, DDIM):
        raise InputError(f"a {type(sampler).__name__} has no η: choose ddim, or leave η out")
    if not 0 <= eta <= 1:
        raise InputError(f"η is {eta:g}: give 0, which adds no noise, to 1, which is DDPM")
    return replace(sampler, eta=eta)


def noise_of(seeds: Sequence[int | Kin]) -> Noise:
    """The noise of each image: that of its seed, or a turned one."""
    if all(isinstance(seed, int) for seed in seeds):
        return Seeded([seed for seed in seeds if isinstance(seed, int)])
    return Turned([seed if isinstance(seed, Kin) else Kin(seed) for seed in seeds])


def start(model: PictureModel, seeds: Sequence[int | Kin], grid: Grid) -> tuple[State, Noise]:
    """Pure noise at the grid's first time, one seed an image, and the noise that the walk goes on with."""
    noise = noise_of(seeds)
    blank = torch.empty(len(seeds), *model.pictures.shape, device=next(model.parameters()).device)
    return State(fresh(model, grid, blank, noise), grid[0]), noise


def fresh(process: Denoiser | PictureModel, grid: Grid, like: Images, noise: Noise) -> Images:
    """Pure noise at the grid's first time, of the shape of `like`."""
    return noise(like) * process.schedule.at(grid[0], like)[1]


def generate(
    model: PictureModel,
    seeds: Sequence[int | Kin],
    cond: Condition | None,
    sampler: Sampler,
    grid: Grid,
    guidance: float = 1.0,
    batch: int = 16,
    interval: tuple[float, float] = ALWAYS,
) -> Iterator[State]:
    """Every state of every walk, `batch` images at a time; the last of each walk is at grid[-1].

    Image i has the noise of seeds[i], whatever it is drawn together with; row i of `cond` is its own.
    """
    for first in range(0, len(seeds), batch):
        rows = slice(first, first + batch)
        asked = None if cond is None else cond[rows].to(next(model.parameters()).device)
        state, noise = start(model, seeds[rows], grid)
        yield from trajectory(steered(model, asked, guidance, interval), sampler, grid, state.x, noise)


def ends(states: Iterator[State], grid: Grid) -> Images:
    """What the walks of `generate` end in, on the CPU: (B, C, H, W)."""
    return torch.cat([s.x.cpu() for s in states if s.t == grid[-1]])
