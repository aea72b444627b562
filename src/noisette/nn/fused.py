"""A residual block, and an attention block, each as one autograd function, for the CPU.

They compute what `ResBlock.forward` and `Attention.forward` compute. One function instead of a dozen saves calls, the
concatenation of x with its skip connection, and the sums of gradients that autograd would make.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .conv import Conv1x1, Conv3x3
from .kernels.backend import ConvBackend, select_backend
from .kernels.kernel_backend import KernelBackend
from .kernels.layout import NHWC
from .norm import GroupNorm, group_norm, group_norm_backward


def resblock_backend(
    norm1: GroupNorm,
    conv1: Conv3x3,
    norm2: GroupNorm,
    conv2: Conv3x3,
    skip: nn.Module,
    embed: nn.Linear,
    x: tuple[Tensor, ...],
    emb: Tensor,
) -> ConvBackend | None:
    """The backend that can compute this residual block in one step, or None."""
    if not norm1.is_supported(*(t.shape[1] for t in x), conv1.out_channels):
        return None
    layers = (norm1, conv1, norm2, conv2, embed, *((skip,) if isinstance(skip, Conv1x1) else ()))
    backend = select_backend(*x, emb, parameters=(p for layer in layers for p in (layer.weight, layer.bias)))
    is_supported = (
        backend is not None
        and conv1.is_supported(backend, x[0])
        and conv2.is_supported(backend, x[0])
        and (len(x) == 1 or isinstance(skip, Conv1x1))
    )
    return backend if is_supported else None


def fused_resblock(
    backend: ConvBackend,
    norm1: GroupNorm,
    conv1: Conv3x3,
    norm2: GroupNorm,
    conv2: Conv3x3,
    skip: nn.Module,
    embed: nn.Linear,
    x: tuple[Tensor, ...],
    emb: Tensor,
    dropout: float,
) -> Tensor:
    """conv2(dropout(norm2(conv1(norm1(x)), embed(emb)))) + skip(x), both norms with SiLU; x are one or two tensors."""
    skip_parameters = (skip.weight, skip.bias) if isinstance(skip, Conv1x1) else (None, None)
    parameters = [p for layer in (embed, norm1, conv1, norm2, conv2) for p in (layer.weight, layer.bias)]
    constants = (norm1.num_groups, norm1.eps, norm2.num_groups, norm2.eps, dropout)
    us = (conv1.transform_weight(backend), conv2.transform_weight(backend))
    with torch.autocast("cpu", enabled=False):
        return _FusedResBlock.apply(backend, constants, us, emb.float(), *parameters, *skip_parameters, *x)  # type: ignore[no-untyped-call]


class _FusedResBlock(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, backend: ConvBackend, constants: tuple[Any, ...], us: tuple[Tensor, Tensor], emb: Tensor, *rest: Any
    ) -> Tensor:
        groups1, eps1, groups2, eps2, dropout = constants
        gain, shift, gain1, offset1, kernel1, bias1, gain2, offset2, kernel2, bias2, skip, skip_bias, *inputs = rest
        x, outs = tuple(t.to(backend.dtype, memory_format=NHWC) for t in inputs), len(bias1)
        ctx.backend, modulation = backend, torch.addmm(shift, emb, gain.T)
        y1, ctx.stats1 = group_norm(x, None, gain1, offset1, groups1, eps1, True)
        h = backend.conv3x3(y1, us[0], outs, bias1)
        y2, ctx.stats2 = group_norm((h,), modulation, gain2, offset2, groups2, eps2, True)
        mask = None
        if dropout:
            y2, mask = torch.native_dropout(y2, dropout, True)
        residual = x[0] if skip is None else backend.conv1x1(x, skip, skip_bias)
        ctx.scale = 1 / (1 - dropout)
        ctx.save_for_backward(
            emb, gain, modulation, gain1, offset1, kernel1, gain2, offset2, kernel2, skip, y1, h, y2, mask, *x
        )
        return backend.conv3x3(y2, us[1], outs, bias2, residual)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            return _resblock_backward(ctx, ctx.backend, dy)


def _resblock_backward(ctx: Any, backend: ConvBackend, dy: Tensor) -> tuple[Tensor | None, ...]:
    emb, gain, modulation, gain1, offset1, kernel1, gain2, offset2, kernel2, skip, y1, h, y2, mask, *x = (
        ctx.saved_tensors
    )
    dy = dy.contiguous(memory_format=NHWC)
    outs, ins, needs_parameters = dy.shape[1], y1.shape[1], any(ctx.needs_input_grad[4:16])
    dkernel2, dbias2 = backend.conv3x3_weight_grad(y2, dy) if needs_parameters else (None, None)
    dy2 = backend.conv3x3_input_grad(dy, backend.transform_weight(kernel2, for_backward=True), outs)
    if mask is not None:
        dy2 = torch.ops.aten.native_dropout_backward(dy2, mask, ctx.scale)
    (dh,), dmod, dgain2, doffset2 = group_norm_backward((h,), modulation, gain2, offset2, ctx.stats2, dy2)
    dkernel1, dbias1 = backend.conv3x3_weight_grad(y1, dh) if needs_parameters else (None, None)
    dy1 = backend.conv3x3_input_grad(dh, backend.transform_weight(kernel1, for_backward=True), ins)
    residual_grad = dy if skip is None else None
    dx, _, dgain1, doffset1 = group_norm_backward(tuple(x), None, gain1, offset1, ctx.stats1, dy1, residual_grad)
    dskip = None if skip is None else backend.conv1x1_backward(tuple(x), skip, dy, dx)
    assert dmod is not None
    parameters = (dmod.T @ emb, dmod.sum(0), dgain1, doffset1, dkernel1, dbias1, dgain2, doffset2, dkernel2, dbias2)
    return None, None, None, dmod @ gain, *parameters, dskip, dbias2 if skip is not None else None, *dx


MAX_PIXELS = 1024  # of an image in attention: each thread needs a work space of pixels × pixels


def attention_backend(norm: GroupNorm, qkv: nn.Linear, out: nn.Linear, heads: int, x: Tensor) -> KernelBackend | None:
    """The backend that can compute this attention block in one step, or None."""
    b, c, h, w = x.shape
    if not norm.is_supported(c):
        return None
    backend = select_backend(x, parameters=(p for layer in (norm, qkv, out) for p in (layer.weight, layer.bias)))
    if not isinstance(backend, KernelBackend) or c % heads or c // heads % backend.head_dim_multiple:
        return None
    return backend if b > 0 and h * w <= MAX_PIXELS else None


def fused_attention(
    backend: KernelBackend, norm: GroupNorm, qkv: nn.Linear, out: nn.Linear, heads: int, x: Tensor
) -> Tensor:
    """x + out(attention(qkv(norm(x))))."""
    parameters = [p for layer in (norm, qkv, out) for p in (layer.weight, layer.bias)]
    with torch.autocast("cpu", enabled=False):
        return _FusedAttention.apply(backend, x, heads, norm.num_groups, norm.eps, *parameters)  # type: ignore[no-untyped-call]


class _FusedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, backend: KernelBackend, x: Tensor, heads: int, groups: int, eps: float, *parameters: Tensor
    ) -> Tensor:
        gain, offset, in_weight, in_bias, out_weight, out_bias = parameters
        ctx.backend, x = backend, x.to(backend.dtype, memory_format=NHWC)
        y, ctx.stats = group_norm((x,), None, gain, offset, groups, eps, False)
        qkv = backend.conv1x1((y,), in_weight, in_bias)
        a, norms = backend.attend(qkv, heads)
        ctx.save_for_backward(x, gain, offset, in_weight, out_weight, y, qkv, a, norms)
        return backend.conv1x1((a,), out_weight, out_bias, residual=x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, offset, in_weight, out_weight, y, qkv, a, norms = ctx.saved_tensors
        backend, dy = ctx.backend, dy.contiguous(memory_format=NHWC)
        needs_parameters = any(ctx.needs_input_grad[5:])
        dout = backend.conv1x1_weight_grad(a, dy) if needs_parameters else (None, None)
        dqkv = backend.attend_backward(qkv, a, norms, backend.conv1x1_input_grad(out_weight, dy))
        din = backend.conv1x1_weight_grad(y, dqkv) if needs_parameters else (None, None)
        dnorm = backend.conv1x1_input_grad(in_weight, dqkv)
        (dx,), _, dgain, doffset = group_norm_backward((x,), None, gain, offset, ctx.stats, dnorm, dy)
        return None, dx, None, None, None, dgain, doffset, *din, *dout
