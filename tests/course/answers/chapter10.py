"""Answers to the exercises of chapter 10: right ones, and mistakes with words of the hint that each gets."""

import torch
import torch.nn.functional as F
from torch import Tensor


def spread(y: Tensor, factor: int) -> Tensor:
    return F.interpolate(y, scale_factor=factor, mode="nearest")


def angle(a: Tensor, b: Tensor) -> Tensor:
    return torch.arccos(F.cosine_similarity(a.flatten(1), b.flatten(1))).reshape(-1, 1, 1, 1)


def along(a: Tensor, b: Tensor, w: float, at: Tensor) -> Tensor:
    return (torch.sin((1 - w) * at) * a + torch.sin(w * at) * b) / torch.sin(at)


RIGHT: dict[str, list[object]] = {
    "editing.correct": [lambda x, y, f: x + spread(y - F.avg_pool2d(x, f), f)],
    "editing.middle": [(3 * 32 * 32 / 2) ** 0.5, 39],
    "editing.slerp": [lambda a, b, w: along(a, b, w, angle(a, b))],
    "editing.calls": [96],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "editing.correct": [
        (lambda x, y, f: x - spread(y - F.avg_pool2d(x, f), f), "sign"),
        (lambda x, y, f: spread(y, f), "lost all details"),
        (lambda x, y, f: x + spread(y, f), "difference of y"),
        (lambda x, y, f: x + spread(y - F.avg_pool2d(x, f), f) / f**2, "whole difference"),
        (lambda x, y, f: x + F.interpolate(y - F.avg_pool2d(x, f), scale_factor=f, mode="bilinear"), "blend"),
        (lambda x, y, f: x, "Three steps"),
        (lambda x, y, f: y, "shape"),
    ],
    "editing.middle": [
        (55.4, "smaller variance"),
        (27.7, "Halving"),
        (78.4, "sum"),
        (22.6, "1024"),
        (1536, "squared"),
        (3, "Count"),
    ],
    "editing.slerp": [
        (lambda a, b, w: along(a, b, 1 - w, angle(a, b)), "swapped"),
        (torch.lerp, "straight line"),
        (lambda a, b, w: along(a, b, w, angle(a.reshape(1, -1), b.reshape(1, -1))), "each pair"),
        (lambda a, b, w: along(a, b, w, angle(a, b)) * torch.sin(angle(a, b)), "divide"),
        (lambda a, b, w: a, "formula"),
    ],
    "editing.calls": [(100, "Nearly"), (95, "repeated"), (20, "without repetitions"), (5, "each round")],
}
