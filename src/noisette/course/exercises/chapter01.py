"""Exercises of chapter 1: noise and sprites."""

import torch

from . import call, choice, exercise, number, tensor
from .matching import match


@exercise("noise.half", "At which ᾱ has half of the variance become noise?", "α² and σ² are both one half there.")
def half(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 0.5) < 0.01:
        return None
    if abs(value - 0.5**0.5) < 0.01:
        return "That is α, the factor of the picture; ᾱ is its square."
    return "The variance of a state is ᾱ + (1 − ᾱ): the first part is the picture's. When are both equal?"


@exercise(
    "noise.two_steps",
    "Two steps of noise with β = 0.1 each: what is the variance of the noise in x_2?",
    "The second step shrinks the noise of the first, so the sum is a little below 0.2.",
)
def two_steps(answer: object) -> str | None:
    value = number(answer)
    hints = {
        0.2: "The second step also shrinks the noise of the first: by which factor is its variance multiplied?",
        0.81: "That is ᾱ, the share of the picture. How much is left for the noise?",
        0.9: "That is the share that one step keeps. There are two steps.",
        0.01: "The share that is kept is multiplied from step to step; the noise is what is missing to 1.",
        0.436: "That is σ. The variance is its square.",
    }
    if abs(value - 0.19) < 1e-3:
        return None
    near = [hint for mistake, hint in hints.items() if abs(value - mistake) < 1e-3]
    return near[0] if near else "Each step keeps the share 1 − β of the variance. What share is kept after two steps?"


@exercise(
    "noise.add",
    "Write add_noise(x0, eps, alpha_bar), which returns x_t.",
    "This is q(x_t | x_0): any step of the chain in one line.",
)
def add(answer: object) -> str | None:
    generator = torch.Generator().manual_seed(1)
    x0, eps = torch.rand(2, 3, 4, 4, generator=generator) * 2 - 1, torch.randn(2, 3, 4, 4, generator=generator)
    alpha_bar = torch.tensor(0.3)
    a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return match(
        tensor(call(answer, x0, eps, alpha_bar), (2, 3, 4, 4)),
        a * x0 + s * eps,
        [
            (alpha_bar * x0 + (1 - alpha_bar) * eps, "ᾱ and 1 − ᾱ are shares of the variance; the factors are roots."),
            (s * x0 + a * eps, "The two factors are swapped: at ᾱ = 1 the picture must come out unchanged."),
            (a * x0 + (1 - a) * eps, "Is the variance of the noise 1 − ᾱ? Square its factor and compare."),
            (a * x0 + (1 - alpha_bar) * eps, "The factor of the noise lacks its root: 1 − ᾱ is a variance."),
            (alpha_bar * x0 + s * eps, "The factor of the picture lacks its root: ᾱ is a variance."),
            (a * x0 + eps, "The noise has a factor, too: at ᾱ = 1 no noise may be left."),
        ],
        "Two summands: a factor for x0 and a factor for eps. Their squares must add up to 1.",
    )


@exercise(
    "noise.decided",
    "From x_t at σ/α = 1 eight pictures are drawn with eight seeds. In what do they differ most?",
    "At σ/α = 1 colors and outline are decided, and the details are still open.",
)
def decided(answer: object) -> str | None:
    word = choice(answer, ("colors", "outline", "details"))
    if word == "colors":
        return "Look along the row of σ/α = 1: is any of the eight pictures in another color? What about σ/α = 3?"
    if word == "outline":
        return "Compare the rows of σ/α = 3 and σ/α = 1: in which one does the outline change from picture to picture?"
    return None
