"""What a GPU does, in one run of less than ten minutes: speed, memory, and a training run with its quality.

    make gpu                                         the tests marked gpu, then this script
    python benchmarks/gpu.py [--out FOLDER]          on the accelerator of the machine
    python benchmarks/gpu.py --device cpu --presets tiny --batch 4 --seconds 1 --train='--images 500'    without a GPU

Printed: training images/s and forward passes/s of each preset, fp32 and bf16, eager and compiled, beside diffusers'
UNet2DModel of the same architecture (ratio: to the faster of diffusers' two, of the same precision); peak memory of
training; what a sampler costs besides its network; and `noisette train emoji --size 32` for five minutes, then
`noisette evaluate`: KID with its interval. A part that fails is reported in its row, and the others go on.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from noisette.data.pictures import Pictures
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.grid import karras
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DPMSolverSDE, Heun, Sampler, sample
from noisette.nn import UNet, UNetConfig
from noisette.team import synchronize
from noisette.training.recipes.presets import PRESETS
from step_time import Net, diffusers_network

SIZE = {"adm-64": 64}  # of a preset's pictures; otherwise --size
SAMPLERS: dict[str, Sampler] = {"Heun": Heun(), "SDE-DPM-Solver++": DPMSolverSDE()}
Call = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass
class Row:
    """The figures of one network, precision and mode; None where it failed."""

    preset: str
    network: str
    precision: str
    compiled: bool
    train: float | None = None  # images/s
    forward: float | None = None
    memory: float | None = None  # GiB, the peak of training
    note: str = ""


def rate(work: Callable[[], object], images: int, seconds: float, device: torch.device) -> float:
    """Images/s of repeated work, after three calls to warm up."""
    for _ in range(3):
        work()
    synchronize(device)
    start, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - start < seconds:
        work()
        synchronize(device)
        calls += 1
    return images * calls / (time.perf_counter() - start)


def measure(row: Row, model: nn.Module, call: Call, x: Tensor, seconds: float) -> None:
    """Fill in the figures of a row: mean square error, backward pass, fused AdamW, the same for all networks."""
    device = x.device
    label, target = torch.rand(len(x), device=device) * 1000, torch.randn_like(x)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    run = torch.compile(model) if row.compiled else model

    def answer() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=row.precision == "bf16"):
            return call(run, x, label)  # type: ignore[arg-type]

    def learn() -> None:
        (answer().float()[:, : x.shape[1]] - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    row.train = rate(learn, len(x), seconds, device)
    if device.type == "cuda":
        row.memory = torch.cuda.max_memory_allocated(device) / 2**30
    row.forward = rate(torch.no_grad()(answer), len(x), seconds, device)


def networks(cfg: UNetConfig, size: int) -> Iterator[tuple[str, Callable[[], nn.Module], Call]]:
    yield "noisette", lambda: UNet(cfg), lambda model, x, label: model(x, label)
    yield "diffusers", lambda: diffusers_network(Net(cfg, size)), lambda model, x, label: model(x, label).sample


def compare_networks(args: argparse.Namespace, device: torch.device) -> list[Row]:
    rows = []
    for preset in args.presets:
        size = SIZE.get(preset, args.size)
        # diffusers has one attention layer a block and no learned variance: both get the same
        cfg = PRESETS[preset](Pictures("RGB", size, size), 0.5).model.net
        assert isinstance(cfg, UNetConfig)
        cfg = replace(cfg, out_channels=cfg.in_channels, dropout=0.0, resample="conv")
        x = torch.randn(args.batch, cfg.in_channels, size, size, device=device)
        for precision in ("fp32", "bf16"):
            for compiled in (False, True) if args.compile else (False,):
                for name, build, call in networks(cfg, size):
                    row = Row(preset, name, precision, compiled)
                    try:
                        measure(row, build().to(device), call, x, args.seconds)
                    except Exception as error:  # an unsupported operation, or too little memory: the others go on
                        row.note = (
                            f"{type(error).__name__}: {str(error).splitlines()[0][:80]}" if str(error) else "failed"
                        )
                    rows.append(row)
            for row in rows:
                if (row.preset, row.precision) == (preset, precision):
                    print_row(row, rows)
    return rows


def print_row(row: Row, rows: list[Row]) -> None:
    theirs = [r.train for r in rows if r.network == "diffusers" and r.train
              and (r.preset, r.precision) == (row.preset, row.precision)]  # fmt: skip
    ratio = f"{row.train / max(theirs):.2f}" if theirs and row.train else ""
    figures = [f"{v:.1f}" if v is not None else "" for v in (row.train, row.forward, row.memory)]
    mode = "compiled" if row.compiled else "eager"
    print(f"| {row.preset} | {row.network} | {row.precision} | {mode} | {' | '.join(figures)} | {ratio} | {row.note} |",
          flush=True)  # fmt: skip


class Timed(nn.Module):
    """A network that sums up the seconds of its forward passes."""

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.net, self.device, self.seconds = net, device, 0.0

    def forward(self, *args: object) -> Tensor:
        synchronize(self.device)
        start = time.perf_counter()
        out: Tensor = self.net(*args)
        synchronize(self.device)
        self.seconds += time.perf_counter() - start
        return out


@torch.no_grad()
def sampler_overhead(args: argparse.Namespace, device: torch.device) -> None:
    """Time of a whole walk beyond that of the network's forward passes."""
    config = PRESETS[args.presets[0]](Pictures("RGB", args.size, args.size), 0.5).model
    net = Timed(UNet(config.net).eval().to(device), device)  # type: ignore[arg-type]
    model, grid = DiffusionModel(net, config.schedule, config.parametrization), karras(config.schedule, 10)
    for name, sampler in SAMPLERS.items():
        for _ in range(2):  # the first warms up
            noise = Seeded(range(args.batch))
            x = (
                noise(torch.empty(args.batch, 3, args.size, args.size, device=device))
                * model.schedule(grid[0])[1].item()
            )
            net.seconds, start = 0.0, time.perf_counter()
            sample(model.given(), sampler, grid, x, noise)
            synchronize(device)
            whole = time.perf_counter() - start
        share = (whole - net.seconds) / whole
        print(f"| {name} | {1000 * whole:.1f} ms | {100 * share:.1f} % |", flush=True)


