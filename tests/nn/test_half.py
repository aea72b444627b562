"""bf16 under autocast: no further from float64 than PyTorch's own bf16, on tiles (AMX) and without."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisette.nn import UNet, UNetConfig
from noisette.nn.blocks import Attention, ResBlock
from noisette.nn.conv import Conv3x3
from noisette.nn.kernels import backend as engine
from noisette.nn.kernels import library

NHWC = torch.channels_last


@pytest.fixture(params=["has_amx", "PyTorch"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels with this processor's tiles, and as where there are none."""
    if library.kernel_dtype(torch.zeros(1)) is None:
        pytest.skip("there is no compiler here")
    if request.param == "has_amx" and not library.has_amx():
        pytest.skip("this processor has no tiles")
    if request.param == "PyTorch":
        monkeypatch.setattr(engine, "has_amx", lambda: False)
    with torch.autocast("cpu", torch.bfloat16):
        assert (engine.select_backend(torch.zeros(1)) is engine.AMX_BACKEND) == (request.param == "has_amx")
    yield


def picture(*shape: int) -> Tensor:
    """Numbers that bf16 has, so that all start from the same."""
    return torch.randn(shape).bfloat16().contiguous(memory_format=NHWC)


def rounded(module: nn.Module) -> nn.Module:
    """Parameters that bf16 has."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_((p if p.ndim > 1 else p + 0.3 * torch.randn_like(p)).bfloat16())
    return module


def errors(module: nn.Module, call: Callable[..., Tensor], *inputs: Tensor) -> list[tuple[str, float, float]]:
    """Of the answer and of every gradient: how far it is from float64, ours and PyTorch's bf16, by the mean square."""

    def run(module: nn.Module, dtype: torch.dtype, half: bool) -> list[tuple[str, Tensor]]:
        given = [x.detach().to(dtype, memory_format=NHWC if x.ndim == 4 else torch.preserve_format) for x in inputs]
        for x in given:
            x.requires_grad_()
        module = copy.deepcopy(module).to(torch.float64 if dtype is torch.float64 else torch.float32)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = call(module, *given)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).bfloat16().to(y.dtype))
        gradients = [(f"x{i}", x.grad) for i, x in enumerate(given)]
        gradients += [(name, p.grad) for name, p in module.named_parameters()]
        assert all(g is not None for _, g in gradients)
        return [("y", y.detach()), *((name, g) for name, g in gradients if g is not None)]

    ours = run(module, torch.bfloat16, True)
    with library.without_kernels():
        theirs, exact = run(module, torch.bfloat16, True), run(module, torch.float64, False)
    found = []
    for (name, a), (_, b), (_, true) in zip(ours, theirs, exact, strict=True):
        size = true.square().mean().sqrt() + 1e-30
        found.append((name, *(((t.double() - true).square().mean().sqrt() / size).item() for t in (a, b))))
    return found


def no_worse(found: list[tuple[str, float, float]], floor: float = 3e-3) -> None:
    """Half of bf16's last place is 2e-3 on average: what is as near as that needs no comparison."""
    for name, ours, theirs in found:
        assert ours <= max(1.5 * theirs, floor), (name, ours, theirs)


