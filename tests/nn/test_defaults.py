"""PyTorch's default dtype and device are the caller's: the kernels' memory does not depend on them, nor do we set them.

Each test runs in a process of its own, since what it looks for is a wrong number or a crash.
"""

import subprocess
import sys

import pytest

import forking
from noisette.nn.kernels import library

NETWORK = """
import os, torch
from noisette.nn import UNet, UNetConfig
from noisette.nn.muon import orthogonalize_batch
cfg = UNetConfig(channels=(32, 64), attention=(False, True), groups=4, time_channels=8, blocks=1, heads=2, tokens=12)
torch.manual_seed(0)
net = UNet(cfg)
for p in net.parameters():
    torch.nn.init.normal_(p, std=0.1)
from noisette.diffusion.condition import Condition
x, label, cond = torch.randn(2, 3, 8, 8), torch.rand(2), Condition(tokens=torch.randn(2, 3, 12))
stack = torch.randn(2, 32, 48)
def run(half):
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = net(x, label, cond)
    y.float().square().sum().backward()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        drawn = net(x, label, cond)
    return [y.detach(), drawn, orthogonalize_batch(stack), *(p.grad for p in net.parameters())]
"""
COMPARED = """
for a, b in zip(before, after, strict=True):
    assert a.dtype == b.dtype and a.device == b.device and a.equal(b), (a.dtype, b.dtype, a.device, b.device)
print("equal")
"""


def run(*program: str, new: bool = False) -> str:
    """Its output. `new`: in a process that has imported nothing of ours yet."""
    words = ["-c", "\n".join(program)]
    if new:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    else:
        done = forking.shared().run(*words)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
def test_another_default_dtype_changes_nothing(half: bool) -> None:
    change = "torch.set_default_dtype(torch.float64)"
    assert "equal" in run(NETWORK, f"before = run({half})", change, f"after = run({half})", COMPARED)


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
def test_another_default_device_changes_nothing(half: bool) -> None:
    change = "torch.set_default_device('meta')"
    assert "equal" in run(NETWORK, f"before = run({half})", change, f"after = run({half})", COMPARED)


@pytest.mark.parametrize("kind", ["DiT", "LinearAttentionUNet", "ContextUNet"])
def test_other_networks_keep_to_their_own_dtype_and_device(kind: str) -> None:
    module = {"DiT": "dit", "LinearAttentionUNet": "linear_attention", "ContextUNet": "context_unet"}[kind]
    cfg = {"DiT": "width=32, depth=1, heads=2, time_channels=8", "ContextUNet": "features=16, height=8, width=8"}
    fields = cfg.get(kind, "stem=16, channels=(16, 16), full=(False, True), heads=(2, 2), head_channels=(8, 8)")
    program = f"""
import torch
from noisette.nn.{module} import {kind}, {kind}Config
torch.manual_seed(0)
net, x, label = {kind}({kind}Config({fields})), torch.randn(2, 3, 8, 8), torch.rand(2)
for p in net.parameters():
    torch.nn.init.normal_(p, std=0.1)
def run(half):
    net.zero_grad()
    y = net(x, label)
    y.square().sum().backward()
    return [y.detach(), *(p.grad for p in net.parameters())]
before = run(False)
"""
    for change in ("torch.set_default_dtype(torch.float64)", "torch.set_default_device('meta')"):
        assert "equal" in run(program, change, "after = run(False)", COMPARED)


PROCESS = """
import ctypes, os, torch
libc = ctypes.CDLL(None)
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
libc.mallinfo2.restype = Mallinfo
def settings(megabytes):
    before = libc.mallinfo2().hblks
    # as a rule a block of this size is a mapping of its own; once it is freed, smaller ones are not
    block = torch.empty(megabytes << 20, dtype=torch.uint8)
    mapped = libc.mallinfo2().hblks - before
    tiny = float(torch.tensor([1e-40]) * torch.ones(1))
    return {
        "mapped": mapped, "threads": torch.get_num_threads(), "denormals": tiny != 0,
        "dtype": torch.get_default_dtype(), "device": torch.get_default_device(),
        "state": torch.random.get_rng_state().tolist(), "environment": dict(os.environ),
    }
torch.manual_seed(3)
before = settings(8)
import noisette
noisette.load
from noisette.nn import UNet, UNetConfig
net = UNet(UNetConfig(channels=(16,), attention=(True,), groups=4, time_channels=8, blocks=1))
from noisette.nn.kernels.library import get_build
torch.manual_seed(3)
with torch.no_grad():
    net(torch.ones(1, 3, 8, 8), torch.ones(1))
get_build()
"""


def test_building_and_running_a_network_changes_nothing_of_the_process() -> None:
    if sys.platform != "linux":
        pytest.skip("mallinfo2 is glibc's")
    same = "after = settings(24)\nassert after == before, (before, after)\nprint('same')"
    assert "same" in run(PROCESS, same, new=True)
    changed = "from noisette.cli.malloc import tune_malloc\ntune_malloc()\nafter = settings(24)"
    assert "1 0" in run(PROCESS, changed, "print(before['mapped'], after['mapped'])", new=True)


def test_kernels_are_there() -> None:
    """On the machines that test, so that the tests above say something."""
    if library.find_compiler() is not None:
        assert library.get_build().library is not None, library.get_build().description
