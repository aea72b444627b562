"""Directions of a model's bottleneck, found with the model alone: what varies most, and what sets labels apart."""

from collections.abc import Iterable, Sequence

import torch

from ..model import PictureModel
from ..shapes import Grid
from .generate import start
from .hspace import Direction, bottleneck, drawn, principal
from .retouch import Turn


def components(model: PictureModel, turns: Iterable[Turn], number: int) -> list[Direction]:
    """Principal directions of the pictures that these turns draw. Their denoisers are not guided: the bottleneck is to
    see each picture once."""
    mid, parts = bottleneck(model.net), []
    for turn in turns:
        times, seen = drawn(turn.denoise, mid, turn.grid, turn.start(model.pictures), turn.noise)
        parts.append(seen)
    return principal(times, torch.cat(parts, 1), number)


def of_labels(model: PictureModel, labels: Sequence[str], seeds: Sequence[int], grid: Grid) -> list[Direction]:
    """What sets each label apart from the mean of all, from the same noises."""
    mid, means = bottleneck(model.net), {}
    for name in labels:
        cond = model.condition(name, len(seeds))
        state, noise = start(model, seeds, grid)
        denoise = model.given(None if cond is None else cond.to(state.x.device))
        times, seen = drawn(denoise, mid, grid, state.x, noise)
        means[name] = seen.mean(1)
    if not means:
        return []
    middle = torch.stack(list(means.values())).mean(0)
    return [Direction(name, times, mean - middle) for name, mean in means.items()]
