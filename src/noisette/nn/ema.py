"""The exponential moving average (EMA) of a model's weights, which samples are drawn with."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from ..errors import InputError

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """Karras et al. 2022, Appendix F.2: the half-life is counted in images, and shorter early in training.

    decay = 0.5 ^ (batch / min(half_life, ramp · images))

    The decay depends on the image counter alone, so `model`'s state dict is all that has to be saved.
    """

    def __init__(self, model: M, half_life: float, ramp: float = 0.05) -> None:
        """`half_life` in images, above 0; `ramp`: the largest half-life as a fraction of the images so far, above 0."""
        if not half_life > 0:
            raise InputError(f"the average's half-life is {half_life} images: it must be above 0")
        if not ramp > 0:
            raise InputError(f"the average's ramp is {ramp}: it is a fraction of the images so far, above 0")
        self.model: M = copy.deepcopy(model).eval().requires_grad_(False)
        self.half_life, self.ramp = half_life, ramp

    def decay(self, images: int, batch: int) -> float:
        """The factor of the old average, 0 to 1, in a step of `batch` images that ends with image number `images`."""
        half_life = min(self.half_life, images * self.ramp)
        return 0.5 ** (batch / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, batch: int) -> None:
        """Move towards `model`, trained on `images` images so far, `batch` of them since the last update."""
        keep = self.decay(images, batch)
        means: list[torch.Tensor] = list(self.model.parameters())
        values: list[torch.Tensor] = list(model.parameters())
        assert len(means) == len(values), "the average and the model are of different architectures"
        torch._foreach_lerp_(means, values, 1 - keep)
        for mean, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(value)
