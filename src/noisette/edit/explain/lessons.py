"""Lessons: a model broken on purpose, one switch each, and the picture of the failure beside what should have come.

Each lesson spoils one thing in the drawing of a model that is in order. One needs a model that is still learning, and
lets this one go on for some steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...denoiser import Denoiser, Prediction
from ...errors import InputError
from ...guidance import Wrapper, tapped
from ...nn.embedding import Embedding
from ...noise import Seeded
from ...sampler import DDPM, Heun, Sampler, sample
from ...shapes import Grid, Images, Time
from ...viz import tiles as drawing
from ...viz.page import heading, page, paragraph
from ...viz.tiles import Cells, tiles
from ..generate import fresh, steered
from .learning import HALF_LIFE, still_learning
from .learning import STEPS as MORE
from .subject import Subject

PICTURES, STEPS, CHAIN, SHORT = 8, 18, 100, 6
HEUN = Heun()


@dataclass(frozen=True, eq=False)
class Outcome:
    """The same seeds, as they should be and as they come, (B, C, H, W) in model space."""

    right: Images
    wrong: Images

    @property
    def off(self) -> float:
        """Root mean square difference per pixel, in [-1, 1]."""
        return float((self.right.clamp(-1, 1) - self.wrong.clamp(-1, 1)).double().square().mean().sqrt())


@dataclass(frozen=True)
class Lesson:
    """What is broken, what to see, and how to break it."""

    title: str
    words: str
    caption: str
    broken: Callable[[Subject], Outcome]


@dataclass(frozen=True, eq=False)
class OneOff(Wrapper):
    """Told of the next step of the grid, and not of this one: an index that is wrong by one."""

    grid: Grid

    def __call__(self, x: Images, t: Time) -> Prediction:
        here = int((self.grid - t.flatten()[0]).abs().argmin())
        return self.denoiser(x, self.grid[min(here + 1, len(self.grid) - 2)])


def drawn(subject: Subject, denoise: Denoiser, grid: Grid, sampler: Sampler = HEUN, number: int = PICTURES) -> Images:
    """`number` pictures, from the subject's seed on."""
    noise = Seeded(range(subject.seed, subject.seed + number))
    x = fresh(denoise, grid, torch.empty(number, *subject.model.pictures.shape), noise)
    return sample(denoise, sampler, grid, x, noise)


def _as_it_is(subject: Subject, steps: int = STEPS) -> tuple[Denoiser, Grid]:
    return steered(subject.model, subject.condition(PICTURES)), subject.model.grid(steps, "karras")


def no_time(subject: Subject) -> Outcome:
    embed = getattr(subject.model.net, "embed", None)
    if not isinstance(embed, Embedding):
        raise InputError(f"a {type(subject.model.net).__name__} has no time embedding that could be taken away")
    denoise, grid = _as_it_is(subject)
    right = drawn(subject, denoise, grid)
    with tapped(embed.time, torch.zeros_like):
        return Outcome(right, drawn(subject, denoise, grid))


def wrong_index(subject: Subject) -> Outcome:
    denoise, grid = _as_it_is(subject)
    return Outcome(drawn(subject, denoise, grid), drawn(subject, OneOff(denoise, grid), grid))


def not_normalised(subject: Subject) -> Outcome:
    right = drawn(subject, *_as_it_is(subject))
    return Outcome(right, mistaken(right))


def mistaken(x: Images) -> Images:
    """Pictures in [-1, 1], taken for pictures in [0, 1]."""
    return 2 * x - 1


def no_average(subject: Subject) -> Outcome:
    last, average = still_learning(subject)
    grid = subject.model.grid(STEPS, "karras")
    right, wrong = (drawn(subject, steered(model, subject.condition(PICTURES)), grid) for model in (average, last))
    return Outcome(right, wrong)


def no_noise(subject: Subject) -> Outcome:
    denoise, grid = _as_it_is(subject, CHAIN)
    right, wrong = (drawn(subject, denoise, grid, DDPM(added=added)) for added in (1.0, 0.0))
    return Outcome(right, wrong)


