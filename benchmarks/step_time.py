"""How long a training step and a forward pass take, side by side with peers, in one run on one machine.

    python benchmarks/step_time.py                          the DDPM CIFAR U-Net at 64 channels, 16 images of 32 × 32
    python benchmarks/step_time.py --net tiny --batch 64    what `noisette train` takes for pictures of 16 × 16

Every contestant takes its turn in every round, and its best round counts: what else the machine does then hurts all
alike, and the best of them least. diffusers' network has the same architecture; tests/nn proves that it gives the same
answers for the same weights. "convolutions alone" are that network's, done by PyTorch and nothing in between.
"""

import argparse
import importlib
import json
import math
import os
import platform
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noisette.cli.malloc import tune_malloc
from noisette.nn import UNet, UNetConfig
from noisette.nn.kernels.library import get_build, without_kernels

NHWC, NCHW = torch.channels_last, torch.contiguous_format


@dataclass(frozen=True)
class Net:
    """A network, and the size of the pictures that it is for."""

    cfg: UNetConfig
    side: int


def laptop(width: int, side: int, multipliers: tuple[int, ...] = (1, 2, 2), attention: int = 1) -> Net:
    """The kind of network that `noisette train` takes: four channels, attention at 8 × 8."""
    cfg = UNetConfig(
        in_channels=4,
        out_channels=4,
        channels=tuple(width * m for m in multipliers),
        attention=tuple(i == attention for i in range(len(multipliers))),
        groups=8,
        time_channels=width,
        modulation="scale_shift",
    )
    return Net(cfg, side)


NETS = {
    "cifar": Net(
        UNetConfig(channels=(64, 128, 128, 128), attention=(False, True, False, False), time_channels=64), side=32
    ),
    "tiny": laptop(32, 16),
    "small": laptop(48, 16),
    "base": laptop(64, 16),
    "wide": laptop(32, 32, (1, 2, 3), attention=2),
}


@dataclass
class Contestant:
    """Something to time: `forward` answers, and `learn` makes a whole training step."""

    name: str
    forward: Callable[[], object]
    learn: Callable[[], object]
    train_s: float = math.inf
    forward_s: float = math.inf


