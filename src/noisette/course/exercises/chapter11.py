"""Exercises of chapter 11: inside the network, and inside the autoencoder."""

import torch
from torch import Tensor

from . import call, exercise, number, tensor
from .matching import is_close


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@exercise(
    "inside.direction",
    "Find the direction from reference features to target features.",
    "The difference of two means over pictures keeps channels and places.",
)
def direction(answer: object) -> str | None:
    target, reference = _draw(1, 5, 3, 4, 4), _draw(2, 7, 3, 4, 4)
    value = call(answer, target, reference)
    if isinstance(value, Tensor) and value.shape == (3,):
        return "You took the mean over the places, too: a direction has a value for each channel and place."
    if isinstance(value, Tensor) and value.ndim == 4:
        return "Pictures are the first dimension: take the mean over it, so that (C, H, W) is left."
    found = tensor(value, (3, 4, 4))
    if is_close(found, target.mean(0) - reference.mean(0)):
        return None
    if is_close(found, reference.mean(0) - target.mean(0)):
        return "The sign is wrong: adding the direction must lead from the reference to the target."
    if is_close(found, target.mean(0)):
        return "That is the mean of the target. What both have in common must cancel: where is the reference?"
    if is_close(found, target.sum(0) - reference.sum(0)):
        return "Sums grow with the number of pictures: use means."
    return "Take the mean of each set over its pictures, and the difference of both."


@exercise(
    "inside.step",
    "Take one step of Asyrp.",
    "x̂0 carries the edit, and ε̂ of the plain call does not take it back.",
)
def step(answer: object) -> str | None:
    plain, edited = ((_draw(seed, 2, 3, 4, 4), _draw(seed + 1, 2, 3, 4, 4)) for seed in (3, 5))
    alpha, sigma = torch.tensor(0.8), torch.tensor(0.6)
    value = tensor(call(answer, plain, edited, alpha, sigma), (2, 3, 4, 4))
    if is_close(value, alpha * edited[0] + sigma * plain[1]):
        return None
    if is_close(value, alpha * edited[0] + sigma * edited[1]):
        return "Both parts are from the edited call, so that most of the edit cancels."
    if is_close(value, alpha * plain[0] + sigma * edited[1]):
        return "The parts are swapped: which of both estimates shall carry the edit?"
    if is_close(value, alpha * plain[0] + sigma * plain[1]):
        return "That is a step without any edit."
    if is_close(value, edited[0] + sigma * plain[1]):
        return "The factor of x̂0 is missing; it is 1 only where α is."
    return "It is a DDIM step, α_s x̂0 + σ_s ε̂: choose for each estimate the call that it comes from."


@exercise(
    "inside.linearity",
    "What is R² of a line through the effects −1, −1, 0, 1, 1 at the strengths −2 to 2?",
    "The slope is 0.6; the line leaves 0.4 of a total of 4, so R² is 0.9.",
)
def linearity(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 0.9) < 0.005:
        return None
    if abs(value - 0.9**0.5) < 0.005:
        return "That is the correlation. R² is its square."
    if abs(value - 0.6) < 0.005:
        return "That is the slope. R² compares what the line leaves with the whole variance."
    if abs(value - 0.1) < 0.005:
        return "That is the share that the line does not explain."
    if abs(value - 0.4) < 0.005:
        return "That is the sum of squares that the line leaves. Divide by the total, and take it from 1."
    return "Slope: Σxy / Σx². Then 1 − Σ(y − slope · x)² / Σy²; both means are 0 here."


@exercise(
    "inside.compression",
    "How many times fewer numbers do the latents of art-f4 have than an RGB picture of 128×128?",
    "3 · 128 · 128 numbers become 4 · 32 · 32: 12 times fewer.",
)
def compression(answer: object) -> str | None:
    value = number(answer)
    if value == 12:
        return None
    if value == 16:
        return "That is the ratio of pixels, or of RGBA pictures. This picture has 3 channels, and the latents have 4."
    if value == 4:
        return "The factor is for each side: a picture has two."
    if value == 3:
        return "Factor 4 is for height and for width."
    if abs(value - 1 / 12) < 0.01:
        return "That is the inverse: how many times fewer, not which share."
    return "Count both: channels · height · width of the picture, and of the latents."
