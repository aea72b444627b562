"""What films show: pictures coming out of their noise, a model growing, a walk through what it can draw.

Each is a `Reel` of pictures at native size; viz/film.py enlarges and writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..condition import Condition
from ..errors import InputError
from ..model import PictureModel
from ..sampler import Sampler
from ..shapes import Bytes, Grid
from ..viz.strip import at_unit_scale, short
from .generate import generate, start
from .growth import grown


@dataclass(frozen=True, eq=False)
class Reel:
    """Pictures in time."""

    frames: Sequence[Bytes]  # (B, C, H, W) each
    said: Sequence[str]  # of each frame: what moment it is, in a few letters
    loops: bool = False  # the frame after the last is the first; else the last is what it is about


def denoising(
    model: PictureModel,
    seeds: Sequence[int],
    cond: Condition | None,
    sampler: Sampler,
    grid: Grid,
    guidance: float = 1.0,
    batch: int = 16,
    *,
    noisy: bool = False,
) -> Reel:
    """All pictures coming out of their noise at once: first the noise, then after each step what the model sees in it,
    or x_t itself where `noisy`; at last the pictures."""
    pictures, schedule, steps = model.pictures, model.schedule, len(grid) - 1
    begun, _ = start(model, seeds, grid)
    frames: list[list[Bytes]] = [[pictures.decode(at_unit_scale(begun, schedule))], *([] for _ in range(steps))]
    states = generate(model, seeds, cond, sampler, grid, guidance, batch)
    for i, state in enumerate(states):
        number = i % steps + 1  # one batch walks after another
        if number == steps:
            shown = pictures.finished(state.x.cpu())
        else:
            shown = pictures.decode(at_unit_scale(state, schedule) if noisy else state.preview.cpu())
        frames[number].append(shown)
    ratios = [float(schedule.ratio(t)) for t in grid[:-1]]
    return Reel([torch.cat(parts) for parts in frames], [*map(short, ratios), "0"])


def growth(run: Path, model: PictureModel, number: int | None = None) -> Reel:
    """What a run drew from the same noises, at each stage that it kept; the first `number` of them."""
    found = grown(run / "samples", model.pictures)
    if len(found.images) < 2:
        raise InputError(f"{run} holds no samples of a model that grew: give a run folder, which `noisette train` made")
    return Reel([pictures[:number] for pictures in found.pictures], [short(images) for images in found.images])