CONVOLUTIONS = [  # b, c, o, h, w, up, onto
    (2, 16, 32, 8, 8, False, False),
    (3, 48, 80, 7, 10, False, True),
    (1, 64, 32, 16, 16, False, False),
    (3, 24, 40, 5, 7, True, True),
    (9, 32, 16, 4, 4, False, True),
    (2, 3, 64, 32, 32, False, False),
    (2, 64, 3, 16, 16, False, False),
    (1, 5, 7, 1, 2, False, False),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution(by: None, case: tuple[Any, ...]) -> None:
    b, c, o, h, w, up, with_onto = case
    inputs = [picture(b, c, h, w)] + [picture(b, o, h << up, w << up)] * with_onto

    def call(conv: Conv3x3, x: Tensor, onto: Tensor | None = None) -> Tensor:
        return conv(x, onto, up)

    found = errors(rounded(Conv3x3(c, o)), call, *inputs)
    no_worse(found)
    if library.has_amx() and engine.has_amx():
        assert {name: ours for name, ours, _ in found}["weight"] < 1e-5  # sums of exact products


@pytest.mark.parametrize("modulation", ["shift", "scale_shift"])
@pytest.mark.parametrize("widths", [(32, 32), (48, 32, 64), (16, 48)], ids=str)
def test_residual_block(by: None, widths: tuple[int, ...], modulation: Any) -> None:
    """Of one input or of two."""
    *ins, outs = widths
    cfg = UNetConfig(channels=(16,), attention=(False,), groups=8, time_channels=8, modulation=modulation)
    block = rounded(ResBlock(cfg, sum(ins), outs))

    def call(block: ResBlock, emb: Tensor, x: Tensor, *beside: Tensor) -> Tensor:
        y = block(x, emb, *beside)
        if engine.kernel_dtype(x):
            assert type(y.grad_fn).__name__ == "_FusedResBlockBackward" and y.dtype == torch.bfloat16
        return y

    no_worse(errors(block, call, torch.randn(3, 32).bfloat16(), *(picture(3, c, 8, 6) for c in ins)))


@pytest.mark.parametrize("heads,h,w", [(1, 8, 8), (2, 5, 7), (1, 16, 16)])
def test_attention(by: None, heads: int, h: int, w: int) -> None:
    cfg = UNetConfig(channels=(64,), attention=(True,), groups=8, heads=heads)
    x = picture(2, 64, h, w)
    no_worse(errors(rounded(Attention(cfg, 64)), lambda module, x: module(x), x))


def test_very_large_scores_are_attended_to(by: None) -> None:
    attention = Attention(UNetConfig(channels=(32,), attention=(True,), groups=8), 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        attention.qkv.weight.mul_(100)
        assert attention(picture(2, 32, 8, 8)).isfinite().all()


def test_threads_and_neighbors_change_nothing(by: None) -> None:
    """As in fp32: an image's answer is the same to the bit on one thread or on three, alone or in a batch."""
    cfg = UNetConfig(channels=(32, 64), attention=(False, True), groups=8, time_channels=16)
    net, x, label = UNet(cfg), torch.randn(6, 3, 8, 8), torch.rand(6)
    rounded(net)

    def answer(x: Tensor, label: Tensor, threads: int) -> tuple[Tensor, list[Tensor | None]]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            net.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                y = net(x, label)
            y.float().square().sum().backward()
            return y.detach(), [p.grad for p in net.parameters()]
        finally:
            torch.set_num_threads(before)

    y, gradients = answer(x, label, 1)
    if engine.has_amx():  # what PyTorch does is its own affair
        for threads in (2, 3):
            z, others = answer(x, label, threads)
            assert z.equal(y)
            for (name, _), a, b in zip(net.named_parameters(), gradients, others, strict=True):
                assert a is not None and b is not None
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * a.abs().max().item() + 1e-9, msg=name)
        assert answer(x[4:5], label[4:5], 2)[0].equal(y[4:5])
    assert y.isfinite().all()


def test_kept_weights_are_of_their_precision() -> None:
    """Sampling in one precision and then in the other takes the right ones."""
    conv, x = Conv3x3(16, 16), torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        first = conv(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = conv(x)
            assert conv(x).equal(half)
        assert conv(x).equal(first)
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), first, rtol=0.02, atol=0.05)


def test_switched_off_is_pytorch_alone() -> None:
    conv, x = Conv3x3(16, 16), torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16), library.without_kernels():
        assert type(conv(x).grad_fn).__name__ == "ConvolutionBackward0"
        assert torch.equal(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))


def test_training_reaches_the_loss_of_fp32(by: None) -> None:
    cfg = UNetConfig(channels=(16, 32), attention=(False, True), blocks=1, groups=8, time_channels=16, dropout=0.1)
    pictures = F.interpolate(torch.randn(16, 3, 2, 2).sign(), scale_factor=4)

    def train(half: bool) -> tuple[float, float]:
        torch.manual_seed(0)
        net, losses = UNet(cfg), []
        optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
        for _ in range(50):
            t, eps = torch.rand(16), torch.randn_like(pictures)
            x = pictures * (1 - t)[:, None, None, None] + eps * t[:, None, None, None]
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = (net(x, 1000 * t).float() - (eps - pictures)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses[0], sum(losses[-15:]) / 15

    (start, exact), (_, half) = train(False), train(True)
    assert exact < 0.7 * start and abs(half - exact) < 0.1 * exact
