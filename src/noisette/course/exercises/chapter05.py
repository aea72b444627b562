"""Exercises of chapter 5: sampling."""

import torch

from . import Mistake, call, exercise, number, tensor

STEPS = 100  # of the chapter's chain


@exercise(
    "sampling.draws",
    "How often does the loop of Algorithm 2 draw new noise on a chain of 100 steps?",
    "Every step adds noise except the last one, which ends at the clean picture.",
)
def draws(answer: object) -> str | None:
    count = number(answer)
    if count == STEPS - 1:
        return None
    if count == STEPS:
        return "There are 100 steps. Does each of them add noise? Read the line of the loop for k = 1."
    if count == STEPS + 1:
        return "The noise that the loop starts from does not count, and one of the steps adds none."
    return "Count the values of k for which the loop calls draw(x)."


@exercise(
    "sampling.mean",
    "The mean of a step of Algorithm 2.",
    "Remove a part of the predicted noise, then undo the factor √(1 − β) of the forward step.",
)
def mean(answer: object) -> str | None:
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 3, 1, 4, 4, generator=generator)
    beta, alpha_bar = torch.tensor(0.1), torch.tensor(0.4)
    given = tensor(call(answer, x.clone(), eps.clone(), beta, alpha_bar), (3, 1, 4, 4))

    def equals(factor: float | torch.Tensor, divisor: float | torch.Tensor) -> bool:
        return torch.allclose(given, (x - factor * eps) / divisor, atol=1e-5)

    part, scale = beta / (1 - alpha_bar).sqrt(), (1 - beta).sqrt()
    if equals(part, scale):
        return None
    for factor, divisor, hint in (
        (part, 1.0, "The noise is removed correctly. The forward step had multiplied by √(1 − β): undo that, too."),
        (part, 1 - beta, "The divisor is a variance here; x is multiplied by standard deviations. What is missing?"),
        (part, alpha_bar.sqrt(), "The divisor belongs to one step, from k to k − 1, not to the whole chain up to k."),
        (beta / (1 - alpha_bar), scale, "β is divided by the standard deviation of all the noise, σ, not by σ²."),
        (beta, scale, "How much noise is in x in all? The share of this step is β divided by its standard deviation."),
        ((1 - alpha_bar).sqrt(), scale, "That removes all noise at once. A step removes only the share of step k."),
        (-part, scale, "Look at the sign: is the predicted noise added or removed?"),
    ):
        if equals(factor, divisor):
            return hint
    return "Compare with the first line inside the large brackets of the formula, one factor at a time."


@exercise(
    "sampling.collapse",
    "The factor by which x_T is multiplied without added noise, for x0 ~ N(0, 1).",
    "Each step multiplies by √(1 − β), so the whole chain multiplies by √ᾱ_T: the samples collapse to the mean 0.",
)
def collapse(answer: object) -> str | None:
    value = number(answer)
    kept = torch.cumprod(1 - torch.linspace(1e-3, 0.15, STEPS, dtype=torch.float64), 0)[-1].item()
    if abs(value / kept**0.5 - 1) < 0.03:
        return None
    if abs(value / kept - 1) < 0.03:
        return "That is the factor of the variance. What is multiplied here is x itself."
    if abs(value * kept**0.5 - 1) < 0.03:
        return "That is larger than 1: x would grow. Does a step multiply or divide by √(1 − β) in the end?"
    if abs(value - 1) < 0.03:
        return "The width stays 1 only if noise is added. Compute the factor of one step: (1 − β) / √(1 − β)."
    if abs(value / (1 - 0.15) ** 0.5 - 1) < 0.005:
        return "That is one step, the first of them. The factors of all 100 steps are multiplied."
    if value <= 0:
        raise Mistake("The factor is positive: a step shrinks x and keeps its sign.")
    return "Put ε̂ = σ x into the formula: (x − β x) / √(1 − β). Simplify, then multiply over all steps."
