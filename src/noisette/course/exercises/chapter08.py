"""Exercises of chapter 8: improved DDPM."""

import math

import torch

from . import call, exercise, number, tensor

NATS, VALUES = 133.1, 64  # of the picture in the question


@exercise(
    "improved.bits",
    "Bits per dimension of a picture of 64 values with −ln p = 133.1.",
    "Divide by the number of values, and by ln 2 to come from nats to bits.",
)
def bits(answer: object) -> str | None:
    value = number(answer)
    right = NATS / VALUES / math.log(2)
    if abs(value - right) < 0.02:
        return None
    for wrong, hint in (
        (NATS / VALUES, "That is per dimension, but in nats. How many nats has one bit?"),
        (NATS / math.log(2), "Those are the bits of the whole picture. How many values does it have?"),
        (NATS / VALUES * math.log(2), "One bit is ln 2 = 0.69 nats, so there are more bits than nats."),
        (NATS / 8 / math.log(2), "The picture has 8 rows and 8 columns: count all its values."),
        (-right, "The length of a message is positive: −ln p is given, with its sign."),
    ):
        if abs(value / wrong - 1) < 0.01:
            return hint
    return "Two divisions: by the number of values in the picture, and by the nats of one bit."


@exercise(
    "improved.variance",
    "The learned variance from v and its bounds.",
    "A point between the logarithms: v = −1 is the small variance, v = 1 the large one.",
)
def variance(answer: object) -> str | None:
    v = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    small, large = torch.tensor(0.02), torch.tensor(0.5)
    given = tensor(call(answer, v.clone(), small, large), (5,))
    f = (v + 1) / 2

    def between(f: torch.Tensor) -> torch.Tensor:
        return (f * large.log() + (1 - f) * small.log()).exp()

    if torch.allclose(given, between(f), rtol=1e-3):
        return None
    for wrong, hint in (
        (f * large + (1 - f) * small, "The ends are right. Between them, the logarithms are mixed, not the variances."),
        (between(1 - f), "The ends are swapped: which variance belongs to v = −1?"),
        (between(v), "v goes from −1 to 1, but the share f from 0 to 1."),
        (between(f).sqrt(), "That is the standard deviation. The variance is its square."),
        (between(f).log(), "That is the logarithm of the variance: one function is missing at the end."),
    ):
        if torch.allclose(given, wrong, rtol=1e-3):
            return hint
    return "Compute f from v first; then the mean of the two logarithms with the weights f and 1 − f; then exp."


@exercise(
    "improved.respace",
    "The β of a shorter chain.",
    "One minus the ratio of a kept ᾱ to the one before it, where ᾱ before the first step is 1.",
)
def respace(answer: object) -> str | None:
    betas = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    alpha_bar, kept = torch.cumprod(1 - betas, 0), [1, 2, 5]
    made = call(answer, alpha_bar.clone(), list(kept))
    if isinstance(made, torch.Tensor) and made.shape == (2,):
        return "One value is missing: the first kept step has a β, too. Which ᾱ belongs to the clean picture?"
    given = tensor(made, (3,))
    a = alpha_bar[kept]
    previous = torch.cat([torch.ones(1, dtype=torch.float64), a[:-1]])

    def equals(wrong: torch.Tensor) -> bool:
        return torch.allclose(given, wrong.float(), atol=1e-4)

    if equals(1 - a / previous):
        return None
    if equals(betas[kept]):
        return "Those are the β of single steps of the long chain. A kept step has to do the work of those left out."
    if equals(1 - a):
        return "That is all noise from the clean picture on. A step starts at the kept step before it."
    if equals(a / previous):
        return "That is the share that is kept, 1 − β."
    if equals(1 - previous / a):
        return "The ratio is upside down: ᾱ falls, so ᾱ of the later step stands above."
    if equals(1 - a / torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar])[kept]):
        return "The divisor is ᾱ of the step before in the long chain. It should be that of the kept step before."
    return "For each kept step: 1 − ᾱ(this one) / ᾱ(the kept one before), and 1 before the first."
