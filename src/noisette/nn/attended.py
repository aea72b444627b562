"""Self-attention over pixels as one step of autograd, for processors.

What it computes is Attention's forward. Legend: b batch, c channels, h × w pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .engine import engine
from .layout import NHWC
from .norm import GroupNorm, normalise, normalise_back
from .products import Products

MOST = 1024  # pixels: every thread has a square matrix of them in its work space


def suited(norm: GroupNorm, heads: int, x: Tensor) -> Products | None:
    """The engine that can do attention of x, around which its residual connection goes, in one step."""
    by, (b, c, h, w) = engine(x, norm.weight), x.shape
    if not isinstance(by, Products) or c % heads or c // heads % by.depths:
        return None
    return by if b > 0 and h * w <= MOST and norm.fits(c) else None


def attended(by: Products, norm: GroupNorm, qkv: nn.Linear, out: nn.Linear, heads: int, x: Tensor) -> Tensor:
    """x + out(attention(qkv(norm(x))))."""
    parameters = [p for layer in (norm, qkv, out) for p in (layer.weight, layer.bias)]
    with torch.autocast("cpu", enabled=False):
        return _Attended.apply(by, x, heads, norm.num_groups, norm.eps, *parameters)  # type: ignore[no-untyped-call]


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, by: Products, x: Tensor, heads: int, groups: int, eps: float, *parameters: Tensor) -> Tensor:
        gain, offset, in_weight, in_bias, out_weight, out_bias = parameters
        ctx.by, x = by, x.to(by.dtype, memory_format=NHWC)
        y, ctx.stats = normalise((x,), None, gain, offset, groups, eps, False)
        qkv = by.mix((y,), in_weight, in_bias)
        a, norms = by.attend(qkv, heads)
        ctx.save_for_backward(x, gain, offset, in_weight, out_weight, y, qkv, a, norms)
        return by.mix((a,), out_weight, out_bias, onto=x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, offset, in_weight, out_weight, y, qkv, a, norms = ctx.saved_tensors
        by, dy = ctx.by, dy.contiguous(memory_format=NHWC)
        learns = any(ctx.needs_input_grad[5:])
        outwards = by.mix_gradients(a, dy) if learns else (None, None)
        dqkv = by.attend_back(qkv, a, norms, by.unmix(out_weight, dy))
        inwards = by.mix_gradients(y, dqkv) if learns else (None, None)
        back = by.unmix(in_weight, dqkv)
        (dx,), _, dgain, doffset = normalise_back((x,), None, gain, offset, ctx.stats, back, dy)
        return None, dx, None, None, None, dgain, doffset, *inwards, *outwards
