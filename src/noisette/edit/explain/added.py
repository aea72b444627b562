"""Chapter: with and without the noise that DDPM adds at every step."""

from dataclasses import dataclass

from ...shapes import Images
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from ..generate import ends, generate
from .subject import Subject

PICTURES, STEPS = 8, 60
WAYS = (("with", "ddpm"), ("without", "ddpm-no-noise"))


@dataclass(frozen=True, eq=False)
class Collapse:
    """The same seeds drawn with and without it."""

    pictures: dict[str, Images]  # (N, C, H, W), by sampler

    def variety(self, name: str) -> float:
        """How far pictures lie from their common mean: root mean square per pixel, in [-1, 1]."""
        x = self.pictures[name].double()
        return float((x - x.mean(0)).square().mean().sqrt())


def collapse(subject: Subject, pictures: int = PICTURES, steps: int = STEPS) -> Collapse:
    """Draw `pictures` seeds both ways, on the same grid."""
    model, seeds = subject.model, range(subject.seed, subject.seed + pictures)
    grid, found = model.grid(steps, "karras"), {}
    for _, name in WAYS:
        found[name] = ends(generate(model, seeds, subject.condition(pictures), model.sampler(name), grid), grid)
    return Collapse(found)


def chapter(subject: Subject) -> str:
    found = collapse(subject)
    rows = [Cells(f"{word} noise", subject.shown(found.pictures[name])) for word, name in WAYS]
    variety = [found.variety(name) for _, name in WAYS]
    return "\n".join(
        (
            paragraph(
                "DDPM takes some noise away at every step, and then puts a little fresh noise back. It looks like a "
                "mistake, and it is not: without it the walk goes from average to average, and ends in one. The fresh "
                "noise is what decides between the pictures that $x_t$ could still become."
            ),
            tiles(
                rows, [f"seed {subject.seed + i}" for i in range(PICTURES)],
                f"The same {PICTURES} seeds in {STEPS} steps of $x_s = μ(x_t, x̂_0) + σ̃ z$, with $z ~ N(0, 1)$ above "
                f"and z = 0 below (Ho et al. 2020, algorithm 2). Without it, pictures lie {variety[1]:.3f} from their "
                f"mean instead of {variety[0]:.3f} (root mean square per pixel in [−1, 1]).",
            ),
        )
    )  # fmt: skip
