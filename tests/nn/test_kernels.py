"""The functions in C against PyTorch in float64, for each kind of processor that this one can pass for."""

import copy
import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisette.nn import UNetConfig
from noisette.nn.blocks import Attention, ResBlock
from noisette.nn.conv import Conv1x1, Conv3x3
from noisette.nn.kernels import library
from noisette.nn.muon import orthogonalize_batch
from noisette.nn.norm import GroupNorm

KINDS = {"native": ["-march=native"], "avx2": ["-mavx2", "-mfma"], "baseline": []}


def compiled(folder: Path, kind: str) -> library.KernelBuild:
    capability = torch.backends.cpu.get_cpu_capability()
    if library.find_compiler() is None or (kind == "avx2" and not capability.startswith("AVX")):
        pytest.skip("this processor, or its compiler, cannot")
    return library.KernelBuild(library.load_library(library.compile_kernels(folder, KINDS[kind])), kind)


@pytest.fixture(scope="module", params=KINDS)
def processor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    functions = compiled(tmp_path_factory.mktemp("kernels"), request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "get_build", lambda: functions)
        assert library.kernel_dtype(torch.zeros(1)) is torch.float32
        yield


def near(seen: Tensor | None, expected: Tensor | None, tolerance: float) -> None:
    """Equal up to `tolerance` of the largest entry."""
    assert seen is not None and expected is not None
    size = expected.abs().max().item()
    torch.testing.assert_close(seen.double(), expected.double(), rtol=0, atol=tolerance * size + 1e-12)


def backwards(y: Tensor, expected: Tensor) -> Tensor:
    """Through both, from the same gradient, which is returned."""
    dy = torch.randn_like(y)
    y.backward(dy)
    expected.backward(dy.double())
    return dy


