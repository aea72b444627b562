"""A residual block as one step of autograd, for processors.

What it computes is ResBlock's forward. One step instead of a dozen saves the calls, the concatenation of x with its
skip connection, and the sums of gradients that autograd would make.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .conv import NHWC, Conv1x1, Conv3x3, convolve, gradients, transform
from .kernels.library import serves
from .norm import GroupNorm, normalise, normalise_back


def fits(norm: GroupNorm, conv1: Conv3x3, conv2: Conv3x3, way: nn.Module, x: tuple[Tensor, ...], told: Tensor) -> bool:
    """Whether the block can be done in one step."""
    return (
        conv1.fits(x[0])
        and conv2.fits(x[0])
        and norm.fits(*(t.shape[1] for t in x))
        and (len(x) == 1 or isinstance(way, Conv1x1))
        and serves(*x, told, norm.weight, conv1.weight)
    )


def residual(
    norm1: GroupNorm,
    conv1: Conv3x3,
    norm2: GroupNorm,
    conv2: Conv3x3,
    way: nn.Module,
    x: tuple[Tensor, ...],
    told: Tensor,
    dropout: float,
) -> Tensor:
    """conv2(dropout(norm2(conv1(norm1(x)), told))) + way(x), both norms with SiLU; x are one or two tensors."""
    around = (way.weight, way.bias) if isinstance(way, Conv1x1) else (None, None)
    parameters = [p for layer in (norm1, conv1, norm2, conv2) for p in (layer.weight, layer.bias)]
    constants = (norm1.num_groups, norm1.eps, norm2.num_groups, norm2.eps, dropout)
    us = (conv1.transformed(), conv2.transformed())
    return _Residual.apply(constants, us, told, *parameters, *around, *x)  # type: ignore[no-untyped-call]


def _rows(x: Tensor) -> Tensor:
    """(b, c, h, w), channels last, as (b h w, c)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, constants: tuple[Any, ...], us: tuple[Tensor, Tensor], told: Tensor, *rest: Any) -> Tensor:
        groups1, eps1, groups2, eps2, dropout = constants
        gain1, offset1, kernel1, bias1, gain2, offset2, kernel2, bias2, way, way_bias, *inputs = rest
        x, told, outs = tuple(t.contiguous(memory_format=NHWC) for t in inputs), told.contiguous(), len(bias1)
        y1, ctx.stats1 = normalise(x, None, gain1, offset1, groups1, eps1, True)
        h = convolve(y1, us[0], outs, bias1)
        y2, ctx.stats2 = normalise((h,), told, gain2, offset2, groups2, eps2, True)
        kept = None
        if dropout:
            y2, kept = torch.native_dropout(y2, dropout, True)
        onto = x[0]
        if way is not None:
            onto = _around(x, way, way_bias)
        ctx.scale = 1 / (1 - dropout)
        ctx.save_for_backward(told, gain1, offset1, kernel1, gain2, offset2, kernel2, way, y1, h, y2, kept, *x)
        return convolve(y2, us[1], outs, bias2, onto)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        told, gain1, offset1, kernel1, gain2, offset2, kernel2, way, y1, h, y2, kept, *x = ctx.saved_tensors
        dy = dy.contiguous(memory_format=NHWC)
        outs, ins, learns = dy.shape[1], y1.shape[1], any(ctx.needs_input_grad[3:13])
        dkernel2, dbias2 = gradients(y2, dy) if learns else (None, None)
        dy2 = convolve(dy, transform(kernel2, back=True), outs)
        if kept is not None:
            dy2 = torch.ops.aten.native_dropout_backward(dy2, kept, ctx.scale)
        (dh,), dtold, dgain2, doffset2 = normalise_back((h,), told, gain2, offset2, ctx.stats2, dy2)
        dkernel1, dbias1 = gradients(y1, dh) if learns else (None, None)
        dy1 = convolve(dh, transform(kernel1, back=True), ins)
        onto = dy if way is None else None
        dx, _, dgain1, doffset1 = normalise_back(tuple(x), None, gain1, offset1, ctx.stats1, dy1, onto)
        dway = None
        if way is not None:
            dway = _around_back(tuple(x), way, dy, dx)
        parameters = (dgain1, doffset1, dkernel1, dbias1, dgain2, doffset2, dkernel2, dbias2)
        return None, None, dtold, *parameters, dway, dbias2 if way is not None else None, *dx


def _around(x: tuple[Tensor, ...], way: Tensor, bias: Tensor) -> Tensor:
    """The 1 × 1 convolution of x: a matrix product for each of its tensors."""
    weights = way.flatten(1).split([t.shape[1] for t in x], dim=1)
    y = torch.addmm(bias, _rows(x[0]), weights[0].T)
    for t, weight in zip(x[1:], weights[1:], strict=True):
        y.addmm_(_rows(t), weight.T)
    b, _, h, w = x[0].shape
    return y.view(b, h, w, -1).permute(0, 3, 1, 2)


def _around_back(x: tuple[Tensor, ...], way: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
    """The gradient of its weight; that of x is added to dx."""
    rows, dway = _rows(dy), torch.empty_like(way)
    parts = zip(x, dx, way.flatten(1).split([t.shape[1] for t in x], dim=1), strict=True)
    at = 0
    for t, dt, weight in parts:
        _rows(dt).addmm_(rows, weight)
        dway.flatten(1)[:, at : at + t.shape[1]] = rows.T @ _rows(t)
        at += t.shape[1]
    return dway
