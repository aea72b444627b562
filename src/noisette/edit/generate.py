"""Draw new pictures: noise, walked down a grid."""

from collections.abc import Iterator, Sequence

import torch

from ..condition import Condition
from ..denoiser import Denoiser
from ..errors import InputError
from ..guidance import Clipped, Guided
from ..model import PictureModel
from ..noise import Seeded
from ..sampler import Sampler, State, trajectory
from ..shapes import Grid, Images


def steered(model: PictureModel, cond: Condition | None, guidance: float = 1.0) -> Denoiser:
    """The model as a denoiser of what is asked for, kept within [-1, 1].

    `guidance` goes `guidance` times as far from anything towards what is asked for; 1 is the model itself.
    """
    if guidance == 1:
        return Clipped(model.given(cond))
    if cond is None:
        raise InputError(f"guidance {guidance:g} has nothing to guide to: this model was trained without labels")
    return Clipped(Guided(model.given(cond), away=model.given(cond.null()), scale=guidance))


def start(model: PictureModel, seeds: Sequence[int], grid: Grid) -> tuple[State, Seeded]:
    """Pure noise at the grid's first time, one seed an image, and the noise that the walk goes on with."""
    noise = Seeded(seeds)
    blank = torch.empty(len(seeds), *model.pictures.shape, device=next(model.parameters()).device)
    return State(noise(blank) * model.schedule.at(grid[0], blank)[1], grid[0]), noise


def generate(
    model: PictureModel,
    seeds: Sequence[int],
    cond: Condition | None,
    sampler: Sampler,
    grid: Grid,
    guidance: float = 1.0,
    batch: int = 16,
) -> Iterator[State]:
    """Every state of every walk, `batch` images at a time; the last of each walk is at grid[-1].

    Image i has the noise of seeds[i], whatever it is drawn together with; row i of `cond` is its own.
    """
    for first in range(0, len(seeds), batch):
        rows = slice(first, first + batch)
        asked = None if cond is None else cond[rows].to(next(model.parameters()).device)
        state, noise = start(model, seeds[rows], grid)
        yield from trajectory(steered(model, asked, guidance), sampler, grid, state.x, noise)


def ends(states: Iterator[State], grid: Grid) -> Images:
    """What the walks of `generate` end in, on the CPU: (B, C, H, W)."""
    return torch.cat([s.x.cpu() for s in states if s.t == grid[-1]])
