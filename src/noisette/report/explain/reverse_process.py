"""Chapter: the reverse process, every step of one sampling trajectory."""

from dataclasses import dataclass

import torch

from ...sampling.generate import generate, initial_state
from ...shapes import UInt8Images
from ..viz.page import paragraph
from ..viz.strip import format_short
from ..viz.tiles import ScrubberView, render_scrubber
from .subject import Subject


@dataclass(frozen=True, eq=False)
class ReverseTrajectory:
    """One sampling trajectory of N steps; the last entry is the finished picture."""

    times: list[float]  # (N + 1,), the last is 0
    x_t: UInt8Images  # (N + 1, C, H, W)
    x0: UInt8Images  # predicted x̂0, (N + 1, C, H, W)
    eps: UInt8Images  # predicted ε̂, (N + 1, C, H, W); the last is the finished picture


@torch.no_grad()
def record_trajectory(subject: Subject, steps: int) -> ReverseTrajectory:
    """One sample with the model's own sampler, grid and guidance in `steps` steps."""
    model, grid = subject.model, subject.model.grid(steps)
    before, _ = initial_state(model, [subject.seed], grid)
    times, noisy, clean, noise = [], [], [], []
    sampling = model.config.sampling
    guidance = sampling.guidance if subject.label else 1.0
    for state in generate(model, [subject.seed], subject.condition(1), model.sampler(), grid, guidance):
        _, pred = state.history[0]
        times.append(float(before.t))
        noisy.append(subject.to_pixels(before.x, before.t))
        clean.append(subject.to_pixels(pred.x0))
        noise.append(model.codec.decode(pred.eps / 2))
        before = state
    end = subject.to_pixels(before.x)
    return ReverseTrajectory(
        [*times, 0.0], torch.cat([*noisy, end]), torch.cat([*clean, end]), torch.cat([*noise, end])
    )


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    sampling = subject.model.config.sampling
    steps = sampling.steps
    trajectory = record_trajectory(subject, steps)
    captions = []
    for i, t in enumerate(trajectory.times[:-1]):
        ratio = float(subject.schedule.ratio(torch.tensor(t, dtype=torch.float64)))
        captions.append(f"Step {i + 1} of {steps}: from t = {t:.4f}, σ/α = {format_short(ratio)}")
    views = [
        ScrubberView("$x_t$", trajectory.x_t),
        ScrubberView("$x̂_0$, predicted picture", trajectory.x0),
        ScrubberView("$ε̂$, predicted noise", torch.cat([trajectory.eps[:-1], trajectory.eps[-2:-1]])),
    ]
    return "\n".join(
        (
            paragraph(
                "The reverse process generates a picture. It starts from pure noise. At each step the network "
                "predicts the picture $x̂_0$ and the noise $ε̂$ in $x_t$. The step then mixes the two again, with "
                "less noise than before. Move the slider: the prediction starts as a blurry average of many pictures "
                "and becomes one picture."
            ),
            render_scrubber(
                "Step", views, [*captions, "Done: t = 0"],
                f"All {steps} steps of one sample with the sampler {sampling.sampler} on the {sampling.grid} grid; a "
                "grid is the list of the times t. A step from time t to the next time s is $x_s = α_s x̂_0 + σ_s "
                "ε̂$. Samplers of higher order combine several such steps into a more accurate one (Song et al. "
                "2021, eq. 12; Karras et al. 2022, algorithm 1).",
                side=160,
            ),
        )
    )  # fmt: skip
