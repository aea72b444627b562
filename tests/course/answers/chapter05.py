"""Answers to the exercises of chapter 5: right ones, and mistakes with words of the hint that each gets."""

import torch
from torch import Tensor

KEPT = torch.cumprod(1 - torch.linspace(1e-3, 0.15, 100, dtype=torch.float64), 0)[-1].item()


def mean(x: Tensor, eps: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    return (x - beta / (1 - alpha_bar) ** 0.5 * eps) / (1 - beta) ** 0.5


def library_form(x: Tensor, eps: Tensor, beta: Tensor, alpha_bar: Tensor) -> Tensor:
    """The same by the posterior's weights of x0 and x."""
    before = alpha_bar / (1 - beta)
    x0 = (x - (1 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt()
    return (before.sqrt() * beta * x0 + (1 - beta).sqrt() * (1 - before) * x) / (1 - alpha_bar)


RIGHT: dict[str, list[object]] = {
    "sampling.draws": [99, torch.tensor(99)],
    "sampling.mean": [mean, library_form],
    "sampling.collapse": [KEPT**0.5, round(KEPT**0.5, 4)],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "sampling.draws": [(100, "k = 1"), (101, "does not count"), (98, "Count"), ("many", "one number")],
    "sampling.mean": [
        (lambda x, eps, b, a: x - b / (1 - a).sqrt() * eps, "undo that"),
        (lambda x, eps, b, a: (x - b / (1 - a).sqrt() * eps) / (1 - b), "variance"),
        (lambda x, eps, b, a: (x - b / (1 - a).sqrt() * eps) / a.sqrt(), "one step"),
        (lambda x, eps, b, a: (x - b / (1 - a) * eps) / (1 - b).sqrt(), "not by σ²"),
        (lambda x, eps, b, a: (x - b * eps) / (1 - b).sqrt(), "in all"),
        (lambda x, eps, b, a: (x - (1 - a).sqrt() * eps) / (1 - b).sqrt(), "all noise at once"),
        (lambda x, eps, b, a: (x + b / (1 - a).sqrt() * eps) / (1 - b).sqrt(), "sign"),
        (lambda x, eps, b, a: x, "one factor at a time"),
        (lambda x, eps: x, "raised TypeError"),
    ],
    "sampling.collapse": [
        (KEPT, "variance"),
        (KEPT**-0.5, "multiply or divide"),
        (1.0, "noise is added"),
        (0.85**0.5, "one step"),
        (-0.1, "positive"),
        (0.5, "Simplify"),
    ],
}
