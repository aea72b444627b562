"""Exercises of chapter 2: schedules."""

import torch

from . import call, exercise, number, tensor
from .matching import match


def _alpha_bar(steps: int) -> torch.Tensor:
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps, dtype=torch.float64), dim=0)


@exercise(
    "schedule.log_snr",
    "Write log_snr(alpha_bar), the natural logarithm of the signal-to-noise ratio.",
    "0 is one to one; every 2.3 less is ten times less signal.",
)
def log_snr(answer: object) -> str | None:
    alpha_bar = _alpha_bar(1000)[::100].float()
    snr = alpha_bar / (1 - alpha_bar)
    return match(
        tensor(call(answer, alpha_bar), (10,)),
        snr.log(),
        [
            (snr, "That is the SNR. Its logarithm is asked for."),
            (-snr.log(), "The sign is wrong: with little noise the log SNR must be large and positive."),
            (snr.log10(), "That is the logarithm to base 10. The natural logarithm is asked for: torch.log."),
            (snr.log() / 2, "That is ln(α/σ). The SNR is α²/σ², a ratio of variances."),
            (alpha_bar.log(), "The noise is missing: its share of the variance is 1 − ᾱ, and the SNR is a ratio."),
        ],
        "The SNR is the picture's share of the variance divided by the noise's share.",
    )


@exercise(
    "schedule.betas",
    "Write betas(alpha_bar), which returns β_1 … β_T from ᾱ_1 … ᾱ_T.",
    "So a schedule can be designed as a curve of ᾱ, as the cosine schedule is.",
)
def betas(answer: object) -> str | None:
    alpha_bar = _alpha_bar(50).float()
    before = torch.cat([torch.ones(1), alpha_bar[:-1]])
    found = call(answer, alpha_bar)
    if isinstance(found, torch.Tensor) and found.shape == (49,):
        return "One β is missing: before the first step ᾱ is 1, so β_1 = 1 − ᾱ_1."
    return match(
        tensor(found, (50,)),
        1 - alpha_bar / before,
        [
            (alpha_bar / before, "That is 1 − β, the share that each step keeps."),
            (1 - before / alpha_bar, "The ratio is upside down: each ᾱ is (1 − β) times the one before it."),
            (before - alpha_bar, "ᾱ is a product, not a sum: divide by the ᾱ before, do not subtract."),
            (1 - alpha_bar, "That is the noise of all steps up to k together. What does step k alone keep?"),
        ],
        "ᾱ_k = (1 − β_k) ᾱ_{k−1}, and ᾱ_0 = 1. Solve for β_k.",
    )


@exercise(
    "schedule.share",
    "Which share of the linear schedule's 1000 steps has a log SNR below −5?",
    "Almost a third of the steps work where almost nothing of the picture is left.",
)
def share(answer: object) -> str | None:
    value = number(answer)
    alpha_bar = _alpha_bar(1000)
    logs = (alpha_bar / (1 - alpha_bar)).log()
    right = float((logs < -5).double().mean())
    if abs(value - right) < 0.003:
        return None
    if abs(value - 1000 * right) < 3:
        return "That is the number of steps. The share is a number from 0 to 1."
    if abs(value - (1 - right)) < 0.003:
        return "That is the share above −5. Which side is the one with more noise?"
    if abs(value - float((logs / 2 < -5).double().mean())) < 0.003:
        return "That is the share for ln(α/σ). The log SNR is twice that."
    if abs(value - float((logs / 2.302585 < -5).double().mean())) < 0.003:
        return "That is the share for the logarithm to base 10. Use torch.log."
    return "Take ᾱ of all 1000 steps, compute the log SNR of each, and take the mean of (log SNR < −5)."


@exercise(
    "schedule.resolution",
    "A picture of 16×16 is enlarged to 64×64, noised with the same ᾱ, and each 4×4 block is averaged. "
    "By which factor is the SNR higher than at 16×16?",
    "16 independent noises are averaged in a block, so larger pictures need more noise.",
)
def resolution(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 16) < 0.01:
        return None
    if abs(value - 4) < 0.01:
        return "By 4 falls the size of the noise, its standard deviation. The SNR is a ratio of variances."
    if abs(value - 1 / 16) < 0.001:
        return "That is the factor of the noise's variance. What does it do to the ratio of signal to noise?"
    if abs(value - 256) < 0.01:
        return "Count the pixels of one block: 4 × 4. The variance of their mean falls by that number."
    return "The mean of n independent noises has 1/n of the variance, and the picture in a block stays the same."
