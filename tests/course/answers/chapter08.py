"""Answers to the exercises of chapter 8: right ones, and mistakes with words of the hint that each gets."""

import math

import torch
from torch import Tensor


def variance(v: Tensor, small: Tensor, large: Tensor) -> Tensor:
    f = (v + 1) / 2
    return torch.exp(f * torch.log(large) + (1 - f) * torch.log(small))


def respace(alpha_bar: Tensor, kept: list[int]) -> Tensor:
    a = alpha_bar[kept]
    return 1 - a / torch.cat([a.new_ones(1), a[:-1]])


def in_the_long_chain(alpha_bar: Tensor, kept: list[int]) -> Tensor:
    return 1 - alpha_bar[kept] / torch.cat([alpha_bar.new_ones(1), alpha_bar])[kept]


RIGHT: dict[str, list[object]] = {
    "improved.bits": [133.1 / 64 / math.log(2), 3.0],
    "improved.variance": [variance, lambda v, s, b: s * (b / s) ** ((v + 1) / 2)],
    "improved.respace": [respace],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "improved.bits": [
        (133.1 / 64, "in nats"),
        (133.1 / math.log(2), "whole picture"),
        (133.1 / 64 * math.log(2), "more bits than nats"),
        (133.1 / 8 / math.log(2), "count all"),
        (-3.0, "positive"),
        (1, "Two divisions"),
    ],
    "improved.variance": [
        (lambda v, s, b: (v + 1) / 2 * b + (1 - v) / 2 * s, "logarithms are mixed"),
        (lambda v, s, b: variance(-v, s, b), "swapped"),
        (lambda v, s, b: torch.exp(v * b.log() + (1 - v) * s.log()), "from 0 to 1"),
        (lambda v, s, b: variance(v, s, b).sqrt(), "square"),
        (lambda v, s, b: variance(v, s, b).log(), "missing at the end"),
        (lambda v, s, b: v, "Compute f"),
    ],
    "improved.respace": [
        (lambda a, kept: 1 - a[kept][1:] / a[kept][:-1], "missing"),
        (lambda a, kept: torch.tensor([0.2, 0.3, 0.6]), "left out"),
        (lambda a, kept: 1 - a[kept], "clean picture on"),
        (lambda a, kept: 1 - respace(a, kept), "share that is kept"),
        (lambda a, kept: 1 - 1 / (1 - respace(a, kept)), "upside down"),
        (in_the_long_chain, "long chain"),
        (lambda a, kept: a[kept] * 0, "For each kept step"),
        (lambda a, kept: a, "shape"),
    ],
}
