"""Answers to the exercises of chapter 3: right ones, and mistakes with words of the hint that each gets."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def by_axis(x: Tensor, groups: int) -> Tensor:
    parts = x.reshape(len(x), groups, -1)
    parts = (parts - parts.mean(-1, keepdim=True)) / (parts.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return parts.reshape(x.shape)


def over_batch(x: Tensor, groups: int) -> Tensor:
    parts = x.reshape(len(x), groups, -1)
    mean, var = parts.mean((0, 2), keepdim=True), parts.var((0, 2), keepdim=True, unbiased=False)
    return ((parts - mean) / (var + 1e-5).sqrt()).reshape(x.shape)


def unbiased(x: Tensor, groups: int) -> Tensor:
    parts = x.reshape(len(x), groups, -1)
    return ((parts - parts.mean(-1, keepdim=True)) / (parts.var(-1, keepdim=True) + 1e-5).sqrt()).reshape(x.shape)


def centered(x: Tensor, groups: int) -> Tensor:
    parts = x.reshape(len(x), groups, -1)
    return (parts - parts.mean(-1, keepdim=True)).reshape(x.shape)


def by_variance(x: Tensor, groups: int) -> Tensor:
    parts = x.reshape(len(x), groups, -1)
    return (centered(x, groups).reshape(parts.shape) / parts.var(-1, keepdim=True, unbiased=False)).reshape(x.shape)


def angles(label: Tensor, width: int, sign: int = -1) -> Tensor:
    return label[:, None] * torch.exp(sign * math.log(10000) * torch.arange(width // 2) / (width // 2))


def waves(label: Tensor, width: int) -> Tensor:
    return torch.cat([angles(label, width).cos(), angles(label, width).sin()], dim=1)


RIGHT: dict[str, list[object]] = {
    "unet.group_norm": [by_axis, F.group_norm],
    "unet.time": [waves],
    "unet.channels": [27648],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "unet.group_norm": [
        (lambda x, groups: F.instance_norm(x), "each channel alone"),
        (lambda x, groups: F.group_norm(x, 1), "as one group"),
        (over_batch, "runs over the pictures"),
        (lambda x, groups: F.batch_norm(x, None, None, training=True), "batch normalization"),
        (unbiased, "unbiased=False"),
        (centered, "variance is not 1"),
        (by_variance, "Divide by its root"),
        (lambda x, groups: x, "over the last axis"),
    ],
    "unet.time": [
        (lambda label, width: waves(label, width).roll(width // 2, dims=1), "swapped"),
        (lambda label, width: waves(label, width).reshape(-1, 2, width // 2).mT.flatten(1), "come first"),
        (
            lambda label, width: torch.cat([angles(label, width, 1).cos(), angles(label, width, 1).sin()], dim=1),
            "negative",
        ),
        (lambda label, width: waves(label, 2 * width), "twice as wide"),
        (lambda label, width: torch.zeros(len(label), width), "along dimension 1"),
    ],
    "unet.channels": [
        (18432, "without the skip"),
        (9216, "the skip alone"),
        (3072, "3 × 3 weights"),
        (27680, "biases"),
        (7, "Joined"),
    ],
}
