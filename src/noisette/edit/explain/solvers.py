"""Chapter: the same seed by many samplers, in few steps and in many."""

from dataclasses import dataclass

import torch

from ...shapes import Images
from ...viz.chart import Axis, Line, chart, charts
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from ..generate import ends, generate
from .subject import Subject

SAMPLERS = ("ddpm", "ddim", "heun", "dpm++2m", "unipc", "ipndm")
STEPS = (4, 6, 10, 18, 32, 100)
REFERENCE = ("heun", 100)
PICTURES = 2


@dataclass(frozen=True, eq=False)
class Raced:
    """What the same seeds become, by (sampler, steps): (N, C, H, W)."""

    pictures: dict[tuple[str, int], Images]

    def off(self, sampler: str, steps: int) -> float:
        """Root mean square distance per pixel from where a hundred steps of Heun end."""
        apart = self.pictures[sampler, steps].double() - self.pictures[REFERENCE].double()
        return float(apart.square().mean().sqrt())


def raced(subject: Subject, steps: tuple[int, ...] = STEPS, pictures: int = PICTURES) -> Raced:
    """Draw with every sampler in every number of steps, and with REFERENCE."""
    model, seeds = subject.model, range(subject.seed, subject.seed + pictures)
    found = {}
    for sampler, n in dict.fromkeys([*((s, n) for s in SAMPLERS for n in steps), REFERENCE]):
        grid = model.grid(n, "karras")
        walk = generate(model, seeds, subject.condition(pictures), model.sampler(sampler), grid)
        found[sampler, n] = ends(walk, grid)
    return Raced(found)


def chapter(subject: Subject) -> str:
    found = raced(subject)
    rows = [Cells(s, subject.shown(torch.cat([found.pictures[s, n][:1] for n in STEPS]))) for s in SAMPLERS]
    lines = [
        Line(s, STEPS, [found.off(s, n) if (s, n) != REFERENCE else float("nan") for n in STEPS], i, dots=True)
        for i, s in enumerate(SAMPLERS)
    ]
    return "\n".join(
        (
            paragraph(
                "The way back is a differential equation, and a sampler is a rule for solving it in steps. From one "
                "seed all rules but DDPM's, which adds noise of its own, are on their way to the same picture; they "
                "differ in how many steps they need to get near it."
            ),
            tiles(
                rows, [f"{n} steps" for n in STEPS],
                f"One noise (seed {subject.seed}), {len(SAMPLERS)} rules for the way from $x_t$ to $x_s$. ddpm: Ho et "
                "al. 2020; ddim: Song et al. 2021; heun: Karras et al. 2022; dpm++2m: Lu et al. 2022; unipc: Zhao et "
                "al. 2023; ipndm: Zhang & Chen 2023. Heun asks the network twice a step.",
            ),
            charts(
                chart(
                    Axis("steps", log=True), Axis("distance from 100 steps of heun", log=True), lines,
                    "Distance from the reference over steps: it falls for all samplers but ddpm",
                ),
                caption=f"Root mean square per pixel in [−1, 1], over {PICTURES} seeds. All solve "
                "$dx = x̂_0 dα + ε̂ dσ$; a solver of order p halves its step to come $2^p$ times as near. DDPM does "
                "not come nearer: it draws another picture (Karras et al. 2022, appendix B).",
            ),
        )
    )  # fmt: skip
