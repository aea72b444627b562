"""Chapter: q(x_t | x0) in closed form: many small noising steps and one large one give the same distribution."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.noise import Seeded
from ...shapes import UInt8Images
from ..viz.chart import Axis, Line, chart, charts
from ..viz.page import paragraph, table
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

NUM_DRAWS = 128  # noise samples
STEPS = 40  # noising steps


@dataclass(frozen=True, eq=False)
class ForwardComparison:
    """Statistics of many draws of x_t at N times, drawn step by step and directly."""

    t: Tensor  # (N,)
    alpha: Tensor
    sigma: Tensor
    stepwise: tuple[Tensor, Tensor]  # (slope of the mean on x0, expected α; standard deviation, expected σ)
    direct: tuple[Tensor, Tensor]  # the same of direct draws
    pictures: tuple[UInt8Images, UInt8Images]  # one draw of each kind, (N, C, H, W)


def compare_forward(subject: Subject, draws: int = NUM_DRAWS, steps: int = STEPS) -> ForwardComparison:
    """Add noise to `draws` copies of the picture in `steps` steps; and draw x_t at each of these times directly."""
    ratios = torch.logspace(-1.5, 1, steps, dtype=torch.float64)
    times = torch.unique(subject.schedule.time_at_ratio(ratios))
    copies = subject.x0.expand(draws, -1, -1, -1)
    step_noise, direct_noise = Seeded(range(draws)), Seeded(range(draws, 2 * draws))
    x, s, rows = copies, torch.zeros((), dtype=torch.float64), []
    for t in times:
        x, s = subject.schedule.renoise(x, s, t, step_noise), t
        rows.append((x, subject.schedule.diffuse(copies, t, direct_noise)))
    measured = [[_fit_signal(pair[side], subject.x0) for pair in rows] for side in (0, 1)]
    alpha, sigma = subject.schedule(times)
    stepwise, direct = ((torch.tensor([m[0] for m in side]), torch.tensor([m[1] for m in side])) for side in measured)
    pictures = [
        torch.cat([subject.to_pixels(pair[i][:1], t) for pair, t in zip(rows, times, strict=True)]) for i in (0, 1)
    ]
    return ForwardComparison(times, alpha, sigma, stepwise, direct, (pictures[0], pictures[1]))


def _fit_signal(x: Tensor, x0: Tensor) -> tuple[float, float]:
    """Least-squares slope of the mean of x (B, C, H, W) on x0, and the standard deviation of x around its mean."""
    mean = x.double().mean(0, keepdim=True)
    slope = (mean * x0).sum() / x0.double().square().sum()
    return float(slope), float((x.double() - mean).square().sum(0).div(len(x) - 1).mean().sqrt())


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    comparison = compare_forward(subject)
    picked = [round(i * (len(comparison.t) - 1) / 4) for i in range(5)]
    columns = (
        comparison.t, comparison.alpha, comparison.stepwise[0], comparison.direct[0],
        comparison.sigma, comparison.stepwise[1], comparison.direct[1],
    )  # fmt: skip
    rows = [[f"{float(column[i]):.4f}" for column in columns] for i in picked]
    t = comparison.t.tolist()
    return "\n".join(
        (
            paragraph(
                "The forward process adds noise in many small steps, but the steps need not be computed one by one. "
                "The sum of independent normal random numbers is normal, too. So all steps up to time t can be "
                "replaced by one, and $x_t$ computed from the picture directly. Training uses this: each picture of "
                "a batch gets its own random t."
            ),
            render_tiles(
                [
                    TileRow(f"{len(comparison.t)} steps", comparison.pictures[0][picked]),
                    TileRow("directly", comparison.pictures[1][picked]),
                ],
                [f"$t$ = {float(comparison.t[i]):.4f}" for i in picked],
                "Top row: step by step. A step from time s to a later time t is $x_t = (α_t/α_s) x_s + σ_{t|s} ε$, "
                "where $σ_{t|s}$ is the standard deviation of the noise that it adds. Bottom row: directly from the "
                "picture, $x_t = α_t x_0 + σ_t ε$ (Ho et al. 2020, eqs. 2 and 4). The rows have different noise, "
                "from the same distribution.",
                side=96,
            ),
            table(
                ("$t$", "$α_t$", "mean, stepwise", "mean, direct", "$σ_t$", "std, stepwise", "std, direct"), rows
            ),
            charts(
                chart(
                    Axis("t", is_log=True), Axis("standard deviation of $x_t$", is_log=True),
                    [
                        Line("σ of the schedule", t, comparison.sigma.tolist(), 7, is_bold=True),
                        Line("stepwise", t, comparison.stepwise[1].tolist(), 0, has_markers=True, is_connected=False),
                        Line("direct", t, comparison.direct[1].tolist(), 1, dash=1),
                    ],
                    "Standard deviation over t: both methods agree with the schedule",
                ),
                caption=f"{NUM_DRAWS} draws of $x_t$ with each method. $N(m, v)$ is the normal distribution with mean "
                "m and variance v, and $q(x_t | x_0)$ the distribution of $x_t$ for a given picture. Direct: $q(x_t "
                "| x_0) = N(α_t x_0, σ_t^2)$ (Ho et al. 2020, eq. 4). Stepwise: $q(x_t | x_s) = N((α_t/α_s) x_s, "
                "σ_t^2 − (α_t/α_s)^2 σ_s^2)$. In the table, “mean” is the factor of $x_0$ in the mean of the draws, "
                "which should be $α_t$; “std” is their standard deviation, which should be $σ_t$. The methods differ "
                "only because the number of draws is finite.",
            ),
        )
    )  # fmt: skip
