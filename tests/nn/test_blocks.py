"""The residual block in one step is the residual block in many."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from noisette.nn import UNetConfig
from noisette.nn.blocks import ResBlock
from noisette.nn.kernels.library import get_build, without_kernels

CASES = [(32, 0, 32), (32, 16, 64), (16, 0, 64), (32, 16, 48)]  # channels of x, of what is beside it, of the answer


@pytest.mark.skipif(get_build().library is None, reason="there is no compiler here")
@pytest.mark.parametrize("modulation", ["shift", "scale_shift"])
@pytest.mark.parametrize("widths", CASES, ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_fused_residual_block_equals_its_parts(
    widths: tuple[int, int, int], modulation: Literal["shift", "scale_shift"], dropout: float
) -> None:
    one, two, outs = widths
    cfg = UNetConfig(time_channels=8, groups=8, modulation=modulation, dropout=dropout, channels=(32, 32, 32, 32))
    block = ResBlock(cfg, one + two, outs)
    for p in block.parameters():
        torch.nn.init.normal_(p, std=0.1)

    def answer() -> tuple[Tensor, list[Tensor]]:
        torch.manual_seed(1)
        x = torch.randn(3, one, 6, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
        beside = torch.randn(3, two, 6, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
        emb = torch.randn(3, cfg.embed_channels, requires_grad=True)
        y = block(x, emb, beside if two else None)
        gradients = torch.autograd.grad((y * torch.randn_like(y)).sum(), [x, emb, *block.parameters()])
        return y, list(gradients)

    y, gradients = answer()
    fused = two == 0 or one + two != outs  # two tensors that go around as they are would have to be joined for it
    assert ("_FusedResBlockBackward" in str(y.grad_fn)) == fused
    with without_kernels():
        expected, true = answer()
    assert "_FusedResBlockBackward" not in str(expected.grad_fn)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    for a, b in zip(gradients, true, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item() + 1e-6)


@pytest.mark.skipif(get_build().library is None, reason="there is no compiler here")
def test_gradient_of_x_alone() -> None:
    """Frozen weights, as in guidance by a gradient: x gets its gradient, the weights none."""
    cfg = UNetConfig(time_channels=8, groups=8, channels=(32, 32, 32, 32))
    block = ResBlock(cfg, 32, 32).requires_grad_(False)
    x = torch.randn(2, 32, 8, 8, requires_grad=True)
    block(x, torch.randn(2, cfg.embed_channels)).square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert all(p.grad is None for p in block.parameters())
