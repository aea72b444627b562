"""How well a mask fits: intersection over union, and whether uncertainty is where the errors are."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import InputError
from .interval import Interval

Masks = Bool[Tensor, "n 1 h w"]


def iou(found: Masks, truth: Masks) -> Float[Tensor, "n"]:
    """Intersection over union of each mask; 1 where both are empty."""
    both, either = (found & truth).flatten(1).sum(1), (found | truth).flatten(1).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def auroc(score: Float[Tensor, "k"], event: Bool[Tensor, "k"]) -> float:
    """The chance that a case of the event has a higher score than one without; ties count half (Mann and Whitney)."""
    if event.all() or not event.any():
        raise InputError(
            "an area under the curve needs cases with the event and cases without: there are only one kind"
        )
    _, rank, count = score.unique(sorted=True, return_inverse=True, return_counts=True)
    middle = (count.cumsum(0) - (count - 1) / 2)[rank].double()  # the mean rank of equals
    hits = int(event.sum())
    return float((middle[event].sum() - hits * (hits + 1) / 2) / (hits * (len(event) - hits)))


def mean_of(values: Float[Tensor, "n"], seed: int = 0, draws: int = 2000) -> Interval:
    """The mean of independent cases, with the 95 % interval of its bootstrap."""
    rng = np.random.default_rng(seed)
    x = values.double().numpy()
    means = x[rng.integers(0, len(x), (draws, len(x)))].mean(1)
    return Interval(float(x.mean()), *(float(q) for q in np.quantile(means, (0.025, 0.975))))
