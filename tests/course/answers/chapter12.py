"""Answers to the exercises of chapter 12: right ones, and mistakes with words of the hint that each gets."""

from collections.abc import Callable

import torch
from torch import Tensor


def make_kid(diagonal: bool = False, between: int = 2, scaled: bool = True, squares: bool = False) -> Callable:
    def k(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / (a.shape[1] if scaled else 1) + 1) ** 3

    def within(a: Tensor) -> Tensor:
        n = len(a)
        if diagonal:
            return k(a, a).mean()
        return (k(a, a).sum() - k(a, a).diagonal().sum()) / (n * n if squares else n * (n - 1))

    return lambda x, y: within(x) + within(y) - between * k(x, y).mean()


def even(T: int, n: int) -> list[int]:
    return torch.linspace(T, 0, n + 1).round().long().tolist()


RIGHT: dict[str, list[object]] = {
    "honesty.kid": [make_kid(), lambda x, y: make_kid()(x, y).item()],
    "honesty.zero": [0.037, 3.8415 / 103.8415],
    "honesty.times": [even, lambda T, n: [T - T * i // n for i in range(n + 1)]],
    "honesty.leak": [0.878, 0.88],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "honesty.kid": [
        (make_kid(diagonal=True), "diagonal"),
        (make_kid(between=1), "twice"),
        (make_kid(scaled=False), "divided by d"),
        (make_kid(squares=True), "n (n − 1)"),
        (lambda x, y: 1000 * make_kid()(x, y), "1000"),
        (lambda x, y: -make_kid()(x, y), "sign"),
        (lambda x, y: 0.5, "Three means"),
        (lambda x, y: x, "one number"),
    ],
    "honesty.zero": [
        (0, "estimate"),
        (0.03, "rule of three"),
        (3.7, "percent"),
        (0.0384, "denominator"),
        (0.0185, "middle"),
        (0.5, "Put p"),
    ],
    "honesty.times": [
        (lambda T, n: list(range(T, 0, -(T // n))), "is missing"),
        (lambda T, n: list(range(T, -1, -(T // n))), "not come out even"),
        (lambda T, n: torch.linspace(T, 0, n + 1).tolist(), "round"),
        (lambda T, n: even(T, n)[::-1], "from 0 to 500"),
        (lambda T, n: [T] * n + [0], "decrease"),
        (lambda T, n: "no", "list of numbers"),
    ],
    "honesty.leak": [
        (0.1216, "no copy held out"),
        (0.1, "one copy"),
        (1.0, "Nearly"),
        (88, "percent"),
        (0.5, "same side"),
    ],
}
