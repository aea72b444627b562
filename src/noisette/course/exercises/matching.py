"""Hints by comparison: which of the usual mistakes gives the value that was found."""

from collections.abc import Sequence

import torch
from torch import Tensor


def match(found: Tensor, right: Tensor, mistakes: Sequence[tuple[Tensor, str]], otherwise: str) -> str | None:
    """None where `found` is `right`; else the hint of the first of `mistakes` that has this value, or `otherwise`.

    Values are equal within a relative 1e-3 and an absolute 1e-4.
    """
    if _close(found, right):
        return None
    return next((hint for value, hint in mistakes if _close(found, value)), otherwise)


def _close(found: Tensor, value: Tensor) -> bool:
    return found.shape == value.shape and torch.allclose(found.double(), value.double(), rtol=1e-3, atol=1e-4)


def is_close(found: Tensor, wanted: Tensor) -> bool:
    """Whether all values are equal within a relative and an absolute 1e-4."""
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
