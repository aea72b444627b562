"""Lessons (`noisette explain --lesson`): samples with one typical mistake beside the correct samples.

Each lesson changes one thing in the sampling of a trained model. "no-ema" continues the training for some steps first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...diffusion.denoiser import Denoiser, Prediction
from ...diffusion.guidance import DenoiserWrapper, hook_output
from ...diffusion.noise import Seeded
from ...diffusion.sampler import DDPM, Heun, Sampler, sample
from ...errors import InputError
from ...nn.embedding import ConditionEmbedding
from ...sampling.generate import build_denoiser, initial_noise
from ...shapes import Grid, Images, Time
from ..viz import tiles
from ..viz.page import heading, paragraph, render_page
from ..viz.tiles import TileRow, render_tiles
from . import continued_training
from .continued_training import HALF_LIFE, continue_training
from .subject import Subject

NUM_PICTURES, STEPS, DDPM_STEPS, FEW_STEPS = 8, 18, 100, 6
HEUN = Heun()
GRID = "karras"  # of all lessons, whatever the model's default
TRAINING_STEPS = continued_training.STEPS


@dataclass(frozen=True, eq=False)
class Outcome:
    """Samples of the same seeds, correct and with the mistake; (B, C, H, W) in model space."""

    expected: Images
    actual: Images

    @property
    def rms_difference(self) -> float:
        """Root mean square difference per pixel; pixels are clamped to [−1, 1]."""
        return float((self.expected.clamp(-1, 1) - self.actual.clamp(-1, 1)).double().square().mean().sqrt())


@dataclass(frozen=True)
class Lesson:
    """One mistake: its title, explanation, figure caption, and the function that samples with and without it."""

    title: str
    text: str
    caption: str
    run: Callable[[Subject], Outcome]
    sampler: str = f"heun in {STEPS} steps"  # all on GRID


@dataclass(frozen=True, eq=False)
class OffByOneTime(DenoiserWrapper):
    """A denoiser that passes the time of the next grid step instead of the current one."""

    grid: Grid

    def __call__(self, x: Images, t: Time) -> Prediction:
        index = int((self.grid - t.flatten()[0]).abs().argmin())
        return self.denoiser(x, self.grid[min(index + 1, len(self.grid) - 2)])


def draw_samples(
    subject: Subject, denoise: Denoiser, grid: Grid, sampler: Sampler = HEUN, number: int = NUM_PICTURES
) -> Images:
    """Samples (number, C, H, W) of the seeds subject.seed, subject.seed + 1, …"""
    noise = Seeded(range(subject.seed, subject.seed + number))
    x = initial_noise(denoise, grid, torch.empty(number, *subject.model.codec.shape), noise)
    return sample(denoise, sampler, grid, x, noise)


def _correct_setup(subject: Subject, steps: int = STEPS) -> tuple[Denoiser, Grid]:
    return build_denoiser(subject.model, subject.condition(NUM_PICTURES)), subject.model.grid(steps, GRID)


def drop_time_embedding(subject: Subject) -> Outcome:
    """Sample with a time embedding of zero."""
    embed = getattr(subject.model.net, "embed", None)
    if not isinstance(embed, ConditionEmbedding):
        raise InputError(f"the network {type(subject.model.net).__name__} has no time embedding to remove")
    denoise, grid = _correct_setup(subject)
    expected = draw_samples(subject, denoise, grid)
    with hook_output(embed.time, torch.zeros_like):
        return Outcome(expected, draw_samples(subject, denoise, grid))


def shift_time_index(subject: Subject) -> Outcome:
    """Sample with `OffByOneTime`."""
    denoise, grid = _correct_setup(subject)
    return Outcome(draw_samples(subject, denoise, grid), draw_samples(subject, OffByOneTime(denoise, grid), grid))


def skip_denormalization(subject: Subject) -> Outcome:
    """Decode the samples with the wrong value range."""
    expected = draw_samples(subject, *_correct_setup(subject))
    return Outcome(expected, misread_range(expected))


def misread_range(x: Images) -> Images:
    """What x in [−1, 1] becomes if it is decoded as if it were in [0, 1]: 2x − 1."""
    return 2 * x - 1


def skip_ema(subject: Subject) -> Outcome:
    """Sample with the raw weights of a model that is still trained."""
    last, average = continue_training(subject)
    grid = subject.model.grid(STEPS, GRID)
    expected, actual = (
        draw_samples(subject, build_denoiser(model, subject.condition(NUM_PICTURES)), grid) for model in (average, last)
    )
    return Outcome(expected, actual)


def drop_added_noise(subject: Subject) -> Outcome:
    """Sample by DDPM without added noise."""
    denoise, grid = _correct_setup(subject, DDPM_STEPS)
    expected, actual = (draw_samples(subject, denoise, grid, DDPM(noise_scale=scale)) for scale in (1.0, 0.0))
    return Outcome(expected, actual)


def shorten_chain(subject: Subject) -> Outcome:
    """Sample by DDPM in few steps."""
    expected, actual = (
        draw_samples(subject, *_correct_setup(subject, steps), DDPM()) for steps in (DDPM_STEPS, FEW_STEPS)
    )
    return Outcome(expected, actual)


LESSONS: dict[str, Lesson] = {  # by the value of --lesson
    "no-time": Lesson(
        "No time embedding",
        "The same $x_t$ can be a faint picture with little noise or a strong picture with much noise. Without the "
        "time, the network cannot know how much noise to remove.",
        "Bottom row: the time embedding is set to zero at every step, so the network is $F(x_t, y)$ instead of "
        "$F(x_t, t, y)$; y is the label (Ho et al. 2020, appendix B).",
        drop_time_embedding,
    ),
    "wrong-index": Lesson(
        "Off-by-one time index",
        "The sampler is at one step, but the network gets the time of the next step, at which there is less noise. "
        "The network treats the additional noise as a part of the picture. So some noise is left over at every step.",
        f"Bottom row: in step k of {STEPS}, $x_t$ is that of step k, and $ᾱ$ and the time embedding are those of step "
        "k + 1. This happens easily in the loop over $x_s = α_s x̂_0 + σ_s ε̂$ (Song et al. 2021, eq. 12).",
        shift_time_index,
    ),
    "not-normalized": Lesson(
        "Wrong value range: [0, 1] instead of [−1, 1]",
        "The model works with pixels in [−1, 1]. If the samples are saved as if they were in [0, 1], all values "
        "below zero become 0. In a color channel that is black, in the alpha channel it is transparent.",
        "Bottom row: the same samples saved as $x$ instead of $(x + 1)/2$ (Ho et al. 2020, section 3.3: pixels are "
        "scaled to [−1, 1]).",
        skip_denormalization,
    ),
    "no-ema": Lesson(
        "Raw weights instead of the EMA weights",
        "With a high learning rate, the weights keep moving around a good solution. Their exponential moving average "
        "(EMA) is closer to it. Samples of the raw weights, which are not averaged, show shifted colors and rough "
        "edges.",
        f"The run's newest checkpoint, trained for {TRAINING_STEPS} more steps at the highest learning rate of the "
        "run. Top row: the average $θ̄$ of the weights $θ$, which is $θ̄ ← γ θ̄ + (1 − γ) θ$ after every step, with "
        f"a half-life of {HALF_LIFE} steps. Bottom row: the weights of the last step (Ho et al. 2020, section 4; "
        "Karras et al. 2024). At the end of a run the learning rate is low, and the two differ little.",
        skip_ema,
    ),
    "no-added-noise": Lesson(
        "DDPM without added noise",
        "A DDPM step goes to the average of all pictures with less noise that are possible, and then adds noise. "
        "Without the noise, the samples end close to the average picture.",
        f"Bottom row: $x_s = μ(x_t, x̂_0)$, the mean, without the added noise $σ̃ z$, in {DDPM_STEPS} steps (Ho et "
        "al. 2020, algorithm 2).",
        drop_added_noise,
        "ddpm",
    ),
    "few-steps": Lesson(
        "DDPM with too few steps",
        "A DDPM step draws $x_s$, the picture with less noise, from a normal distribution. The true distribution of "
        "$x_s$ is close to a normal one only if the step is small. If it is large, the error is visible.",
        f"DDPM in {DDPM_STEPS} steps (top row) and in {FEW_STEPS} steps (bottom row). In both, $p(x_s | x_t)$, the "
        "distribution of $x_s$ for a given $x_t$, is assumed to be normal (Ho et al. 2020, section 2; Sohl-Dickstein "
        "et al. 2015).",
        shorten_chain,
        "ddpm",
    ),
}


def render_lesson_page(subject: Subject, lesson: Lesson) -> str:
    """A page with one lesson."""
    return render_page(lesson.title, *_render_lesson(subject, lesson), style=tiles.STYLE)


def render_lessons_page(subject: Subject, on_lesson: Callable[[str], None] = lambda name: None) -> str:
    """A page with all lessons that a model supports; the reasons for those that it does not are at the end.

    `on_lesson` is called with each title before the lesson is computed.
    """
    parts, reasons = [], []
    for name, lesson in LESSONS.items():
        on_lesson(lesson.title)
        try:
            parts += [heading(lesson.title, name), *_render_lesson(subject, lesson)]
        except InputError as error:
            reasons.append(f"Left out: {lesson.title}; {error}.")
    parts += [paragraph(reason, faint=True) for reason in reasons]
    return render_page(f"{subject.name}: typical mistakes", *parts, style=tiles.STYLE)


def _render_lesson(subject: Subject, lesson: Lesson) -> list[str]:
    outcome = lesson.run(subject)
    headers = [f"seed {subject.seed + i}" for i in range(len(outcome.expected))]
    rows = [
        TileRow("correct", subject.to_pixels(outcome.expected)),
        TileRow("with the mistake", subject.to_pixels(outcome.actual)),
    ]
    caption = (
        f"{lesson.caption} Sampler: {lesson.sampler} on the {GRID} grid. Pixels differ by "
        f"{outcome.rms_difference:.3f} (root mean square, in [−1, 1])."
    )
    return [paragraph(lesson.text), render_tiles(rows, headers, caption)]