def train_and_evaluate(args: argparse.Namespace, device: torch.device, out: Path) -> None:
    """A run of the 32 px emoji, and its KID, by the command line."""
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""} if device.type == "cpu" else {}
    command = [sys.executable, "-m", "noisette"]
    train = [
        *command,
        "train",
        args.source,
        "--size",
        str(args.size),
        "--out",
        str(out / "run"),
        *shlex.split(args.train),
    ]
    start = time.perf_counter()
    subprocess.run(train, env=os.environ | hidden, check=True)
    print(f"training took {time.perf_counter() - start:.0f} s", flush=True)
    evaluate = [*command, "evaluate", str(out / "run"), "-n", str(args.n), "--json"]
    done = subprocess.run(evaluate, env=os.environ | hidden, check=True, stdout=subprocess.PIPE, text=True)
    print(f"evaluation: {done.stdout.strip()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="Default: the accelerator of the machine.")
    parser.add_argument("--presets", nargs="+", default=["tiny", "small", "base", "ddpm-cifar10", "adm-64"])
    parser.add_argument("--size", type=int, default=32, help="of the pictures; adm-64 has 64")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--source", default="emoji", help="of the training run")
    parser.add_argument("--train", default="--for 5m", help="options of the training run")
    parser.add_argument("-n", type=int, default=1000, help="samples of the evaluation")
    parser.add_argument("--out", type=Path, help="keep the run and the figures here")
    args = parser.parse_args()
    found = torch.device(args.device) if args.device else torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        sys.exit("there is no accelerator here: --device cpu runs this script without one")
    torch.manual_seed(0)
    name = torch.cuda.get_device_name(found) if found.type == "cuda" else found.type
    print(f"{name}, torch {torch.__version__}, batch {args.batch}\n", flush=True)
    print("| preset | network | precision | mode | train, images/s | forward, images/s | memory, GiB | ratio | |")
    print("|---" * 9 + "|", flush=True)
    rows = compare_networks(args, found)
    print("\n| sampler | 10 steps | beside the network |\n|---|---|---|", flush=True)
    sampler_overhead(args, found)
    with tempfile.TemporaryDirectory() as folder:
        out = args.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        figures = {"device": name, "torch": torch.__version__, "rows": [asdict(row) for row in rows]}
        (out / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(flush=True)
        train_and_evaluate(args, found, out)


if __name__ == "__main__":
    main()
