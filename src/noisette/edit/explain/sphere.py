"""Chapter: the sphere of noises. Where a walk begins decides where it ends, and beginnings lie on a sphere."""

from dataclasses import dataclass
from math import cos, pi, sin

import torch
from jaxtyping import Float
from torch import Tensor

from ...noise import Seeded
from ...sampler import Heun, sample, trajectory
from ...shapes import Images
from ...viz.page import paragraph
from ...viz.strip import short
from ...viz.tiles import Cells, View, scrubber, tiles
from ..generate import fresh, steered
from ..walk import slerp
from .subject import Subject

AROUND, STEPS = 12, 14  # points of the circle, steps of each walk
BETWEEN = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Circle:
    """Noises on a great circle, and their walks."""

    noises: Images  # (AROUND, C, H, W)
    times: Tensor  # (steps + 1,)
    pictures: list[Tensor]  # bytes, (steps + 1, C, H, W) of each: x̂0 on the way, and at last the picture


def circle(one: Images, other: Images, points: int = AROUND) -> Float[Tensor, "points c h w"]:
    """Through two noises (1, C, H, W), their opposites, and back: slerp along each quarter."""
    stops = (one, other, -one, -other, one)
    places = [4 * i / points for i in range(points)]
    return torch.cat(
        [slerp(stops[int(p)], stops[int(p) + 1], torch.tensor([p - int(p)], dtype=torch.float64)) for p in places]
    )


def walked(subject: Subject, points: int = AROUND, steps: int = STEPS) -> Circle:
    """Walk back from every point, with one label, by a sampler that adds no noise."""
    model, grid = subject.model, subject.model.grid(steps, "karras")
    one, other = (Seeded([subject.seed + i])(subject.x0) for i in (0, 1))
    noises = circle(one, other, points)
    denoise, begun = steered(model, subject.condition(points)), noises * model.schedule.at(grid[0], noises)[1]
    frames, x = [], begun
    for state in trajectory(denoise, Heun(), grid, begun, Seeded(range(points))):
        frames.append(subject.shown(state.preview))
        x = state.x
    every = torch.stack([*frames, subject.shown(x)])  # (steps + 1, points, C, H, W)
    return Circle(noises, grid, list(every.unbind(1)))


@dataclass(frozen=True, eq=False)
class Ways:
    """From one noise to another: along the sphere, and straight through it."""

    lengths: dict[str, list[float]]  # of the noises, in units of √dimensions
    pictures: dict[str, Images]


def ways(subject: Subject, shares: tuple[float, ...] = BETWEEN, steps: int = STEPS) -> Ways:
    one, other = (Seeded([subject.seed + i])(subject.x0) for i in (0, 1))
    n, weight = len(shares), torch.tensor(shares, dtype=torch.float64)
    ones, others = one.expand(n, -1, -1, -1), other.expand(n, -1, -1, -1)
    starts = {
        "great circle": slerp(ones, others, weight),
        "straight line": torch.lerp(ones, others, weight.to(one).reshape(-1, 1, 1, 1)),
    }
    denoise, grid = steered(subject.model, subject.condition(n)), subject.model.grid(steps, "karras")

    def drawn(z: Images) -> Images:
        return sample(denoise, Heun(), grid, fresh(denoise, grid, z, lambda like: z), Seeded(range(n)))

    lengths = {name: (z.flatten(1).norm(dim=1) / one.numel() ** 0.5).tolist() for name, z in starts.items()}
    return Ways(lengths, {name: drawn(z) for name, z in starts.items()})


def chapter(subject: Subject) -> str:
    found, between = walked(subject), ways(subject)
    ring = [
        (0.5 + 0.41 * sin(2 * pi * i / AROUND), 0.5 - 0.41 * cos(2 * pi * i / AROUND)) for i in range(AROUND)
    ]  # fmt: skip
    ratios = [float(r) for r in subject.schedule.ratio(found.times[:-1])]
    said = [f"Step {i + 1} of {STEPS}: what is seen at σ/α = {short(r)}" for i, r in enumerate(ratios)]
    rows = []
    for name, pictures in between.pictures.items():
        rows += [Cells(name, subject.shown(pictures)), Cells("length", [f"{v:.2f}" for v in between.lengths[name]])]
    return "\n".join(
        (
            paragraph(
                f"A picture begins as {subject.x0.numel():,} normal numbers, one for each of its own, and the length "
                "of such a noise is nearly always the same: all beginnings lie on a sphere. Without added noise a "
                "beginning has one end, and neighbours end alike; so one can go around the sphere and watch the "
                "picture turn into others. Each place of this circle shows what the walk from there sees; the slider "
                "is time."
            ),
            scrubber(
                "Steps from noise", [View(f"noise {i + 1} of {AROUND}", p) for i, p in enumerate(found.pictures)],
                [*said, "Done: t = 0"],
                f"A great circle through the noises of seeds {subject.seed} (at the top) and {subject.seed + 1} (at "
                "the right) and their opposites: $z(w) = (sin((1 − w)φ) z_1 + sin(wφ) z_2)/sin φ$ with φ the angle "
                "between them (Shoemake 1985; Song et al. 2021, section 5.3). At first all see the same average.",
                start=STEPS, side=48, places=ring,
            ),
            paragraph(
                "A straight line between two noises leaves the sphere: half way it is only 0.71 as long, less noise "
                "than the model has ever begun with, and its pictures are dull."
            ),
            tiles(
                rows, [f"{w:.0%}" for w in BETWEEN],
                "From one noise to the other on the sphere and straight through it. Lengths are $|z|/√d$, which is 1 "
                "for a normal noise of d numbers, up to chance (Shoemake 1985; Song et al. 2021).",
            ),
        )
    )  # fmt: skip
