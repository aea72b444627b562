"""Exercises of chapter 10: editing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import call, exercise, number, tensor
from .matching import is_close


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _spread(y: Tensor, factor: int) -> Tensor:
    return y.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


@exercise(
    "editing.correct",
    "Correct an estimate of x0 so that the means of its blocks are the small picture.",
    "The means are now y, and the differences inside each block are those of the estimate.",
)
def correct(answer: object) -> str | None:
    x0, y, factor = _draw(1, 2, 3, 6, 6), _draw(2, 2, 3, 2, 2), 3
    value = tensor(call(answer, x0, y, factor), (2, 3, 6, 6))
    missing = y - F.avg_pool2d(x0, factor)
    if is_close(value, x0 + _spread(missing, factor)):
        return None
    if is_close(value, x0 - _spread(missing, factor)):
        return "The sign is wrong: the means move away from y. Add what is missing, y − A x0."
    if is_close(value, _spread(y, factor)):
        return "That has the right means and has lost all details: keep x0, and add what is missing from its means."
    if is_close(value, x0 + _spread(y, factor)):
        return "You add all of y. What is missing is the difference of y and the means of x0."
    if is_close(value, x0 + _spread(missing, factor) / factor**2):
        return "Each pixel of a block moves by the whole difference; then their mean moves by it, too."
    if is_close(value, x0 + F.interpolate(missing, scale_factor=factor, mode="bilinear")):
        return "A⁺ of average pooling repeats each mean over its block; it does not blend between blocks."
    return (
        "Three steps: the means of x0, their difference from y, that difference repeated over each block, added to x0."
    )


@exercise(
    "editing.middle",
    "How long is the middle of the line between two noises of 3·32·32 numbers?",
    "√3072 = 55.4 is the length of each, and the middle has 1/√2 of it: it has left the sphere.",
)
def middle(answer: object) -> str | None:
    value, length = number(answer), 3072**0.5
    if abs(value - length / 2**0.5) <= 1:
        return None
    if abs(value - length) <= 1:
        return "That is the length of each noise. Their mean has a smaller variance: by which factor?"
    if abs(value - length / 2) <= 1:
        return "Halving is right for the variance, not for the length: take the square root of the factor."
    if abs(value - (2 * 3072) ** 0.5) <= 1.5:
        return "That is the length of the sum. The middle is half of the sum."
    if abs(value - 22.6) <= 1:
        return "That is for 1024 numbers, as in the text. Here are 3 · 32 · 32."
    if value > 1000:
        return "That is a squared length: take the square root."
    return (
        "Count the numbers of a picture, take the root for the length of a noise; then the variance of a mean of two."
    )


@exercise(
    "editing.slerp",
    "Interpolate a batch of noises along the sphere.",
    "Each pair has its own angle, and each result has the length of its ends.",
)
def slerp(answer: object) -> str | None:
    shape, w = (3, 2, 4, 4), 0.3
    a, b = _draw(3, *shape), _draw(4, *shape)
    value = tensor(call(answer, a, b, w), shape)
    whole = torch.arccos((a.flatten() @ b.flatten()) / (a.norm() * b.norm()))

    def along(angle: Tensor, weight: float) -> Tensor:
        return (torch.sin((1 - weight) * angle) * a + torch.sin(weight * angle) * b) / torch.sin(angle)

    angle = torch.arccos(F.cosine_similarity(a.flatten(1), b.flatten(1))).reshape(-1, 1, 1, 1)
    if is_close(value, along(angle, w)):
        return None
    if is_close(value, along(angle, 1 - w)):
        return "The weights are swapped: w = 0 must give the first noise."
    if is_close(value, torch.lerp(a, b, w)):
        return "That is the straight line, which leaves the sphere. Use the sines of the angle."
    if is_close(value, along(whole, w)):
        return (
            "That is one angle for the whole batch. Take the angle of each pair: flatten all but the first dimension."
        )
    if is_close(value, along(angle, w) * torch.sin(angle)):
        return "You forgot to divide by the sine of the angle."
    return "Find the angle of each pair by its cosine, shape it (B, 1, 1, 1), and use the formula of the text."


@exercise(
    "editing.calls",
    "How often is the network called by RePaint with 20 DDIM steps and 5 rounds?",
    "19 steps five times and the last one once: 96.",
)
def calls(answer: object) -> str | None:
    value = number(answer)
    if value == 96:
        return None
    if value == 100:
        return "Nearly: the last step is taken once."
    if value == 95:
        return "Those are the repeated steps; the last one is a call, too."
    if value == 20:
        return "That is DDIM without repetitions. How often is each step taken?"
    return "Each step but the last is taken once in each round, with one call; the last step is one call."
