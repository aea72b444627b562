"""A walk through what a model can draw: noises and wishes that turn into each other, frame by frame.

Noises are turned on their sphere (slerp), since a straight line between two of them passes through less noise than the
model has ever seen. Every draw is turned so, not only the first: any sampler will do, and loops close exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..condition import Condition
from ..errors import InputError
from ..model import PictureModel
from ..noise import Noise
from ..sampler import Sampler, sample
from ..shapes import Bytes, Grid, Images, PerImage
from .generate import Guidance, fresh, noise_of, steered
from .kin import Kin


def slerp(a: Images, b: Images, w: PerImage) -> Images:
    """From a, where w is 0, to b, where it is 1, on a great circle; image by image. Parallel ones: a straight line."""
    angle = F.cosine_similarity(a.flatten(1).cpu().double(), b.flatten(1).cpu().double()).clamp(-1, 1).acos()
    w = w.to(angle)  # in float64 on the CPU, where every machine has it
    straight = angle.sin() < 1e-6
    sine = angle.sin().masked_fill(straight, 1)
    left = torch.where(straight, 1 - w, ((1 - w) * angle).sin() / sine)
    right = torch.where(straight, w, (w * angle).sin() / sine)
    left, right = (torch.where(w == end, torch.ones_like(w), c) for c, end in ((left, 0), (right, 1)))
    return left.reshape(-1, 1, 1, 1).to(a) * a + right.reshape(-1, 1, 1, 1).to(a) * b


@dataclass(frozen=True, eq=False)
class Between:
    """A noise between two noises: every draw is turned from one's towards the other's."""

    one: Noise
    other: Noise
    weight: PerImage

    def __call__(self, like: Images) -> Images:
        return slerp(self.one(like), self.other(like), self.weight)


@dataclass(frozen=True)
class Place:
    """A frame's place: between stop `start` and stop `end`, `weight` of the way."""

    start: int
    end: int
    weight: float


def places(stops: int, frames: int, closed: bool = True) -> list[Place]:
    """Frames evenly spread over a walk through stops 0, 1, … and, if it is closed, back to 0.

    The frame after the last one of a closed walk is its first; an open walk ends with its last stop.
    """
    if stops < 2 or frames < 2:
        raise InputError(f"a walk of {stops} stops in {frames} frames goes nowhere: it needs at least 2 of each")
    legs = stops if closed else stops - 1
    found = []
    for frame in range(frames):
        at = frame * legs / (frames if closed else frames - 1)
        leg = min(int(at), legs - 1)
        found.append(Place(leg, (leg + 1) % stops, at - leg))
    return found


def noise_at(seeds: Sequence[int | Kin], found: Sequence[Place]) -> Between:
    """The noise of frames at these places, where stop i has seed i."""
    weight = torch.tensor([p.weight for p in found], dtype=torch.float64)
    return Between(noise_of([seeds[p.start] for p in found]), noise_of([seeds[p.end] for p in found]), weight)


def condition_at(stops: Condition, found: Sequence[Place], classes: int) -> Condition:
    """What is asked at these places, where row i of `stops` is asked at stop i: a mixture of both ends, by weight.

    Where one end asks for nothing, the nearer end counts.
    """
    w = torch.tensor([p.weight for p in found], dtype=torch.float64)

    def at(rows: Tensor) -> Tensor:
        rows = weights(rows, classes) if rows.ndim == 1 else rows
        a, b = (rows[[getattr(p, end) for p in found]] for end in ("start", "end"))
        weight = w.to(rows).reshape((-1,) + (1,) * (rows.ndim - 1))
        nearer = torch.where(weight < 0.5, a, b)
        return torch.where(a.isnan() | b.isnan(), nearer, (1 - weight) * a + weight * b)

    return stops.each(at)


def weights(labels: Tensor, classes: int) -> Float[Tensor, "b classes"]:
    """Class numbers as weights of a mixture of one; -1, none, is NaN throughout."""
    rows = F.one_hot(labels.clamp(min=0), classes).float()
    return torch.where(labels[:, None] < 0, torch.nan, rows)


def walked(
    model: PictureModel,
    seeds: Sequence[int | Kin],
    asked: Condition | None,
    found: Sequence[Place],
    sampler: Sampler,
    grid: Grid,
    guidance: float | Guidance = 1.0,
    batch: int = 16,
) -> Iterator[Bytes]:
    """The frames at these places, `batch` at a time, on the CPU; stop i has seed i, and row i of `asked`.

    Of `guidance`, row i of what is gone away from is stop i's, too; what pulls has to pull all pictures alike.
    """
    how = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
    device, classes = next(model.parameters()).device, model.config.net.classes
    for first in range(0, len(found), batch):
        part = found[first : first + batch]
        cond, away = (
            None if stops is None else condition_at(stops, part, classes).to(device) for stops in (asked, how.negative)
        )
        denoise, noise = steered(model, cond, replace(how, negative=away)), noise_at(seeds, part)
        blank = torch.empty(len(part), *model.pictures.shape, device=device)
        x = fresh(denoise, grid, blank, noise, model.config.sampling.temperature)
        yield model.pictures.finished(sample(denoise, sampler, grid, x, noise)).cpu()
