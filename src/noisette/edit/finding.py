"""Directions inside a model, found with the model alone: what varies most, and what sets labels apart."""

from collections.abc import Iterable, Sequence

import torch

from ..model import PictureModel
from ..shapes import Grid
from .generate import start
from .hspace import Direction, Place, drawn, principal, semantic
from .retouch import Turn


def components(model: PictureModel, turns: Iterable[Turn], number: int, place: Place = "decoder") -> list[Direction]:
    """Principal directions of the pictures that these turns draw. Their denoisers are not guided: the network is to see
    each picture once."""
    part, parts = semantic(model.net, place), []
    for turn in turns:
        times, seen = drawn(turn.denoise, part, turn.grid, turn.start(model.pictures), turn.noise)
        parts.append(seen)
    return principal(times, torch.cat(parts, 1), number, place)


def of_labels(
    model: PictureModel, labels: Sequence[str], seeds: Sequence[int], grid: Grid, place: Place = "decoder"
) -> list[Direction]:
    """What sets each label apart from the mean of all, from the same noises."""
    part, means = semantic(model.net, place), {}
    for name in labels:
        cond = model.condition(name, len(seeds))
        state, noise = start(model, seeds, grid)
        denoise = model.given(None if cond is None else cond.to(state.x.device))
        times, seen = drawn(denoise, part, grid, state.x, noise)
        means[name] = seen.mean(1)
    if not means:
        return []
    middle = torch.stack(list(means.values())).mean(0)
    return [Direction(name, times, mean - middle, place) for name, mean in means.items()]
