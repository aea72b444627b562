"""Directions inside one's own model, and what they do (Kwon et al. 2023; found as in Haas et al. 2024).

h_t is what a part of the network answers at time t: (k, i, j) an image. A direction is a Δh for each time of a grid;
strength s adds s Δh_t and changes x0 alone (`Asyrp`). No other network is asked what a picture shows: directions are
principal components of h over pictures, or differences between the means of two kinds.

Which part? Kwon et al. edit the bottleneck, of 8×8, of networks for 256×256. In a network for 16×16 or 32×32 nearly all
passes by the bottleneck through the skip connections, and editing it does next to nothing (docs/steering.md). What
holds there what a picture is are the decoder's features at half of the picture's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..denoiser import Denoiser, Prediction
from ..errors import InputError
from ..guidance import Asyrp, Wrapper, tapped
from ..noise import Noise
from ..sampler import DDIM, Sampler, sample
from ..shapes import Grid, Images, Time

EULER = DDIM()
Place = Literal["decoder", "mid"]  # of a network: before its finest level, or its bottleneck
PLACES: dict[str, Place] = {"decoder": "decoder", "mid": "mid"}
Times = Float[Tensor, "kept"]  # of a grid, without 0
Seen = Float[Tensor, "kept b k i j"]  # what the bottleneck answered at each of them


@dataclass(frozen=True, eq=False)
class Direction:
    """A Δh for each of some times. Strength 1 is one standard deviation, or the difference of two kinds."""

    name: str
    times: Times
    values: Float[Tensor, "kept k i j"]
    place: Place = "decoder"

    def at(self, t: Tensor) -> Float[Tensor, "k i j"]:
        """That of the nearest time, in the logarithm."""
        return self.values[int((self.times.log() - t.cpu().double().clamp(min=1e-9).log()).abs().argmin())]


@dataclass(frozen=True, eq=False)
class Directed(Wrapper):
    """x0 moved along directions of one part of the network, each as strongly as said; ε as it was."""

    part: nn.Module
    along: Sequence[tuple[Direction, float]]

    def __call__(self, x: Images, t: Time) -> Prediction:
        step = sum((s * d.at(t.flatten()[0]) for d, s in self.along), torch.zeros(())).to(x)
        return Asyrp(self.denoiser, self.part, lambda h: h + step.to(h))(x, t)


def semantic(net: nn.Module, place: Place = "decoder") -> nn.Module:
    """The part of a network whose output is h-space; the bottleneck, where the network names no such decoder."""
    found = getattr(net, place, None) or getattr(net, "mid", None)
    if not isinstance(found, nn.Module):
        raise InputError(f"a {type(net).__name__} has no bottleneck to edit: h-space is a U-Net's")
    return found


@dataclass(frozen=True, eq=False)
class Watched(Wrapper):
    """The same answers; what a part of the network said on the way is kept, by time."""

    part: nn.Module
    seen: dict[float, Tensor]

    def __call__(self, x: Images, t: Time) -> Prediction:
        def keep(h: Tensor) -> Tensor:
            self.seen[float(t.flatten()[0])] = h.detach()
            return h

        with tapped(self.part, keep):
            return self.denoiser(x, t)


def drawn(
    denoise: Denoiser, part: nn.Module, grid: Grid, x: Images, noise: Noise, sampler: Sampler = EULER
) -> tuple[Times, Seen]:
    """Draw from x, and return the grid's times and h at each of them."""
    watched = Watched(denoise, part, {})
    sample(watched, sampler, grid, x, noise)
    return torch.tensor(list(watched.seen), dtype=torch.float64), torch.stack(list(watched.seen.values()))


@torch.no_grad()
def looked_at(denoise: Denoiser, part: nn.Module, grid: Grid, pictures: Images, noise: Noise) -> tuple[Times, Seen]:
    """The same of pictures that there are: h at x_t ~ q(x_t | picture), with one noise for a picture at all times."""
    watched, eps = Watched(denoise, part, {}), noise(pictures)
    for t in grid[grid > 0]:
        watched(denoise.schedule.diffuse(pictures, t, lambda like: eps), t)
    return torch.tensor(list(watched.seen), dtype=torch.float64), torch.stack(list(watched.seen.values()))


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def principal(times: Times, seen: Seen, number: int, place: Place = "decoder") -> list[Direction]:
    """The directions in which h varies most, over all times together; one standard deviation long, without a sign of
    their own: the largest entry is positive."""
    rows = seen.transpose(0, 1).flatten(1).cpu().double()  # (b, kept k i j)
    if not 0 < number < len(rows):
        raise InputError(f"{number} directions cannot be found in {len(rows)} pictures: ask for 1 to {len(rows) - 1}")
    rows = rows - rows.mean(0)
    _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
    share = sizes.square() / sizes.square().sum()
    found = []
    for i in range(number):
        axis = axes[i] * axes[i][axes[i].abs().argmax()].sign() * sizes[i] / (len(rows) - 1) ** 0.5
        values = axis.reshape(seen.shape[0], *seen.shape[2:]).to(seen)
        found.append(Direction(f"component {i + 1} ({100 * share[i]:.0f} %)", times, values, place))
    return found


def difference(name: str, times: Times, of: Seen, against: Seen, place: Place = "decoder") -> Direction:
    """From the mean of one kind of pictures to that of another: classes, or labelled pairs, row by row the same."""
    return Direction(name, times, of.mean(1) - against.mean(1), place)


def scaled(direction: Direction, by: float) -> Direction:
    return replace(direction, values=by * direction.values)


# ── measuring ─────────────────────────────────────────────────────────────────────────────────────────────────────


def linearity(strengths: Float[Tensor, "s"], effects: Float[Tensor, "s b"]) -> tuple[float, float]:
    """The slope of an effect, per unit of strength, and R² of a line for each image; means over images.

    An image on which nothing happens at all lies on its line.
    """
    x = (strengths - strengths.mean()).double()[:, None]
    y = (effects - effects.mean(0)).double()
    slope = (x * y).sum(0) / x.square().sum()
    rest, total = (y - slope * x).square().sum(0), y.square().sum(0)
    r2 = torch.where(total > 1e-12, 1 - rest / total.clamp(min=1e-12), torch.ones_like(total))
    return slope.mean().item(), r2.mean().item()


def homogeneity(changes: Images) -> float:
    """How alike one direction changes different images: the mean cosine between two images' changes."""
    unit = torch.nn.functional.normalize(changes.flatten(1).cpu().double(), dim=1)
    n = len(unit)
    return ((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1))).item()


def composition(both: Images, one: Images, other: Images) -> float:
    """How near the change by two directions at once is to the sum of their changes: 1 − |both − sum| / |sum|."""
    total = (one + other).flatten(1).cpu().double()
    return (1 - (both.flatten(1).cpu().double() - total).norm(dim=1) / total.norm(dim=1).clamp(min=1e-12)).mean().item()
