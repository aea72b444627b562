"""Masks against the truth: intersection over union, and the AUROC of an uncertainty as a predictor of errors."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...errors import InputError
from .interval import ConfidenceInterval

Masks = Bool[Tensor, "n 1 h w"]


def iou(predicted: Masks, target: Masks) -> Float[Tensor, "n"]:
    """Intersection over union of each mask, (n,); 1 where both masks are empty."""
    both, either = (predicted & target).flatten(1).sum(1), (predicted | target).flatten(1).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def auroc(scores: Float[Tensor, "k"], targets: Bool[Tensor, "k"]) -> float:
    """Area under the ROC curve: the probability that a case with target True has a higher score than one with False.

    Ties count half (Mann & Whitney 1947). Raises InputError where all targets are equal.
    """
    if targets.all() or not targets.any():
        raise InputError(
            f"an area under the curve needs targets of both kinds, got {len(targets)} that are all "
            f"{bool(targets.all())}"
        )
    _, rank, count = scores.unique(sorted=True, return_inverse=True, return_counts=True)
    middle = (count.cumsum(0) - (count - 1) / 2)[rank].double()  # the mean rank of equals
    hits = int(targets.sum())
    return float((middle[targets].sum() - hits * (hits + 1) / 2) / (hits * (len(targets) - hits)))


def bootstrap_mean(values: Float[Tensor, "n"], seed: int = 0, resamples: int = 2000) -> ConfidenceInterval:
    """The mean of independent values (n,), with its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(seed)
    x = values.double().numpy()
    means = x[rng.integers(0, len(x), (resamples, len(x)))].mean(1)
    return ConfidenceInterval(float(x.mean()), *(float(q) for q in np.quantile(means, (0.025, 0.975))))
