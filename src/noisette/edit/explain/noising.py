"""Chapter: one picture on its way into noise, and the curves along which schedules take it there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import CHOICES
from ...noise import Seeded
from ...schedule import GivenBetas, Schedule
from ...shapes import Bytes
from ...viz.curves import schedule_charts
from ...viz.page import paragraph
from ...viz.strip import short
from ...viz.tiles import Cells, View, scrubber, tiles
from .subject import Subject

FINE = 48  # places of the scrubber


@dataclass(frozen=True, eq=False)
class Noised:
    """x_t of one picture and one noise, at some times."""

    t: Tensor  # (N,)
    alpha: Tensor
    sigma: Tensor
    pictures: Bytes  # (N, C, H, W), at unit scale

    @property
    def alpha_bar(self) -> Tensor:
        """ᾱ of the variance-preserving process with the same SNR; on a chain its own."""
        return self.alpha**2 / (self.alpha**2 + self.sigma**2)

    @property
    def snr(self) -> Tensor:
        return (self.alpha / self.sigma) ** 2

    def said(self, i: int) -> str:
        snr = short(float(self.snr[i])) if self.sigma[i] > 0 else "∞"
        return (
            f"t = {float(self.t[i]):.4f}: α = {float(self.alpha[i]):.3f}, σ = {float(self.sigma[i]):.3g}, "
            f"ᾱ = {float(self.alpha_bar[i]):.3f}, SNR = {snr}"
        )


def noised(subject: Subject, times: Tensor) -> Noised:
    """The picture at each of `times`, under one and the same noise."""
    alpha, sigma = subject.schedule(times)
    x_t = [subject.schedule.diffuse(subject.x0, t, Seeded([subject.seed])) for t in times]
    return Noised(times, alpha, sigma, torch.cat([subject.shown(x, t) for x, t in zip(x_t, times, strict=True)]))


def schedules(own: Schedule) -> dict[str, Schedule]:
    """Every schedule of the library as it comes, and the model's own, which is first."""
    found = {type(own).__name__: own}
    for name, kind in CHOICES.items():
        if issubclass(kind, Schedule) and kind is not GivenBetas:  # which has no numbers of its own
            found.setdefault(name, kind())
    return found


def chapter(subject: Subject) -> str:
    four = noised(subject, torch.stack([t for _, t in subject.levels]))
    ratios = torch.cat([torch.zeros(1), torch.logspace(-2, 1.9, FINE - 1)]).double()
    fine = noised(subject, subject.schedule.time(ratios))
    numbers = [
        Cells("$t$", [f"{float(t):.4f}" for t in four.t]),
        Cells("$α_t$", [f"{float(a):.3f}" for a in four.alpha]),
        Cells("$σ_t$", [f"{float(s):.3g}" for s in four.sigma]),
        Cells("$ᾱ_t$", [f"{float(a):.4f}" for a in four.alpha_bar]),
        Cells("SNR", [short(float(s)) for s in four.snr]),
    ]
    own = type(subject.schedule).__name__
    return "\n".join(
        (
            paragraph(
                "A diffusion model learns by looking at its pictures through noise. With little of it, one would keep "
                "the picture as it is; with more, one could suggest details; with much, an outline; and in the end one "
                "has no idea. A model that can make a suggestion at every level can draw: it begins with no idea, and "
                "follows its own suggestions down to the picture."
            ),
            tiles(
                [Cells("$x_t$", four.pictures), *numbers],
                [name for name, _ in subject.levels],
                f"One picture ({subject.picture}) at four noise levels, $x_t = α_t x_0 + σ_t ε$ with $ε ~ N(0, 1)$, "
                "shown at unit scale. SNR is $α_t^2/σ_t^2$ and $ᾱ_t$ = SNR/(1 + SNR), which on a chain is the product "
                "of $1 − β$ (Ho et al. 2020, eq. 4).",
                side=96,
            ),
            scrubber(
                "Noise level",
                [View("$x_t$", fine.pictures)],
                [fine.said(i) for i in range(FINE)],
                "The same picture and the same noise in every proportion: $x_t = α_t x_0 + σ_t ε$ at unit scale, "
                "divided by √($α_t^2 + σ_t^2$) (Ho et al. 2020, eq. 4; Karras et al. 2022).",
                start=FINE // 2,
            ),
            paragraph(
                f"How fast the picture drowns is the schedule's choice. This model's is {own} (thick). What matters is "
                "how much of the time goes into each noise level: all curves pass through all levels, none at the same "
                "pace."
            ),
            schedule_charts(
                schedules(subject.schedule),
                "Every schedule of the library with its default numbers, $x_t = α_t x_0 + σ_t ε$. LinearBeta: Ho et "
                "al. 2020; Cosine: Nichol & Dhariwal 2021, eq. 17; VarianceExploding: Karras et al. 2022; "
                "RectifiedFlow: Liu et al. 2022; ZeroTerminalSNR: Lin et al. 2023; GammaSigmoid: Chen 2023. Where α "
                "stays 1 (VarianceExploding), ᾱ is that of the same SNR.",
            ),
        )
    )
