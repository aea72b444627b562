"""Chapter: samples of the same seed with different samplers and numbers of steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...sampling.generate import final_samples, generate
from ...shapes import Images
from ..viz.chart import NUM_COLORS, Axis, Line, chart, charts
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

SAMPLERS = ("ddpm", "ddim", "heun", "dpm++2m", "unipc", "ipndm")
STEPS = (4, 6, 10, 18, 32, 100)
REFERENCE = ("heun", 100)
GRID = "karras"  # of all samplers, so that they differ in nothing else
OWN = "default"  # the row of the model's own sampler and grid
NUM_PICTURES = 2


@dataclass(frozen=True, eq=False)
class SolverComparison:
    """Samples of the same seeds by (row, steps): each of SAMPLERS on GRID, and OWN, the model's sampler on its grid."""

    pictures: dict[tuple[str, int], Images]  # (N, C, H, W) each

    def rms_distance(self, row: str, steps: int) -> float:
        """Root mean square difference per pixel to REFERENCE, in [−1, 1]."""
        difference = self.pictures[row, steps].double() - self.pictures[REFERENCE].double()
        return float(difference.square().mean().sqrt())


def choose_steps(subject: Subject) -> tuple[int, ...]:
    """STEPS and the model's own number of steps, in order."""
    return tuple(sorted({*STEPS, subject.model.config.sampling.steps}))


def compare_solvers(subject: Subject, steps: tuple[int, ...] = STEPS, number: int = NUM_PICTURES) -> SolverComparison:
    """Draw `number` seeds with every row and every number of steps, and with REFERENCE; all without guidance."""
    model, seeds = subject.model, range(subject.seed, subject.seed + number)

    def draw(sampler: str | None, grid: Tensor) -> Images:
        return final_samples(generate(model, seeds, subject.condition(number), model.sampler(sampler), grid), grid)

    rows = dict.fromkeys([*((s, n) for s in SAMPLERS for n in steps), REFERENCE])
    pictures = {(sampler, n): draw(sampler, model.grid(n, GRID)) for sampler, n in rows}
    return SolverComparison(pictures | {(OWN, n): draw(None, model.grid(n)) for n in steps})


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    steps, sampling = choose_steps(subject), subject.model.config.sampling
    comparison = compare_solvers(subject, steps)
    names = {OWN: f"default: {sampling.sampler}", **{s: s for s in SAMPLERS}}
    rows = [
        TileRow(name, subject.to_pixels(torch.cat([comparison.pictures[row, n][:1] for n in steps])))
        for row, name in names.items()
    ]
    lines = [
        Line(
            name,
            steps,
            [comparison.rms_distance(row, n) if (row, n) != REFERENCE else float("nan") for n in steps],
            i % NUM_COLORS,
            dash=i // NUM_COLORS,
            has_markers=True,
            is_bold=row == OWN,
        )
        for i, (row, name) in enumerate(names.items())
    ]
    return "\n".join(
        (
            paragraph(
                "The reverse process can be written as a differential equation. A sampler solves this equation "
                "numerically. From the same initial noise, all samplers get closer to the same picture the more "
                "steps they take. DDPM is the exception, because it adds new noise. The samplers differ in how many "
                "steps they need for a small error."
            ),
            render_tiles(
                rows, [f"{n} steps" for n in steps],
                f"One initial noise (seed {subject.seed}). First row: the model's default, {sampling.sampler} on the "
                f"{sampling.grid} grid, which uses {sampling.steps} steps. Other rows: {len(SAMPLERS)} samplers, all "
                f"with steps from $x_t$ to $x_s$ on the {GRID} grid. With few steps, another grid can suit a sampler "
                "better. ddpm: Ho et al. 2020; ddim: Song et al. 2021; heun: Karras et al. 2022; dpm++2m: Lu et al. "
                "2022; unipc: Zhao et al. 2023; ipndm: Zhang & Chen 2023. Heun evaluates the network twice per step. "
                "No row uses guidance.",
            ),
            charts(
                chart(
                    Axis("steps", is_log=True), Axis("distance to heun with 100 steps", is_log=True), lines,
                    "Distance to the reference over the number of steps; it falls for all samplers except ddpm",
                ),
                caption=f"Root mean square difference per pixel in [−1, 1], {NUM_PICTURES} seeds; the reference is on "
                f"the {GRID} grid. All samplers but ddpm solve $dx = x̂_0 dα + ε̂ dσ$. With twice as many steps, the "
                "error of a solver of order p is $2^p$ times smaller. DDPM does not approach the reference, since "
                "its new noise leads to another picture (Karras et al. 2022, appendix B).",
            ),
        )
    )  # fmt: skip