def short_chain(subject: Subject) -> Outcome:
    right, wrong = (drawn(subject, *_as_it_is(subject, steps), DDPM()) for steps in (CHAIN, SHORT))
    return Outcome(right, wrong)


LESSONS: dict[str, Lesson] = {
    "no-time": Lesson(
        "Nobody tells the network what time it is",
        "The same $x_t$ may be a faint picture under little noise or a bold one under much. A network that is not told "
        "which cannot know how much to take away.",
        "Below, the time embedding is zero at every step: $F(x_t, c)$ instead of $F(x_t, t, c)$ (Ho et al. 2020, "
        "appendix B).",
        no_time,
    ),
    "wrong-index": Lesson(
        "An index that is wrong by one",
        "The walk is at one step and the network is told of the next, where there is less noise. It takes what noise "
        "there is beyond that for a part of the picture, and leaves it in, at every step.",
        f"Below, $ᾱ$ and the embedding are those of step k + 1 while $x_t$ is at step k, of {STEPS}: the commonest "
        "mistake in a loop over steps of $x_s = α_s x̂_0 + σ_s ε̂$ (Song et al. 2021, eq. 12).",
        wrong_index,
    ),
    "not-normalised": Lesson(
        "Pixels from 0 to 1, or from −1 to 1?",
        "The model draws in [−1, 1]. Who forgets to come back from there saves everything below zero as black, and, "
        "where there is alpha, as nothing.",
        "Below, the same numbers read as if they were in [0, 1]: $x$ where $(x + 1)/2$ was meant "
        "(Ho et al. 2020, section 3.3, scale pixels to [−1, 1]).",
        not_normalised,
    ),
    "no-ema": Lesson(
        "The last weights instead of their average",
        "The weights of a model that is still learning wander about a good place. Their average lies nearer to it than "
        "they do: colours that drift and edges that fray are in the last weights, not in the average.",
        f"From the run's newest checkpoint, {MORE} more steps at the highest rate that the run had. Below, the weights "
        f"of the last step; above, their average $θ̄ ← γ θ̄ + (1 − γ) θ$, half of it from the last {HALF_LIFE} steps "
        "(Ho et al. 2020, section 4; Karras et al. 2024). At the end of a run the steps have become small, and the two "
        "differ little.",
        no_average,
    ),
    "no-added-noise": Lesson(
        "DDPM without the noise that it adds",
        "Each step goes to the mean of what could have been before it. From mean to mean one ends in the mean of all.",
        f"Below, $x_s = μ(x_t, x̂_0)$ without $σ̃ z$, in {CHAIN} steps (Ho et al. 2020, algorithm 2).",
        no_noise,
    ),
    "few-steps": Lesson(
        "T too small",
        "A step of DDPM is right only if it is small: the way back is normal for small steps and nothing simple for "
        "large ones.",
        f"DDPM in {CHAIN} steps above and in {SHORT} below : $p(x_s | x_t)$ is taken for normal (Ho et al. 2020, "
        "section 2; Sohl-Dickstein et al. 2015).",
        short_chain,
    ),
}


def lesson_page(subject: Subject, lesson: Lesson) -> str:
    """One lesson as a page."""
    return page(lesson.title, *_told(subject, lesson), style=drawing.STYLE)


def lessons_page(subject: Subject, tick: Callable[[str], None] = lambda name: None) -> str:
    """All of them on one; those that this model cannot show say why. `tick` is called with each one's title."""
    parts = []
    for name, lesson in LESSONS.items():
        tick(lesson.title)
        parts.append(heading(lesson.title, name))
        try:
            parts += _told(subject, lesson)
        except InputError as error:
            parts.append(paragraph(f"{error}."))
    return page(f"{subject.name}, broken on purpose", *parts, style=drawing.STYLE)


def _told(subject: Subject, lesson: Lesson) -> list[str]:
    found = lesson.broken(subject)
    heads = [f"seed {subject.seed + i}" for i in range(len(found.right))]
    rows = [Cells("as it should be", subject.shown(found.right)), Cells("broken", subject.shown(found.wrong))]
    told = f"{lesson.caption} Pixels differ by {found.off:.3f} (root mean square, in [−1, 1])."
    return [paragraph(lesson.words), tiles(rows, heads, told)]