CONVOLUTIONS = [  # b, c, o, h, w, up, onto
    (2, 16, 32, 8, 8, False, False),
    (3, 48, 80, 7, 10, False, True),
    (1, 32, 16, 4, 4, False, False),
    (5, 64, 48, 5, 3, True, True),
    (40, 16, 16, 16, 16, False, True),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution(processor: None, case: tuple[Any, ...]) -> None:
    b, c, o, h, w, up, with_onto = case
    conv, x = Conv3x3(c, o), torch.randn(b, c, h, w, requires_grad=True)
    size = (b, o, h << up, w << up)
    onto = torch.randn(size, requires_grad=True) if with_onto else None
    y = conv(x, onto, up)
    assert type(y.grad_fn).__name__ == "_Conv3x3Backward"

    exact, x64 = copy.deepcopy(conv).double(), x.detach().double().requires_grad_()
    expected = exact(x64, None if onto is None else onto.detach().double(), up)
    assert type(expected.grad_fn).__name__ != "_Conv3x3Backward"
    near(y, expected, 1e-5)

    dy = backwards(y, expected)
    near(x.grad, x64.grad, 1e-5)
    near(conv.weight.grad, exact.weight.grad, 1e-5)
    near(conv.bias.grad if conv.bias is not None else None, exact.bias.grad if exact.bias is not None else None, 1e-5)
    if onto is not None:
        assert onto.grad is not None and onto.grad.equal(dy)


ATTENTIONS = [  # b, channels, heads, h, w
    (2, 32, 2, 8, 8),
    (3, 48, 1, 5, 7),  # neither rows nor columns are a multiple of anything
    (1, 64, 4, 1, 1),
    (2, 32, 1, 16, 16),
]


@pytest.mark.parametrize("case", ATTENTIONS, ids=str)
def test_attention(processor: None, case: tuple[Any, ...]) -> None:
    b, c, heads, h, w = case
    cfg = UNetConfig(channels=(c,), attention=(True,), groups=8, time_channels=8, heads=heads)
    layer, x = Attention(cfg, c), torch.randn(b, c, h, w, requires_grad=True)
    assert layer.heads == heads
    y = layer(x)
    assert type(y.grad_fn).__name__ == "_FusedAttentionBackward"
    exact, x64 = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
    expected = exact(x64)
    assert type(expected.grad_fn).__name__ != "_FusedAttentionBackward"
    near(y, expected, 1e-5)

    backwards(y, expected)
    near(x.grad, x64.grad, 1e-5)
    for seen, true in zip(layer.parameters(), exact.parameters(), strict=True):
        near(seen.grad, true.grad, 1e-4)


@pytest.mark.parametrize("widths", [(32, 32), (48, 32, 64), (16, 48), (64, 16, 16)], ids=str)
@pytest.mark.parametrize("size", [(3, 8, 6), (1, 4, 4), (7, 16, 16)], ids=str)
def test_residual_block(processor: None, widths: tuple[int, ...], size: tuple[int, int, int]) -> None:
    """Of one input or of two, whose 1 × 1 convolution is a product of matrices."""
    *ins, outs = widths
    cfg = UNetConfig(channels=(16,), attention=(False,), groups=8, time_channels=8)
    block, (b, h, w) = ResBlock(cfg, sum(ins), outs), size
    emb, xs = torch.randn(b, 32), [torch.randn(b, c, h, w, requires_grad=True) for c in ins]
    y = block(xs[0], emb, *xs[1:])
    assert type(y.grad_fn).__name__ == "_FusedResBlockBackward"
    exact, exact_xs = copy.deepcopy(block).double(), [x.detach().double().requires_grad_() for x in xs]
    expected = exact(exact_xs[0], emb.double(), *exact_xs[1:])
    near(y, expected, 1e-5)

    backwards(y, expected)
    for x, true_x in zip(xs, exact_xs, strict=True):
        near(x.grad, true_x.grad, 1e-5)
    for seen, true in zip(block.parameters(), exact.parameters(), strict=True):
        near(seen.grad, true.grad, 1e-4)


@pytest.mark.parametrize("shape", [(3, 32, 48), (2, 64, 576), (5, 20, 37), (1, 128, 32), (4, 16, 16)], ids=str)
def test_orthogonal(processor: None, shape: tuple[int, int, int]) -> None:
    """Wide ones, narrow ones, tall ones, and what is no multiple of anything."""
    stack = torch.randn(shape)
    exact = stack.double()
    found, expected = orthogonalize_batch(stack), orthogonalize_batch(exact)
    assert found.dtype == torch.float32 and expected.dtype == torch.float64 and found.shape == shape
    near(found, expected, 2e-4)  # small singular values are enlarged a hundredfold
    assert torch.equal(stack.double(), exact)


NORMS = [  # b, c, groups, h, w, mean
    (2, 16, 4, 8, 8, 0.0),
    (1, 48, 8, 5, 7, 3.0),  # fewer images than threads
    (3, 96, 32, 24, 24, 100.0),
    (2, 32, 8, 1, 1, 0.0),
]


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("extra", ["plain", "shift", "scale and offset"])
@pytest.mark.parametrize("case", NORMS, ids=str)
def test_norm(processor: None, case: tuple[Any, ...], extra: str, silu: bool) -> None:
    b, c, groups, h, w, mean = case
    norm = GroupNorm(groups, c, 1e-5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = (torch.randn(b, c, h, w) + mean).requires_grad_()
    modulation = [
        torch.randn(b, c, requires_grad=True) for _ in range({"plain": 0, "shift": 1, "scale and offset": 2}[extra])
    ]

    def call(module: GroupNorm, x: Tensor, modulation: list[Tensor]) -> Tensor:
        return module(x, torch.cat(modulation, dim=1) if modulation else None, silu)

    y = call(norm, x, modulation)
    exact, x64 = copy.deepcopy(norm).double(), x.detach().double().requires_grad_()
    modulation64 = [t.detach().double().requires_grad_() for t in modulation]
    expected = call(exact, x64, modulation64)
    near(y, expected, 1e-6 * (1 + mean))

    backwards(y, expected)
    near(x.grad, x64.grad, 1e-5 * (1 + mean) * (1e3 if h * w == 1 else 1))
    pairs = zip([norm.weight, norm.bias, *modulation], [exact.weight, exact.bias, *modulation64], strict=True)
    for seen, true in pairs:
        near(seen.grad, true.grad, 1e-5 * (1 + mean))


@pytest.mark.parametrize("extra", ["plain", "shift", "scale and offset"])
@pytest.mark.parametrize("mean", [0.0, 30.0])
def test_norm_in_bf16(processor: None, extra: str, mean: float) -> None:
    """Nothing is rounded but what goes in and what comes out: 2⁻⁹ of a number."""
    norm, x = GroupNorm(8, 48), (torch.randn(3, 48, 9, 7) + mean).bfloat16().requires_grad_()
    torch.nn.init.normal_(norm.weight)
    count = {"plain": 0, "shift": 1, "scale and offset": 2}[extra]
    modulation = torch.randn(3, 48 * count, requires_grad=True) if count else None
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x, modulation, silu=True)
    assert y.dtype == torch.bfloat16 and type(y.grad_fn).__name__ == "_GroupNormBackward"
    exact, x64 = copy.deepcopy(norm).double(), x.detach().double().requires_grad_()
    modulation64 = None if modulation is None else modulation.detach().double().requires_grad_()
    expected = exact(x64, modulation64, silu=True)
    torch.testing.assert_close(y.double(), expected, rtol=2**-8, atol=1e-3)

    backwards(y, expected)
    assert x.grad is not None and x64.grad is not None
    torch.testing.assert_close(x.grad.double(), x64.grad, rtol=2**-8, atol=2e-3 * x64.grad.abs().max().item())
    near(norm.weight.grad, exact.weight.grad, 1e-3)
    near(norm.bias.grad, exact.bias.grad, 1e-3)
    if modulation is not None and modulation64 is not None:
        near(modulation.grad, modulation64.grad, 1e-3)


def test_sigmoid_at_the_ends(processor: None) -> None:
    """What SiLU makes of the very large, the very small, and of what is no number."""
    norm = GroupNorm(1, 16, 1e-5)
    with torch.no_grad():
        norm.weight.fill_(1e4)
        y = norm(torch.randn(2, 16, 8, 8), silu=True)
        nothing = norm(torch.randn(0, 16, 8, 8), silu=True)
    assert y.isfinite().all() and y.max() > 1e4 and y.min() > -0.279 and nothing.shape == (0, 16, 8, 8)
    x = torch.randn(2, 16, 8, 8)
    x[1, 3, 2, 2] = torch.nan
    y = norm(x, silu=True)
    assert y[0].isfinite().all() and y[1].isnan().all()


def test_threads_and_neighbors_change_nothing() -> None:
    """An image's answer is the same to the bit on one thread or on two, alone or in a batch; so are gradients."""
    if not library.kernel_dtype(torch.zeros(1)):
        pytest.skip("there is no compiler here")
    conv, norm, x = Conv3x3(32, 48), GroupNorm(8, 48), torch.randn(6, 32, 12, 16)

    def answer(x: Tensor, threads: int) -> tuple[Tensor, Tensor | None]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            conv.zero_grad()
            y = norm(conv(x), silu=True)
            y.square().sum().backward()
            return y.detach(), conv.weight.grad
        finally:
            torch.set_num_threads(before)

    y, gradient = answer(x, 1)
    for threads in (2, 3, 8):
        z, other = answer(x, threads)
        assert z.equal(y) and gradient is not None and other is not None and other.equal(gradient)
    assert answer(x[4:5], 2)[0].equal(y[4:5])


def test_kept_weights_follow_the_weights() -> None:
    conv, x = Conv3x3(16, 16), torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        first = conv(x)
        assert conv(x).equal(first)
        conv.weight.mul_(2)
        conv.bias.mul_(2) if conv.bias is not None else None
        torch.testing.assert_close(conv(x), 2 * first)
    assert copy.deepcopy(conv)._weight_cache is None
    conv(x)
    assert conv._weight_cache is None  # in training they change at every step: nothing is kept


@pytest.mark.parametrize("h,w", [(1, 2), (2, 2), (8, 8)])
def test_without_kernels(h: int, w: int) -> None:
    """PyTorch alone gives the same; so do sizes and channels that the functions are not made for."""
    for conv, x in ((Conv3x3(16, 32), torch.randn(2, 16, h, w)), (Conv3x3(3, 5), torch.randn(2, 3, h, w))):
        with library.without_kernels():
            expected = conv(x)
            assert type(expected.grad_fn).__name__ == "ConvolutionBackward0"
        torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-5)


