"""Answers to the exercises of chapter 2: right ones, and mistakes with words of the hint that each gets."""

import torch
from torch import Tensor

from noisette.diffusion import LinearBeta


def ratio(alpha_bar: Tensor) -> Tensor:
    return alpha_bar / (1 - alpha_bar)


def before(alpha_bar: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), alpha_bar[:-1]])


def share_below(limit: float) -> float:
    """The share of the linear schedule's steps with a log SNR below the limit, computed from the library's σ/α."""
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    return float((-2 * LinearBeta().ratio(t).log() < limit).double().mean())


RIGHT: dict[str, list[object]] = {
    "schedule.log_snr": [lambda a: torch.log(a / (1 - a)), torch.logit],
    "schedule.betas": [lambda a: 1 - a / before(a)],
    "schedule.share": [share_below(-5), torch.tensor(share_below(-5))],
    "schedule.resolution": [16, 16.0],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "schedule.log_snr": [
        (ratio, "Its logarithm"),
        (lambda a: -torch.logit(a), "sign is wrong"),
        (lambda a: torch.log10(ratio(a)), "base 10"),
        (lambda a: torch.log(ratio(a) ** 0.5), "ratio of variances"),
        (torch.log, "noise is missing"),
        (lambda a: a, "divided by the noise's share"),
        (lambda a: torch.log(ratio(a))[:5], "has shape"),
    ],
    "schedule.betas": [
        (lambda a: 1 - a[1:] / a[:-1], "One β is missing"),
        (lambda a: a / before(a), "keeps"),
        (lambda a: 1 - before(a) / a, "upside down"),
        (lambda a: before(a) - a, "a product"),
        (lambda a: 1 - a, "step k alone"),
        (lambda a: a, "Solve for"),
    ],
    "schedule.share": [
        (1000 * share_below(-5), "number of steps"),
        (1 - share_below(-5), "above"),
        (share_below(-10), "twice that"),
        (share_below(-5 * 2.302585), "base 10"),
        (0.01, "the mean of"),
    ],
    "schedule.resolution": [(4, "standard deviation"), (1 / 16, "noise's variance"), (256, "one block"), (2, "1/n")],
}
