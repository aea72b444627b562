"""Chapter: one picture at increasing noise levels, and the curves of the noise schedules."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.noise import Seeded
from ...diffusion.schedule import GivenBetas, Schedule
from ...models.registry import CONFIG_CLASSES
from ...shapes import UInt8Images
from ..viz.chart import schedule_charts
from ..viz.page import paragraph
from ..viz.strip import format_short
from ..viz.tiles import ScrubberView, TileRow, render_scrubber, render_tiles
from .subject import Subject

SCRUBBER_STEPS = 48  # positions of the slider


@dataclass(frozen=True, eq=False)
class NoisedPicture:
    """x_t of one picture and one noise at N times."""

    t: Tensor  # (N,)
    alpha: Tensor
    sigma: Tensor
    pictures: UInt8Images  # (N, C, H, W), scaled by 1 / √(α² + σ²)

    @property
    def alpha_bar(self) -> Tensor:
        """α² / (α² + σ²): for a variance-preserving schedule its ᾱ, else that of the one with the same SNR."""
        return self.alpha**2 / (self.alpha**2 + self.sigma**2)

    @property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio, α² / σ²."""
        return (self.alpha / self.sigma) ** 2

    def describe(self, index: int) -> str:
        """t, α, σ, ᾱ and SNR of one of the times, as text."""
        snr = format_short(float(self.snr[index])) if self.sigma[index] > 0 else "∞"
        return (
            f"t = {float(self.t[index]):.4f}: α = {float(self.alpha[index]):.3f}, σ = {float(self.sigma[index]):.3g}, "
            f"ᾱ = {float(self.alpha_bar[index]):.3f}, SNR = {snr}"
        )


def add_noise(subject: Subject, times: Tensor) -> NoisedPicture:
    """The example picture at each of `times` (N,), always with the same noise."""
    alpha, sigma = subject.schedule(times)
    x_t = [subject.schedule.diffuse(subject.x0, t, Seeded([subject.seed])) for t in times]
    return NoisedPicture(
        times, alpha, sigma, torch.cat([subject.to_pixels(x, t) for x, t in zip(x_t, times, strict=True)])
    )


def list_schedules(model_schedule: Schedule) -> dict[str, Schedule]:
    """The model's schedule, and every registered schedule with default parameters; by class name."""
    schedules = {type(model_schedule).__name__: model_schedule}
    for name, kind in CONFIG_CLASSES.items():
        if issubclass(kind, Schedule) and kind is not GivenBetas:  # which has no default betas
            schedules.setdefault(name, kind())
    return schedules


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    four = add_noise(subject, torch.stack([t for _, t in subject.noise_levels]))
    ratios = torch.cat([torch.zeros(1), torch.logspace(-2, 1.9, SCRUBBER_STEPS - 1)]).double()
    fine = add_noise(subject, subject.schedule.time_at_ratio(ratios))
    numbers = [
        TileRow("$t$", [f"{float(t):.4f}" for t in four.t]),
        TileRow("$α_t$", [f"{float(a):.3f}" for a in four.alpha]),
        TileRow("$σ_t$", [f"{float(s):.3g}" for s in four.sigma]),
        TileRow("$ᾱ_t$", [f"{float(a):.4f}" for a in four.alpha_bar]),
        TileRow("SNR", [format_short(float(s)) for s in four.snr]),
    ]
    name = type(subject.schedule).__name__
    return "\n".join(
        (
            paragraph(
                "The forward process mixes a picture with more and more noise. With little noise the picture is "
                "still clear. With more noise its details disappear first, then its outline. At the end only noise "
                "is left. A diffusion model is trained to predict the picture from any of these noise levels. To "
                "generate a new picture, it starts from pure noise and removes the noise step by step."
            ),
            paragraph(
                "As a formula: $x_t = α_t x_0 + σ_t ε$. $x_0$ is the picture, with pixels in [−1, 1]. $ε$ is the "
                "noise: a random number for each pixel and channel, from the normal distribution $N(0, 1)$ with mean "
                "0 and variance 1. The time t goes from 0, which is the picture, to 1, which is almost only noise. "
                "$α_t$ is the weight of the picture at time t, and $σ_t$ the weight of the noise. The noise level is "
                "their ratio, $σ_t/α_t$."
            ),
            render_tiles(
                [TileRow("$x_t$", four.pictures), *numbers],
                [level for level, _ in subject.noise_levels],
                f"One picture ({subject.picture_name}) at four noise levels, each divided by √($α_t^2 + σ_t^2$), so "
                "that all are shown with the same variance. SNR, the signal-to-noise ratio, is $α_t^2/σ_t^2$. $ᾱ_t$ "
                "= SNR/(1 + SNR) is the share of the picture in the variance. In a DDPM it is the product of $1 − β$ "
                "over all steps up to t, where $β$ is the variance of the noise that one step adds (Ho et al. 2020, "
                "eq. 4).",
                side=96,
            ),
            render_scrubber(
                "Noise level",
                [ScrubberView("$x_t$", fine.pictures)],
                [fine.describe(i) for i in range(SCRUBBER_STEPS)],
                "The same picture and the same noise at all noise levels: $x_t = α_t x_0 + σ_t ε$, divided by "
                "√($α_t^2 + σ_t^2$) (Ho et al. 2020, eq. 4; Karras et al. 2022).",
                initial=SCRUBBER_STEPS // 2,
            ),
            paragraph(
                "The noise schedule is the pair of functions $α_t$ and $σ_t$: it sets how fast the noise grows with "
                f"t. This model uses {name} (thick line). All schedules pass through the same noise levels. They "
                "differ in how long they stay at each of them. If the times t are drawn evenly in training, a level "
                "at which a schedule stays longer is trained more often."
            ),
            schedule_charts(
                list_schedules(subject.schedule),
                "Every schedule of the library with default parameters, $x_t = α_t x_0 + σ_t ε$. LinearBeta: Ho et "
                "al. 2020; Cosine: Nichol & Dhariwal 2021, eq. 17; VarianceExploding: Karras et al. 2022; "
                "RectifiedFlow: Liu et al. 2022; ZeroTerminalSNR: Lin et al. 2023; GammaSigmoid: Chen 2023. Where "
                "$α_t^2 + σ_t^2$ is not 1, $ᾱ$ is computed from the SNR.",
            ),
        )
    )