def test_autocast_and_other_types_go_to_pytorch() -> None:
    conv, x = Conv3x3(16, 16), torch.randn(2, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == torch.bfloat16
    assert conv.double()(x.double()).dtype == torch.float64


def test_function_transforms_go_to_pytorch() -> None:
    conv, norm, x = Conv3x3(16, 16), GroupNorm(4, 16), torch.randn(2, 16, 8, 8)
    value, slope = torch.func.jvp(lambda x: norm(conv(x), silu=True), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(value, norm(conv(x), silu=True), rtol=1e-4, atol=1e-4)
    assert slope.isfinite().all()


def test_one_by_one() -> None:
    conv, x = Conv1x1(12, 20), torch.randn(2, 12, 5, 7)
    expected = F.conv2d(x, conv.weight, conv.bias)
    y = conv(x.contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(conv(x), expected)


FREED = """
import resource, torch
from noisette.cli.malloc import tune_malloc
tune_malloc()
for step in range(8):
    tensors = [torch.ones(5_000_000 + 1000 * step) for _ in range(4)]
    del tensors
    if step == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_taken_again() -> None:
    """After the first of eight steps, of 19,500 pages each, few page faults; 137,000 if memory were given back.

    The tensors grow a little, or glibc itself would learn to keep them, now and then. Where one was freed, the next
    fits in only by luck, so there are up to 25,000. In a process of its own, whose memory nobody else has cut up.
    """
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("this C library has no such setting")
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40_000


def test_the_reason_for_missing_kernels_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, no compiler, a compiler that fails: each is reported, and none is an error."""
    with monkeypatch.context() as patch:
        patch.setenv(library.ENV_SWITCH, "0")
        assert library.ENV_SWITCH in library.build_library().description
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        patch.delenv("CC", raising=False)
        assert "no C compiler" in library.build_library().description
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert "out of order" in library.build_library().description
