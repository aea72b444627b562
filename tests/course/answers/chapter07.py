"""Answers to the exercises of chapter 7: right ones, and mistakes with words of the hint that each gets."""

import torch
from torch import Tensor


def planes(c: Tensor, height: int, width: int) -> Tensor:
    return c[:, :, None, None].expand(-1, -1, height, width)


def planes_by_ones(c: Tensor, height: int, width: int) -> Tensor:
    return torch.einsum("bd,hw->bdhw", c, torch.ones(height, width))


def modulate(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


def mixture(**weights: float) -> Tensor:
    vector = torch.zeros(10)
    for name, weight in weights.items():
        vector[int(name[1:])] = weight
    return vector


def wide(x: Tensor) -> Tensor:
    return x[:, :, None, None]


RIGHT: dict[str, list[object]] = {
    "context.planes": [planes, planes_by_ones],
    "context.mixture": [mixture(d3=0.25, d8=0.75)],
    "context.modulate": [modulate],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "context.planes": [
        (lambda c, h, w: c[:, None, None].expand(-1, h, w, -1), "channels come second"),
        (lambda c, h, w: planes(c, w, h), "Height and width"),
        (lambda c, h, w: planes(c.T, h, w), "batch and of planes"),
        (lambda c, h, w: wide(c), "length 1"),
        (lambda c, h, w: c, "two more axes"),
        (lambda c, h, w: c.repeat(1, h * w).reshape(-1, 3, h, w), "several values"),
        (lambda c, h, w: planes(c.flip(1), h, w), "not the right one"),
        (lambda c, h, w: planes(c, h, w).flatten(2), "shape"),
    ],
    "context.mixture": [
        (mixture(d3=1, d8=3), "sum is 1"),
        (mixture(d3=0.75, d8=0.25), "swapped"),
        (mixture(d3=0.5, d8=0.5), "four parts"),
        (mixture(d3=1 / 3, d8=2 / 3), "how many"),
        (mixture(d2=0.25, d7=0.75), "from 0"),
        (torch.ones(10) / 10, "Only the entries"),
        (torch.ones(2), "shape"),
    ],
    "context.modulate": [
        (lambda h, s, b: h * wide(s) + wide(b), "scale of 0"),
        (lambda h, s, b: (h + wide(b)) * (1 + wide(s)), "order"),
        (lambda h, s, b: h * (1 + wide(s)), "shift is missing"),
        (lambda h, s, b: h + wide(b), "scale is missing"),
        (lambda h, s, b: h * (1 + s) + b, "batch and channels"),
        (lambda h, s, b: h * (1 + wide(b)) + wide(s), "swapped"),
        (lambda h, s, b: h, "two more axes"),
    ],
}
