"""Exercises of chapter 9: guidance."""

import torch
from torch import Tensor

from . import Mistake, call, exercise, number, tensor
from .matching import is_close

SHAPE = (2, 4, 3, 3)


def _draw(*seeds: int) -> list[Tensor]:
    return [torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


@exercise(
    "guidance.combine",
    "Combine the predictions with and without the label by the guidance scale.",
    "At 0 it is the prediction without the label, at 1 the one with it, and above 1 it extrapolates.",
)
def combine(answer: object) -> str | None:
    given, away = _draw(1, 2)
    value = tensor(call(answer, given, away, 3.0), SHAPE)
    if is_close(value, away + 3 * (given - away)):
        return None
    if is_close(value, given + 3 * (away - given)):
        return "The two predictions are swapped: with scale 1 the result must be the prediction with the label."
    if is_close(value, given + 3 * (given - away)):
        return "That starts from the prediction with the label. Try scale 0 and scale 1: what should they give?"
    if is_close(value, away + 3 * given):
        return "The scale multiplies a difference of the two predictions, not the prediction with the label alone."
    return "At scale 0 return the prediction without the label; the scale multiplies the step towards the other one."


@exercise(
    "guidance.scale",
    "Which guidance scale of the library is w = 1.5 in the paper's formula?",
    "(1 + w) with − w without = without + (1 + w)(with − without): the library's scale is 1 + w.",
)
def scale(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 2.5) < 0.01:
        return None
    if abs(value - 1.5) < 0.01:
        return (
            "The two formulas differ. At w = 0 the paper's gives the prediction with the label; which scale does that?"
        )
    if abs(value - 0.5) < 0.01:
        return "The offset has the other sign: the paper's w = 0 is already the prediction with the label."
    return "Write (1 + w) with − w without as without + (…)(with − without), and read off the bracket."


@exercise(
    "guidance.classifier",
    "Move the estimate of x0 by the gradient of a classifier.",
    "The factor σ²/α turns a gradient with respect to x_t into a shift of the estimate of x0.",
)
def classifier(answer: object) -> str | None:
    x0, gradient = _draw(3, 4)
    alpha, sigma, s = torch.tensor(0.8), torch.tensor(0.6), 2.0
    value = tensor(call(answer, x0, gradient, alpha, sigma, s), SHAPE)
    shift = s * gradient
    hints = {
        sigma / alpha: "σ stands in the formula as a variance: it is squared.",
        sigma**2: "α is missing: an estimate of x0 is α times as large in x_t.",
        sigma**2 * alpha: "Divide by α, do not multiply by it.",
        -(sigma**2) / alpha: "The sign is wrong: the gradient points to higher log p(y | x_t), and we go with it.",
        sigma / sigma: "The gradient is with respect to x_t. Which factor of α and σ brings it to x0?",
    }
    if is_close(value, x0 + sigma**2 / alpha * shift):
        return None
    if is_close(value, x0 + sigma**2 / alpha * gradient):
        return "The scale s is not used."
    for factor, hint in hints.items():
        if is_close(value, x0 + factor * shift):
            return hint
    return "Start from x0 and add three factors: the scale, a factor of σ and α, and the gradient."


@exercise(
    "guidance.cost",
    "How many pictures does the network process for 10 pictures, 20 DDIM steps and a guidance scale of 3?",
    "Each step needs a prediction with and one without the label: 10 · 20 · 2.",
)
def cost(answer: object) -> str | None:
    value = number(answer)
    if value == 400:
        return None
    if value == 200:
        return "That is the count without guidance. How many predictions of each picture does a guided step need?"
    if value in (600, 800):
        return "The value of the scale does not change the number of predictions; only whether it differs from 1."
    if value in (20, 40):
        return "Count every picture of the batch, too."
    raise Mistake("Multiply: pictures, steps, and predictions in a step.")
