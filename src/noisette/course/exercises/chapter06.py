"""Exercises of chapter 6: fast samplers."""

import torch

from . import call, exercise, number, tensor


@exercise(
    "fast.ddim",
    "A step of DDIM from the predicted noise.",
    "First the clean picture from x and ε, then both mixed with the amounts of the new time.",
)
def ddim(answer: object) -> str | None:
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 3, 1, 4, 4, generator=generator)
    a_t, s_t, a_s, s_s = 0.6, 0.8, 0.96, 0.28
    given = tensor(call(answer, x.clone(), eps.clone(), a_t, s_t, a_s, s_s), (3, 1, 4, 4))
    x0 = (x - s_t * eps) / a_t
    if torch.allclose(given, a_s * x0 + s_s * eps, atol=1e-5):
        return None
    for wrong, hint in (
        (x0, "That is the guess of the clean picture. A step goes to time s, where noise is left."),
        (a_s * x0, "The picture has its amount α_s; which amount of noise belongs to time s?"),
        (a_s * (x - s_t * eps) + s_s * eps, "x − σ ε is α times the clean picture. Which division is missing?"),
        (a_t * x0 + s_t * eps, "That is x again: the amounts at the end of the step are those of time s."),
        (s_s * x0 + a_s * eps, "Two factors are swapped: α is the amount of the picture, σ that of the noise."),
        ((x - a_t * eps) / s_t * a_s + s_s * eps, "Solve x = α x0 + σ ε for x0 again: what is subtracted?"),
    ):
        if torch.allclose(given, wrong, atol=1e-5):
            return hint
    return "In two steps: solve x = α_t x0 + σ_t ε for x0, then form x_s in the same way with α_s and σ_s."


@exercise(
    "fast.calls",
    "Calls of the network by Heun's method with 10 steps.",
    "Two calls for each of the first nine steps, and one for the last.",
)
def calls(answer: object) -> str | None:
    count = number(answer)
    if count == 19:
        return None
    if count == 20:
        return "Two calls for each step, but read the code again: what happens where s is 0?"
    if count == 10:
        return "That would be DDIM. Heun's method looks at the direction at the end of a step, too."
    if count == 18:
        return "The last step has one call, not none."
    return "Count the lines that call denoiser(…) in one round of the loop, and in the last round."


@exercise(
    "fast.order",
    "The error of a solver of second order with four times as many steps.",
    "Four times the steps: the error is divided by 4² = 16.",
)
def order(answer: object) -> str | None:
    error = number(answer)
    if abs(error - 0.08 / 16) < 2e-4:
        return None
    if abs(error - 0.08 / 4) < 1e-3:
        return "That is right for first order, where the error falls like 1/steps; or for twice the steps."
    if abs(error - 0.08 / 64) < 1e-4:
        return "That is third order. The error of second order falls like 1/steps to the power of two."
    if abs(error - 0.08 / 8) < 5e-4:
        return "From 10 to 20 steps the error is divided by 4. And from 20 to 40?"
    if error >= 0.08:
        return "More steps make the error smaller."
    return "By which factor does the error fall when the steps double? Apply it twice."
