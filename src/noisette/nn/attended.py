"""Self-attention over pixels as one step of autograd, in bf16 on processors with AMX.

What it computes is Attention's forward. Legend: b batch, c channels, h × w pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .engine import TILES, engine
from .layout import NHWC
from .norm import GroupNorm, normalise, normalise_back

MOST = 1024  # pixels: every thread has a square matrix of them in its work space


def fits(norm: GroupNorm, heads: int, x: Tensor) -> bool:
    """Whether attention of x, around which its residual connection goes, can be done in one step."""
    if engine(x, norm.weight) is not TILES:
        return False
    b, c, h, w = x.shape
    return b > 0 and c % heads == 0 and c // heads % 32 == 0 and h * w <= MOST and norm.fits(c)


def attended(norm: GroupNorm, qkv: nn.Linear, out: nn.Linear, heads: int, x: Tensor) -> Tensor:
    """x + out(attention(qkv(norm(x))))."""
    parameters = [p for layer in (norm, qkv, out) for p in (layer.weight, layer.bias)]
    with torch.autocast("cpu", enabled=False):
        return _Attended.apply(x, heads, norm.num_groups, norm.eps, *parameters)  # type: ignore[no-untyped-call]


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, heads: int, groups: int, eps: float, *parameters: Tensor) -> Tensor:
        gain, offset, in_weight, in_bias, out_weight, out_bias = parameters
        x = x.to(TILES.dtype, memory_format=NHWC)
        y, ctx.stats = normalise((x,), None, gain, offset, groups, eps, False)
        qkv = TILES.mix((y,), in_weight, in_bias)
        a, norms = TILES.attend(qkv, heads)
        ctx.save_for_backward(x, gain, offset, in_weight, out_weight, y, qkv, a, norms)
        return TILES.mix((a,), out_weight, out_bias, onto=x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, offset, in_weight, out_weight, y, qkv, a, norms = ctx.saved_tensors
        dy = dy.contiguous(memory_format=NHWC)
        learns = any(ctx.needs_input_grad[4:])
        outwards = TILES.mix_gradients(a, dy) if learns else (None, None)
        dqkv = TILES.attend_back(qkv, a, norms, TILES.unmix(out_weight, dy))
        inwards = TILES.mix_gradients(y, dqkv) if learns else (None, None)
        back = TILES.unmix(in_weight, dqkv)
        (dx,), _, dgain, doffset = normalise_back((x,), None, gain, offset, ctx.stats, back, dy)
        return dx, None, None, None, dgain, doffset, *inwards, *outwards
