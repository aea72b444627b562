"""What a sampler costs beside its network.

    python benchmarks/sampler_overhead.py [--preset base] [--size 32] [--batch 64] [--steps 10] [--json FILE]

The clock runs inside the network and around the whole walk in the same run, so a busy machine disturbs both alike.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from noisette.cli.malloc import tune_malloc
from noisette.data.pictures import Pictures
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import (
    DDIM,
    DDPM,
    IPNDM,
    Churned,
    DPMSolver2M,
    DPMSolver3M,
    DPMSolverSDE,
    Heun,
    Sampler,
    UniPC,
    sample,
)
from noisette.nn.unet import UNet
from noisette.training.recipes.presets import PRESETS

SAMPLERS: dict[str, Sampler] = {
    "DDPM": DDPM(),
    "DDIM": DDIM(),
    "DDIM, eta 1": DDIM(1.0),
    "Heun": Heun(),
    "Heun, churned": Churned(Heun(), 0.3),
    "DPM-Solver++ 2M": DPMSolver2M(),
    "DPM-Solver++ 3M": DPMSolver3M(),
    "SDE-DPM-Solver++": DPMSolverSDE(),
    "UniPC 3": UniPC(3),
    "iPNDM": IPNDM(),
}


class Timed(nn.Module):
    """A network that measures the time spent in its forward pass."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seconds, self.calls = net, 0.0, 0

    def forward(self, *args: object) -> Tensor:
        start = time.perf_counter()
        out: Tensor = self.net(*args)
        self.seconds += time.perf_counter() - start
        self.calls += 1
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="base", choices=PRESETS)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    tune_malloc()  # as the command line does

    config = PRESETS[args.preset](Pictures("RGB", args.size, args.size), 0.5).model
    net = Timed(UNet(config.net).eval())
    model = DiffusionModel(net, config.schedule, config.parametrization)
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    print(f"{args.preset}: {millions:.1f} M parameters, {args.size}×{args.size}, batch {args.batch}")
    grid = karras(model.schedule, args.steps)
    rows = {}
    for name, sampler in SAMPLERS.items():
        noise = Seeded(range(args.batch))
        x = 80 * noise(torch.empty(args.batch, 3, args.size, args.size))
        sample(model.given(), sampler, grid[-3:], x, noise)  # warm
        net.seconds, net.calls, start = 0.0, 0, time.perf_counter()
        sample(Clipped(model.given()), sampler, grid, x, noise)
        total = time.perf_counter() - start
        rest = 1 - net.seconds / total
        rows[name] = {"seconds": total, "calls": net.calls, "overhead": rest}
        print(f"{name:18} {net.calls:3} calls  {1e3 * total / net.calls:7.1f} ms each  {100 * rest:5.2f} % overhead")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
