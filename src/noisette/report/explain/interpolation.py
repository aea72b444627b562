"""Chapter: interpolation between initial noises, which lie close to a sphere."""

from dataclasses import dataclass
from math import cos, pi, sin

import torch
from jaxtyping import Float
from torch import Tensor

from ...diffusion.noise import Seeded
from ...diffusion.sampler import Heun, sample, trajectory
from ...edit.walk import slerp
from ...sampling.generate import build_denoiser, initial_noise
from ...shapes import Images
from ..viz.page import paragraph
from ..viz.strip import format_short
from ..viz.tiles import ScrubberView, TileRow, render_scrubber, render_tiles
from .subject import Subject

NUM_POINTS, STEPS = 12, 14  # noises on the circle, sampling steps
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class NoiseCircle:
    """Initial noises on a great circle, and the sampling trajectory of each."""

    noises: Images  # (points, C, H, W)
    times: Tensor  # (steps + 1,)
    pictures: list[Tensor]  # uint8, one (steps + 1, C, H, W) per point: x̂0 at each step, then the sample


def great_circle(one: Images, other: Images, points: int = NUM_POINTS) -> Float[Tensor, "points c h w"]:
    """`points` noises on the great circle through two noises (1, C, H, W) and their negatives, by slerp."""
    corners = (one, other, -one, -other, one)
    positions = [4 * i / points for i in range(points)]
    return torch.cat(
        [
            slerp(corners[int(p)], corners[int(p) + 1], torch.tensor([p - int(p)], dtype=torch.float64))
            for p in positions
        ]
    )


def denoise_circle(subject: Subject, points: int = NUM_POINTS, steps: int = STEPS) -> NoiseCircle:
    """Sample from every noise of the circle with Heun, which adds no noise; all with the same label."""
    model, grid = subject.model, subject.model.grid(steps, "karras")
    one, other = (Seeded([subject.seed + i])(subject.x0) for i in (0, 1))
    noises = great_circle(one, other, points)
    denoise, start = build_denoiser(model, subject.condition(points)), noises * model.schedule.at(grid[0], noises)[1]
    frames, x = [], start
    for state in trajectory(denoise, Heun(), grid, start, Seeded(range(points))):
        frames.append(subject.to_pixels(state.preview))
        x = state.x
    stacked = torch.stack([*frames, subject.to_pixels(x)])  # (steps + 1, points, C, H, W)
    return NoiseCircle(noises, grid, list(stacked.unbind(1)))


@dataclass(frozen=True, eq=False)
class InterpolationPaths:
    """Samples between two noises, interpolated along a great circle and along a straight line."""

    lengths: dict[str, list[float]]  # norm of each interpolated noise, divided by √dimensions
    pictures: dict[str, Images]  # by the kind of path, (len(weights), C, H, W)


def compare_paths(subject: Subject, weights: tuple[float, ...] = WEIGHTS, steps: int = STEPS) -> InterpolationPaths:
    """Interpolate between the noises of the subject's seed and of the next seed, and sample from each."""
    one, other = (Seeded([subject.seed + i])(subject.x0) for i in (0, 1))
    n, weight = len(weights), torch.tensor(weights, dtype=torch.float64)
    ones, others = one.expand(n, -1, -1, -1), other.expand(n, -1, -1, -1)
    starts = {
        "great circle": slerp(ones, others, weight),
        "straight line": torch.lerp(ones, others, weight.to(one).reshape(-1, 1, 1, 1)),
    }
    denoise, grid = build_denoiser(subject.model, subject.condition(n)), subject.model.grid(steps, "karras")

    def draw(z: Images) -> Images:
        return sample(denoise, Heun(), grid, initial_noise(denoise, grid, z, lambda like: z), Seeded(range(n)))

    lengths = {name: (z.flatten(1).norm(dim=1) / one.numel() ** 0.5).tolist() for name, z in starts.items()}
    return InterpolationPaths(lengths, {name: draw(z) for name, z in starts.items()})


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    circle, paths = denoise_circle(subject), compare_paths(subject)
    angles = [2 * pi * i / NUM_POINTS for i in range(NUM_POINTS)]
    ring = [(0.5 + 0.41 * sin(angle), 0.5 - 0.41 * cos(angle)) for angle in angles]
    ratios = [float(r) for r in subject.schedule.ratio(circle.times[:-1])]
    captions = [f"Step {i + 1} of {STEPS}: x̂0 at σ/α = {format_short(r)}" for i, r in enumerate(ratios)]
    rows = []
    for name, pictures in paths.pictures.items():
        rows += [
            TileRow(name, subject.to_pixels(pictures)),
            TileRow("norm", [f"{v:.2f}" for v in paths.lengths[name]]),
        ]
    return "\n".join(
        (
            paragraph(
                f"Sampling starts from d = {subject.x0.numel():,} normal random numbers, one for each pixel and "
                "channel. The norm (length) of a vector of d such numbers is almost always close to √d, so the "
                "initial noises lie close to a sphere. A sampler that adds no noise maps each initial noise to one "
                "picture, and similar noises to similar pictures. The figure shows noises on a great circle of this "
                "sphere. Each window belongs to one noise and shows what the model predicts; the slider moves "
                "through the sampling steps."
            ),
            render_scrubber(
                "Sampling step",
                [ScrubberView(f"noise {i + 1} of {NUM_POINTS}", p) for i, p in enumerate(circle.pictures)],
                [*captions, "Done: t = 0"],
                f"A great circle through the noises of seeds {subject.seed} (at the top) and {subject.seed + 1} (at "
                "the right) and their negatives. From a noise $z_1$ to a noise $z_2$ it is $z(w) = (sin((1 − w)φ) "
                "z_1 + sin(wφ) z_2)/sin φ$, with w from 0 to 1 and φ the angle between them (Shoemake 1985; Song et "
                "al. 2021, section 5.3). In the first steps, the predictions for all noises are nearly the same "
                f"average. Sampler: heun on the karras grid in {STEPS} steps.",
                initial=STEPS, side=48, positions=ring,
            ),
            paragraph(
                "A straight line between two noises leaves the sphere: in the middle, the norm is only 0.71 times "
                "the usual one. The model never saw so little noise at this time t in training. So its samples lose "
                "detail and contrast."
            ),
            render_tiles(
                rows, [f"{w:.0%}" for w in WEIGHTS],
                "Interpolation along a great circle (slerp) and along a straight line (lerp). “Norm” is $|z|/√d$, "
                "which is close to 1 for normal noise of d numbers (Shoemake 1985; Song et al. 2021). Sampler: heun on "
                f"the karras grid in {STEPS} steps.",
            ),
        )
    )  # fmt: skip
