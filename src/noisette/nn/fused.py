"""A residual block as one step of autograd, for processors.

What it computes is ResBlock's forward. One step instead of a dozen saves the calls, the concatenation of x with its
skip connection, and the sums of gradients that autograd would make.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .conv import Conv1x1, Conv3x3
from .engine import Engine, engine
from .layout import NHWC
from .norm import GroupNorm, normalise, normalise_back


def suited(
    norm1: GroupNorm, conv1: Conv3x3, conv2: Conv3x3, way: nn.Module, x: tuple[Tensor, ...], emb: Tensor
) -> Engine | None:
    """The engine that can do the block in one step."""
    by = engine(*x, emb, norm1.weight, conv1.weight)
    fits = (
        by is not None
        and conv1.fits(by, x[0])
        and conv2.fits(by, x[0])
        and norm1.fits(*(t.shape[1] for t in x), conv1.out_channels)
        and (len(x) == 1 or isinstance(way, Conv1x1))
    )
    return by if fits else None


def residual(
    by: Engine,
    norm1: GroupNorm,
    conv1: Conv3x3,
    norm2: GroupNorm,
    conv2: Conv3x3,
    way: nn.Module,
    embed: nn.Linear,
    x: tuple[Tensor, ...],
    emb: Tensor,
    dropout: float,
) -> Tensor:
    """conv2(dropout(norm2(conv1(norm1(x)), embed(emb)))) + way(x), both norms with SiLU; x are one or two tensors."""
    around = (way.weight, way.bias) if isinstance(way, Conv1x1) else (None, None)
    parameters = [p for layer in (embed, norm1, conv1, norm2, conv2) for p in (layer.weight, layer.bias)]
    constants = (norm1.num_groups, norm1.eps, norm2.num_groups, norm2.eps, dropout)
    us = (conv1.transformed(by), conv2.transformed(by))
    with torch.autocast("cpu", enabled=False):
        return _Residual.apply(by, constants, us, emb.float(), *parameters, *around, *x)  # type: ignore[no-untyped-call]


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, by: Engine, constants: tuple[Any, ...], us: tuple[Tensor, Tensor], emb: Tensor, *rest: Any
    ) -> Tensor:
        groups1, eps1, groups2, eps2, dropout = constants
        gain, shift, gain1, offset1, kernel1, bias1, gain2, offset2, kernel2, bias2, way, way_bias, *inputs = rest
        x, outs = tuple(t.to(by.dtype, memory_format=NHWC) for t in inputs), len(bias1)
        ctx.by, told = by, torch.addmm(shift, emb, gain.T)
        y1, ctx.stats1 = normalise(x, None, gain1, offset1, groups1, eps1, True)
        h = by.convolve(y1, us[0], outs, bias1)
        y2, ctx.stats2 = normalise((h,), told, gain2, offset2, groups2, eps2, True)
        kept = None
        if dropout:
            y2, kept = torch.native_dropout(y2, dropout, True)
        onto = x[0]
        if way is not None:
            onto = by.mix(x, way, way_bias)
        ctx.scale = 1 / (1 - dropout)
        ctx.save_for_backward(
            emb, gain, told, gain1, offset1, kernel1, gain2, offset2, kernel2, way, y1, h, y2, kept, *x
        )
        return by.convolve(y2, us[1], outs, bias2, onto)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            return _backward(ctx, ctx.by, dy)


def _backward(ctx: Any, by: Engine, dy: Tensor) -> tuple[Tensor | None, ...]:
    emb, gain, told, gain1, offset1, kernel1, gain2, offset2, kernel2, way, y1, h, y2, kept, *x = ctx.saved_tensors
    dy = dy.contiguous(memory_format=NHWC)
    outs, ins, learns = dy.shape[1], y1.shape[1], any(ctx.needs_input_grad[4:16])
    dkernel2, dbias2 = by.gradients(y2, dy) if learns else (None, None)
    dy2 = by.back(dy, by.transform(kernel2, back=True), outs)
    if kept is not None:
        dy2 = torch.ops.aten.native_dropout_backward(dy2, kept, ctx.scale)
    (dh,), dtold, dgain2, doffset2 = normalise_back((h,), told, gain2, offset2, ctx.stats2, dy2)
    dkernel1, dbias1 = by.gradients(y1, dh) if learns else (None, None)
    dy1 = by.back(dh, by.transform(kernel1, back=True), ins)
    onto = dy if way is None else None
    dx, _, dgain1, doffset1 = normalise_back(tuple(x), None, gain1, offset1, ctx.stats1, dy1, onto)
    dway = None
    if way is not None:
        dway = by.mix_back(tuple(x), way, dy, dx)
    assert dtold is not None
    parameters = (dtold.T @ emb, dtold.sum(0), dgain1, doffset1, dkernel1, dbias1, dgain2, doffset2, dkernel2, dbias2)
    return None, None, None, dtold @ gain, *parameters, dway, dbias2 if way is not None else None, *dx
