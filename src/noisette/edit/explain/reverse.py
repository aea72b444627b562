"""Chapter: the walk back, every step of it."""

from dataclasses import dataclass

import torch

from ...shapes import Bytes
from ...viz.page import paragraph
from ...viz.strip import short
from ...viz.tiles import View, scrubber
from ..generate import generate, start
from .subject import Subject

LEAST = 18  # steps, however few the model needs


@dataclass(frozen=True, eq=False)
class Walked:
    """Every step of one walk: N steps, and, at the end, the picture."""

    times: list[float]  # N + 1, the last is 0
    noisy: Bytes  # x_t, (N + 1, C, H, W)
    clean: Bytes  # what was seen in it
    noise: Bytes  # and what was taken for noise; none at the end


@torch.no_grad()
def walked(subject: Subject, steps: int) -> Walked:
    """One picture by the model's own sampler, in so many steps."""
    model, grid = subject.model, subject.model.grid(steps)
    before, _ = start(model, [subject.seed], grid)
    times, noisy, clean, noise = [], [], [], []
    sampling = model.config.sampling
    guidance = sampling.guidance if subject.label else 1.0
    for state in generate(model, [subject.seed], subject.condition(1), model.sampler(), grid, guidance):
        _, pred = state.history[0]
        times.append(float(before.t))
        noisy.append(subject.shown(before.x, before.t))
        clean.append(subject.shown(pred.x0))
        noise.append(model.pictures.decode(pred.eps / 2))
        before = state
    end = subject.shown(before.x)
    return Walked([*times, 0.0], torch.cat([*noisy, end]), torch.cat([*clean, end]), torch.cat([*noise, end]))


def chapter(subject: Subject) -> str:
    sampling = subject.model.config.sampling
    steps = max(LEAST, sampling.steps)
    found = walked(subject, steps)
    said = []
    for i, t in enumerate(found.times[:-1]):
        ratio = float(subject.schedule.ratio(torch.tensor(t, dtype=torch.float64)))
        said.append(f"Step {i + 1} of {steps}: from t = {t:.4f}, σ/α = {short(ratio)}")
    views = [
        View("$x_t$", found.noisy),
        View("$x̂_0$, seen in it", found.clean),
        View("$ε̂$, taken for noise", torch.cat([found.noise[:-1], found.noise[-2:-1]])),
    ]
    return "\n".join(
        (
            paragraph(
                "Drawing is the way back. The network looks at noise and says what picture it sees and what it takes "
                "for noise; a step keeps the picture's part, and of the noise only as much as belongs to the next "
                "time. Move the slider: what begins as the average of all that it could be makes up its mind."
            ),
            scrubber(
                "Step", views, [*said, "Done: t = 0"],
                f"Every step of one walk, by {sampling.sampler} on the {sampling.grid} grid. A step from t to s goes "
                "to $x_s = α_s x̂_0 + σ_s ε̂$, or to a finer rule that is made of such steps "
                "(Song et al. 2021, eq. 12; Karras et al. 2022, algorithm 1).",
                side=160,
            ),
        )
    )  # fmt: skip
