"""Exercises of chapter 4: training."""

import torch
from torch import Tensor

from . import call, choice, exercise, number, tensor
from .matching import match


@exercise(
    "train.start",
    "What is the mean squared error in ε of a network that always answers 0?",
    "The target has mean 0 and variance 1, so this is the value that training starts from.",
)
def start(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 1) < 0.01:
        return None
    if abs(value) < 0.01:
        return "0 would be a perfect network. The target is ε, which is not 0."
    if abs(value - 2) < 0.01:
        return "2 is the error of a network that answers with other noise of variance 1. This one answers 0."
    return "The error is the mean of (ε − 0)². Which property of ε is that?"


@exercise(
    "train.loss",
    "Write loss(net, x0, eps, alpha_bar): the mean squared error of net(x_t) as a guess of eps.",
    "This is the line of Algorithm 1 that trains.",
)
def loss(answer: object) -> str | None:
    generator = torch.Generator().manual_seed(4)
    x0, eps = torch.rand(2, 3, 4, 4, generator=generator), torch.randn(2, 3, 4, 4, generator=generator)
    alpha_bar = torch.tensor([0.2, 0.7]).reshape(2, 1, 1, 1)
    x_t = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps

    def net(x: Tensor) -> Tensor:
        return 0.3 * x

    found = call(answer, net, x0, eps, alpha_bar)
    if isinstance(found, Tensor) and found.shape == x0.shape:
        return "This is the error of every pixel. The loss is one number, their mean."
    return match(
        tensor(found, ()),
        ((net(x_t) - eps) ** 2).mean(),
        [
            (((net(x_t) - x0) ** 2).mean(), "The target is not the clean picture: this network guesses the noise."),
            (((net(x_t) - x_t) ** 2).mean(), "The target is not x_t, which the network sees anyway."),
            (((net(x_t) - eps) ** 2).sum(), "That is the sum of the squares. Take the mean."),
            ((net(x_t) - eps).abs().mean(), "That is the mean of the absolute errors. Square them."),
            (
                ((net(alpha_bar * x0 + (1 - alpha_bar) * eps) - eps) ** 2).mean(),
                "ᾱ and 1 − ᾱ are shares of the variance. The factors of x0 and ε are their roots.",
            ),
            (((net(x0) - eps) ** 2).mean(), "The network saw the clean picture. It must see x_t."),
        ],
        "First mix x_t from x0 and eps, then compare net(x_t) with eps.",
    )


@exercise(
    "train.ema",
    "Write ema(average, weights, decay), the new average after one step.",
    "With a decay of 0.99 the average remembers about the last hundred steps.",
)
def ema(answer: object) -> str | None:
    average, weights = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5.0, -1.0, 0.0])
    return match(
        tensor(call(answer, average, weights, 0.9), (3,)),
        0.9 * average + 0.1 * weights,
        [
            (0.1 * average + 0.9 * weights, "The two factors are swapped: the average moves only a little in a step."),
            (0.9 * average + weights, "The factors must add up to 1; else the average grows."),
            ((average + weights) / 2, "That ignores the decay: it gives both the same factor."),
        ],
        "Keep the share `decay` of the average, and take the rest from the weights.",
    )


@exercise(
    "train.hardest",
    'At which steps is the error in ε largest: at "low" or at "high" noise?',
    "A little noise is hard to tell from details of the picture; much noise is all that is there.",
)
def hardest(answer: object) -> str | None:
    if choice(answer, ("low", "high", "equal")) == "low":
        return None
    if answer == "equal":
        return "Look at the table: the error in ε changes by more than a factor of 10."
    return "That is where the error in x0 is largest. In pure noise, how hard is it to say what the noise is?"
