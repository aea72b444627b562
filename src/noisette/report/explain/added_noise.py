"""Chapter: DDPM sampling with and without the noise that it adds at every step."""

from dataclasses import dataclass

from ...sampling.generate import final_samples, generate
from ...shapes import Images
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

PICTURES, STEPS = 8, 60
VARIANTS = (("with", "ddpm"), ("without", "ddpm-no-noise"))


@dataclass(frozen=True, eq=False)
class NoiseAblation:
    """Samples of the same seeds, with and without added noise."""

    pictures: dict[str, Images]  # (N, C, H, W), by sampler

    def diversity(self, sampler: str) -> float:
        """Root mean square distance of the samples from their mean, per pixel; pixels are in [−1, 1]."""
        x = self.pictures[sampler].double()
        return float((x - x.mean(0)).square().mean().sqrt())


def draw_ablation(subject: Subject, number: int = PICTURES, steps: int = STEPS) -> NoiseAblation:
    """Draw `number` seeds with both samplers on the same time grid."""
    model, seeds = subject.model, range(subject.seed, subject.seed + number)
    grid, pictures = model.grid(steps, "karras"), {}
    for _, name in VARIANTS:
        states = generate(model, seeds, subject.condition(number), model.sampler(name), grid)
        pictures[name] = final_samples(states, grid)
    return NoiseAblation(pictures)


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    ablation = draw_ablation(subject)
    rows = [TileRow(f"{word} noise", subject.to_pixels(ablation.pictures[name])) for word, name in VARIANTS]
    diversity = [ablation.diversity(name) for _, name in VARIANTS]
    return "\n".join(
        (
            paragraph(
                "At every step DDPM removes noise from $x_t$ and then adds a smaller amount of new noise. The added "
                "noise is necessary. The network predicts the average of all pictures that fit $x_t$. Without added "
                "noise, every step moves towards this average, and all samples end close to the average picture. "
                "With it, every step makes a random choice among the pictures that fit, and the sample becomes one "
                "of them."
            ),
            render_tiles(
                rows, [f"seed {subject.seed + i}" for i in range(PICTURES)],
                f"The same {PICTURES} seeds in {STEPS} steps of $x_s = μ(x_t, x̂_0) + σ̃ z$ on the karras grid: μ is "
                "the mean that a step goes to, and $σ̃$ the standard deviation of the noise that it adds. Top row: "
                "$z ~ N(0, 1)$. Bottom row: z = 0 (Ho et al. 2020, algorithm 2). Diversity, measured as the root "
                f"mean square distance of the samples from their mean: {diversity[0]:.3f} with added noise, "
                f"{diversity[1]:.3f} without (pixels in [−1, 1]).",
            ),
        )
    )  # fmt: skip
