"""Chapter: q(x_t | x0) needs no walk. Many small steps into noise and one jump come to the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...noise import Seeded
from ...shapes import Bytes
from ...viz.chart import Axis, Line, chart, charts
from ...viz.page import paragraph, table
from ...viz.tiles import Cells, tiles
from .subject import Subject

DRAWS = 128  # of noise
STEPS = 40  # of the walk


@dataclass(frozen=True, eq=False)
class Compared:
    """What many draws of x_t have in common, by walking and by jumping, at each of some times."""

    t: Tensor  # (N,)
    alpha: Tensor
    sigma: Tensor
    walked: tuple[Tensor, Tensor]  # slope of the mean picture on x0, which should be α; deviation around it, σ
    jumped: tuple[Tensor, Tensor]
    pictures: tuple[Bytes, Bytes]  # one draw of each


def compared(subject: Subject, draws: int = DRAWS, steps: int = STEPS) -> Compared:
    """Renoise `draws` copies of the picture step by step, and jump to where every step ended, with other noise."""
    ratios = torch.logspace(-1.5, 1, steps, dtype=torch.float64)
    times = torch.unique(subject.schedule.time(ratios))
    copies = subject.x0.expand(draws, -1, -1, -1)
    walking, jumping = Seeded(range(draws)), Seeded(range(draws, 2 * draws))
    x, s, rows = copies, torch.zeros((), dtype=torch.float64), []
    for t in times:
        x, s = subject.schedule.renoise(x, s, t, walking), t
        rows.append((x, subject.schedule.diffuse(copies, t, jumping)))
    measured = [[_like(pair[side], subject.x0) for pair in rows] for side in (0, 1)]
    alpha, sigma = subject.schedule(times)
    walked, jumped = ((torch.tensor([m[0] for m in side]), torch.tensor([m[1] for m in side])) for side in measured)
    pictures = [torch.cat([subject.shown(pair[i][:1], t) for pair, t in zip(rows, times, strict=True)]) for i in (0, 1)]
    return Compared(times, alpha, sigma, walked, jumped, (pictures[0], pictures[1]))


def _like(x: Tensor, x0: Tensor) -> tuple[float, float]:
    """How much of x0 the mean of x holds (least squares), and the deviation of x around its mean."""
    mean = x.double().mean(0, keepdim=True)
    slope = (mean * x0).sum() / x0.double().square().sum()
    return float(slope), float((x.double() - mean).square().sum(0).div(len(x) - 1).mean().sqrt())


def chapter(subject: Subject) -> str:
    found = compared(subject)
    picked = [round(i * (len(found.t) - 1) / 4) for i in range(5)]
    rows = [
        (
            f"{float(found.t[i]):.4f}", f"{float(found.alpha[i]):.4f}", f"{float(found.walked[0][i]):.4f}",
            f"{float(found.jumped[0][i]):.4f}", f"{float(found.sigma[i]):.4f}", f"{float(found.walked[1][i]):.4f}",
            f"{float(found.jumped[1][i]):.4f}",
        )
        for i in picked
    ]  # fmt: skip
    t = found.t.tolist()
    return "\n".join(
        (
            paragraph(
                "The noise is added little by little, but nobody has to wait for it: a sum of normal noises is a "
                "normal noise, so $x_t$ can be drawn from the picture at once, for any t. Training lives on this: each "
                "picture of each batch is shown at a time of its own."
            ),
            tiles(
                [
                    Cells(f"{len(found.t)} steps", found.pictures[0][picked]),
                    Cells("one jump", found.pictures[1][picked]),
                ],
                [f"$t$ = {float(found.t[i]):.4f}" for i in picked],
                "Above, step after step, each from the one before; below, each straight from the picture, with another "
                "noise: different noise, same kind of picture. A step is $x_t = (α_t/α_s) x_s + σ_{t|s} ε$, a jump "
                "$x_t = α_t x_0 + σ_t ε$ (Ho et al. 2020, eqs. 2 and 4).",
                side=96,
            ),
            table(
                ("$t$", "$α_t$", "mean, steps", "mean, jump", "$σ_t$", "deviation, steps", "deviation, jump"), rows
            ),
            charts(
                chart(
                    Axis("t", log=True), Axis("deviation of $x_t$ around its mean", log=True),
                    [
                        Line("σ of the schedule", t, found.sigma.tolist(), 7, marked=True),
                        Line("steps", t, found.walked[1].tolist(), 0, dots=True, joined=False),
                        Line("one jump", t, found.jumped[1].tolist(), 1, dash=1),
                    ],
                    "Both ways have the schedule's deviation at every t",
                ),
                caption=f"{DRAWS} draws of $x_t$ each way. Jump: $q(x_t | x_0) = N(α_t x_0, σ_t^2)$ (Ho et al. 2020, "
                "eq. 4). Steps: $q(x_t | x_s) = N((α_t/α_s) x_s, σ_t^2 − (α_t/α_s)^2 σ_s^2)$. The mean is how much of "
                "$x_0$ the average of the draws holds; the two ways differ as far as chance does.",
            ),
        )
    )  # fmt: skip
