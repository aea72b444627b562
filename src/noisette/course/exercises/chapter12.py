"""Exercises of chapter 12: honest figures."""

from itertools import pairwise

import torch
from torch import Tensor

from . import Mistake, call, exercise, number


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _kid(
    x: Tensor, y: Tensor, *, biased: bool = False, twice: bool = True, scaled: bool = True, squares: bool = False
) -> float:
    """KID, and with other values of the options what comes of usual mistakes."""

    def k(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / (a.shape[1] if scaled else 1) + 1) ** 3

    def within(a: Tensor) -> Tensor:
        if biased:
            return k(a, a).mean()
        return (k(a, a).sum() - k(a, a).diagonal().sum()) / (len(a) ** 2 if squares else len(a) * (len(a) - 1))

    return (within(x) + within(y) - (2 if twice else 1) * k(x, y).mean()).item()


@exercise(
    "honesty.kid",
    "Write the unbiased KID of two sets of features.",
    "Without the products of pictures with themselves its mean is 0 for sets of one distribution, at any size.",
)
def kid(answer: object) -> str | None:
    x, y = _draw(1, 7, 5), _draw(2, 9, 5) + 0.3
    value, wanted = number(call(answer, x, y)), _kid(x, y)
    hints = {
        _kid(x, y, biased=True): "That has the products of pictures with themselves in it: leave out the diagonal.",
        _kid(x, y, twice=False): "The mean between both sets is subtracted twice, once for each of the other means.",
        _kid(x, y, scaled=False): "The product of two vectors is divided by d, the number of features.",
        _kid(x, y, squares=True): "After leaving out the diagonal, n (n − 1) products are left, not n².",
        1000 * wanted: "Do not multiply by 1000.",
        -wanted: "The sign is wrong: sets that differ have a positive KID.",
    }
    if abs(value - wanted) < 1e-4 * abs(wanted):
        return None
    for mistaken, hint in hints.items():
        if abs(value - mistaken) < 1e-4 * abs(mistaken):
            return hint
    return "Three means of k = (a·b/d + 1)³: within x and within y without the diagonal, and twice between both."


@exercise(
    "honesty.zero",
    "None of 100 samples is a copy: up to which share does the interval reach?",
    "z²/(n + z²) = 3.84/103.84: no copy among 100 leaves up to 3.7 % possible.",
)
def zero(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 0.037) < 0.001:
        return None
    if value == 0:
        return (
            "That is the estimate. A share of 1 % would often give no copy among 100, so the interval reaches further."
        )
    if abs(value - 0.03) < 0.001:
        return "That is the rule of three, 3/n, a good approximation. Put p = 0 into the formula of Wilson."
    if abs(value - 3.7) < 0.1:
        return "That is in percent: give the share, from 0 to 1."
    if abs(value - 0.0384) < 0.0005:
        return "Do not forget the denominator, 1 + z²/n."
    if abs(value - 0.0185) < 0.0005:
        return "That is the middle of the interval: add the half width."
    return "Put p = 0 and n = 100 into the formula: two terms are left above, and one below."


@exercise(
    "honesty.times",
    "Give n + 1 times from T to 0 for any number of steps.",
    "Every number of steps ends at 0, whether or not it divides T.",
)
def times(answer: object) -> str | None:
    for T, n in ((500, 25), (500, 30), (500, 40), (500, 1), (500, 500), (1000, 7), (10, 9)):
        where = f"For T = {T} and n = {n}"
        found = call(answer, T, n)
        if isinstance(found, Tensor):
            found = found.tolist()
        if not isinstance(found, (list, tuple, range)) or not all(isinstance(t, (int, float)) for t in found):
            raise Mistake("The function returns a list of numbers.")
        if any(t != int(t) for t in found):
            return f"{where} some times are no whole numbers, and a table of ᾱ cannot be read there: round them."
        if len(found) == n and found and found[0] == T:
            return f"{where} the list has n times: the end of the last step, 0, is missing."
        if len(found) != n + 1:
            return (
                f"{where} the list has {len(found)} times, not {n + 1}: a fixed step of T // n does not come out even."
            )
        if found[0] != T or found[-1] != 0:
            return f"{where} the list goes from {found[0]:g} to {found[-1]:g}, not from {T} to 0."
        if any(a <= b for a, b in pairwise(found)):
            return f"{where} the times do not decrease at every step."
    return None


@exercise(
    "honesty.leak",
    "With 20 copies of each picture and a tenth of the rows held out, which share is on both sides?",
    "A picture is on one side only if all 20 copies are: 1 − 0.9²⁰ − 0.1²⁰ = 0.88.",
)
def leak(answer: object) -> str | None:
    value = number(answer)
    if abs(value - (1 - 0.9**20)) <= 0.01:
        return None
    if abs(value - 0.9**20) <= 0.01:
        return "That is the share of pictures with no copy held out at all. Which share is asked for?"
    if value in (0.1, 0.9, 0.18):
        return "That is for one copy or two. A picture is on one side only if all 20 copies are: how likely is that?"
    if abs(value - 1) <= 0.01:
        return "Nearly. But some pictures have all copies in the training set: how many?"
    if abs(value - 88) < 1:
        return "That is in percent: give the share, from 0 to 1."
    return "Compute the probability that all 20 copies are on the same side, and take it from 1."