def contestant(name: str, model: nn.Module, call: Callable[..., Tensor], images: Tensor, half: bool) -> Contestant:
    """Mean square error, backwards, a step of fused AdamW: the same for everybody."""
    label, target = torch.rand(len(images)) * 1000, torch.randn_like(images)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def answer() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return call(model, images, label)

    def learn() -> None:
        (answer().float() - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return Contestant(name, torch.no_grad()(answer), learn)


def ours(net: Net, images: Tensor) -> Iterator[Contestant]:
    def call(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        return model(x, label)

    def plain(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        with without_kernels():
            return model(x, label)

    yield contestant("noisette fp32", UNet(net.cfg), call, images, False)
    yield contestant("noisette bf16", UNet(net.cfg), call, images, True)
    yield contestant("noisette fp32, PyTorch alone", UNet(net.cfg), plain, images, False)


def diffusers_network(net: Net) -> nn.Module:
    """UNet2DModel of the same architecture."""
    from diffusers import UNet2DModel  # type: ignore[attr-defined]

    cfg = net.cfg
    return UNet2DModel(
        sample_size=net.side,
        in_channels=cfg.in_channels,
        out_channels=cfg.out_channels,
        block_out_channels=cfg.channels,
        layers_per_block=cfg.blocks,
        norm_num_groups=cfg.groups,
        attention_head_dim=None,
        resnet_time_scale_shift="default" if cfg.modulation == "shift" else "scale_shift",
        attn_norm_num_groups=cfg.groups,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in cfg.attention),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(cfg.attention)),
    )


def diffusers(net: Net, images: Tensor) -> Iterator[Contestant]:
    def call(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        return model(x, label).sample

    for layout, word in ((NCHW, ""), (NHWC, ", channels last")):
        for half, precision in ((False, "fp32"), (True, "bf16")):
            model = diffusers_network(net).to(memory_format=layout)  # type: ignore[call-overload]
            x = images.contiguous(memory_format=layout)
            yield contestant(f"diffusers {precision}{word}", model, call, x, half)


def lucidrains(net: Net, images: Tensor) -> Iterator[Contestant]:
    """denoising-diffusion-pytorch's own U-Net of these widths (its attention is linear), if it is installed."""
    try:
        for name in ("torchvision", "torchvision.transforms", "torchvision.utils"):  # it imports them, for its trainer
            sys.modules.setdefault(name, types.ModuleType(name))
        sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
        sys.modules["torchvision"].utils = sys.modules["torchvision.utils"]  # type: ignore[attr-defined]
        unet = importlib.import_module("denoising_diffusion_pytorch.denoising_diffusion_pytorch").Unet
    except ImportError:
        return

    def call(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        return model(x, label)

    multipliers = tuple(c // net.cfg.channels[0] for c in net.cfg.channels)
    for layout, half, name in ((NCHW, False, "fp32"), (NHWC, True, "bf16, channels last")):
        model = unet(net.cfg.channels[0], dim_mults=multipliers, channels=net.cfg.in_channels)
        x = images.contiguous(memory_format=layout)
        model = model.to(memory_format=layout)
        yield contestant(f"denoising-diffusion-pytorch {name}", model, call, x, half)


def convolutions(net: Net, images: Tensor) -> Iterator[Contestant]:
    """Every convolution of diffusers' network on its own input, forwards and backwards."""
    model, seen = diffusers_network(net), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, y: seen.append((layer, inputs[0].shape, y.shape)))
    with torch.no_grad():
        model(images, torch.zeros(len(images)))
    for half, precision in ((False, "fp32"), (True, "bf16")):
        dtype = torch.bfloat16 if half else torch.float32

        def tensor(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.randn(shape).to(dtype).contiguous(memory_format=NHWC)

        jobs = [(tensor(*x), tensor(*c.weight.shape), tensor(*y), c.stride, c.padding) for c, x, y in seen]

        def forward(jobs: list[Any] = jobs) -> None:
            for x, w, _, stride, padding in jobs:
                nn.functional.conv2d(x, w, None, stride, padding)

        def learn(jobs: list[Any] = jobs) -> None:
            for x, w, y, stride, padding in jobs:
                nn.functional.conv2d(x, w, None, stride, padding)
                torch.ops.aten.convolution_backward(
                    y, x, w, [len(w)], stride, padding, [1, 1], False, [0, 0], 1, [True, True, True]
                )

        yield Contestant(f"(convolutions alone, PyTorch {precision})", forward, learn)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def race(contestants: list[Contestant], rounds: int) -> None:
    """One more round than requested: the first one is a warm-up."""
    for _ in range(rounds + 1):
        for one in contestants:
            one.train_s = min(one.train_s, seconds(one.learn))
            one.forward_s = min(one.forward_s, seconds(one.forward))


def machine() -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "kernels": get_build().description,
    }


def show(contestants: list[Contestant], batch: int) -> dict[str, float]:
    """The table; returns how many times faster our best is than diffusers' best."""
    best = {
        who: [min(getattr(c, t) for c in contestants if c.name.startswith(who)) for t in ("train_s", "forward_s")]
        for who in ("noisette", "diffusers")
    }
    print(f"{'images/s':>40} {'train':>8} {'ratio':>6} {'forward':>9} {'ratio':>6}    ratio: to diffusers' best")
    for c in contestants:
        ratios = best["diffusers"][0] / c.train_s, best["diffusers"][1] / c.forward_s
        print(f"{c.name:>40} {batch / c.train_s:8.1f} {ratios[0]:6.2f} {batch / c.forward_s:9.1f} {ratios[1]:6.2f}")
    names = ("train", "forward")
    return {n: t / o for n, t, o in zip(names, best["diffusers"], best["noisette"], strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NETS, default="cifar")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="only this one")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    tune_malloc()  # as the command line does
    torch.manual_seed(0)
    net = NETS[options.net]
    images = torch.randn(options.batch, net.cfg.in_channels, net.side, net.side)
    contestants = [c for field in (ours, diffusers, lucidrains, convolutions) for c in field(net, images)]
    contestants = [c for c in contestants if (options.precision or "") in c.name]
    here = machine()
    print(", ".join(f"{k} {v}" for k, v in here.items()))
    race(contestants, options.rounds)
    ratios = show(contestants, options.batch)
    print(f"noisette's best to diffusers' best: train {ratios['train']:.2f}, forward {ratios['forward']:.2f}")
    if options.json:
        figures = [{k: v for k, v in vars(c).items() if k in ("name", "train_s", "forward_s")} for c in contestants]
        answer = {"machine": here, "net": options.net, "batch": options.batch, "figures": figures, "ratios": ratios}
        Path(options.json).write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
