"""Exercises of chapter 3: a U-Net by hand."""

import math

import torch
from torch import Tensor

from . import call, exercise, number, tensor
from .matching import match


def _normalize(x: Tensor, dims: tuple[int, ...], unbiased: bool = False, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True, unbiased=unbiased) + eps).sqrt()


@exercise(
    "unet.group_norm",
    "Write group_norm(x, groups) for x of shape (N, C, H, W), with 1e-5 added to the variance.",
    "Each group of channels of each picture has mean 0 and variance 1 now.",
)
def group_norm(answer: object) -> str | None:
    x = (
        torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(3))
        * torch.tensor([1.0, 2, 3, 4])[:, None, None]
    )
    grouped = x.reshape(3, 2, 2, 2, 2)
    return match(
        tensor(call(answer, x, 2), (3, 4, 2, 2)),
        _normalize(grouped, (2, 3, 4)).reshape(x.shape),
        [
            (_normalize(x, (2, 3)), "This normalizes each channel alone. A group holds C / groups channels."),
            (
                _normalize(x, (1, 2, 3)),
                "This normalizes all channels together, as one group. Where do the groups enter?",
            ),
            (_normalize(grouped, (0, 2, 3, 4)).reshape(x.shape), "The mean runs over the pictures of the batch, too."),
            (_normalize(x, (0, 2, 3)), "That is batch normalization: the mean runs over the pictures of the batch."),
            (
                _normalize(grouped, (2, 3, 4), unbiased=True).reshape(x.shape),
                "Use var(…, unbiased=False): divide by n.",
            ),
            (
                (grouped - grouped.mean((2, 3, 4), keepdim=True)).reshape(x.shape),
                "The mean is 0 now, but the variance is not 1 yet.",
            ),
            (
                (
                    (grouped - grouped.mean((2, 3, 4), keepdim=True))
                    / (grouped.var((2, 3, 4), keepdim=True, unbiased=False) + 1e-5)
                ).reshape(x.shape),
                "You divide by the variance. Divide by its root.",
            ),
        ],
        "Reshape x to (N, groups, numbers of a group), normalize over the last axis, and reshape it back.",
    )


@exercise(
    "unet.time",
    "Write embed_time(label, width): cosines, then sines, of label · 10000^(−i / (width / 2)), i = 0 … width/2 − 1.",
    "Fast waves tell neighbors apart, slow waves tell early from late.",
)
def time(answer: object) -> str | None:
    label, width = torch.tensor([0.0, 3.0, 500.0]), 8
    i = torch.arange(width // 2)
    angle = label[:, None] * torch.exp(-math.log(10000) * i / (width // 2))
    growing = label[:, None] * torch.exp(math.log(10000) * i / (width // 2))
    found = call(answer, label, width)
    if isinstance(found, Tensor) and found.shape == (3, 2 * width):
        return "This is twice as wide as asked: width / 2 cosines and width / 2 sines."
    return match(
        tensor(found, (3, width)),
        torch.cat([angle.cos(), angle.sin()], dim=1),
        [
            (torch.cat([angle.sin(), angle.cos()], dim=1), "The order is swapped: first the cosines, then the sines."),
            (torch.stack([angle.cos(), angle.sin()], dim=2).flatten(1), "All cosines come first, then all sines."),
            (torch.cat([growing.cos(), growing.sin()], dim=1), "The exponent is negative: the waves become slower."),
        ],
        "angle = label[:, None] * frequencies has shape (N, width / 2); then join cos and sin along dimension 1.",
    )


@exercise(
    "unet.channels",
    "A decoder block gets 64 channels and a skip of 32. How many weights has a 3×3 convolution of them to 32?",
    "Joined maps have 64 + 32 channels, and each pair of channels has nine weights.",
)
def channels(answer: object) -> str | None:
    value = number(answer)
    hints = {
        18432: "That is without the skip. The block gets both maps, one behind the other.",
        9216: "That is of the skip alone, or of maps that are added. Here they are joined.",
        3072: "Each pair of an input and an output channel has 3 × 3 weights.",
        27680: "That is with the 32 biases. Only the weights are asked for.",
    }
    if value == 96 * 32 * 9:
        return None
    return hints.get(int(value), "Joined channels × output channels × 3 × 3.")
