"""A peer on the same pictures: denoising-diffusion-pytorch (MIT, Phil Wang), at the best settings that we know of.

    pip install denoising-diffusion-pytorch einops ema-pytorch scipy
    python benchmarks/peer.py pixels.npy --minutes 10 --n 850 --out peer.npz

Its U-Net, its Gaussian diffusion and its DDIM are used as they are; its Trainer, which reads a folder through
torchvision and saves every thousand steps, is not. What we chose: width 32 × (1, 2, 4), v-prediction with min-SNR
weights, Adam at 1e-3 warmed up and decayed to nothing over the wall time, batch 64, an average of the weights whose
memory grows with the run, channels last, fp32 or bf16 autocast, whichever is faster here. Pictures with alpha are
given to it premultiplied, four channels in [-1, 1], as our own models get them. It knows no labels.
"""

import argparse
import contextlib
import hashlib
import math
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from noisette.data.pictures import MODE_CHANNELS, Pictures

Precision = Literal["fp32", "bf16"]
BATCH, LR, WARM_UP, SCHEDULE = 64, 1e-3, 0.03, "cosine"


@dataclass(frozen=True)
class Budget:
    """Wall time for training in seconds; or, on a machine that is not quiet, the images of a quiet one in that time."""

    seconds: float
    images: int | None = None
    seed: int = 0
    threads: int = 2

    def progress(self, began: float, images: int) -> float:
        return images / self.images if self.images else (time.monotonic() - began) / self.seconds


@dataclass(frozen=True)
class PeerRun:
    """Samples by number of DDIM steps, uint8 straight alpha, and what they cost."""

    samples: dict[int, torch.Tensor]
    images: int  # seen in training
    seconds: float  # of training
    parameters: int
    precision: Precision
    loss: float  # mean of the last tenth


def package() -> types.ModuleType:
    """The package. It imports torchvision for a Trainer that we do not use, so an empty stand-in will do."""
    with contextlib.suppress(ImportError):
        import torchvision  # noqa: F401
    if "torchvision" not in sys.modules:
        parts = {name: types.ModuleType(f"torchvision.{name}") for name in ("transforms", "utils")}
        empty = types.ModuleType("torchvision")
        empty.__dict__.update(parts)
        sys.modules["torchvision"] = empty
        sys.modules.update({f"torchvision.{name}": part for name, part in parts.items()})
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as theirs

    theirs.__dict__["tqdm"] = lambda steps, **_: steps  # no bars
    return theirs


def build(channels: int, side: int, steps: int | None = None) -> Any:
    """Its model. Channels last is a third faster than NCHW on a CPU."""
    theirs = package()
    net = theirs.Unet(dim=32, dim_mults=(1, 2, 4), channels=channels)
    return theirs.GaussianDiffusion(
        net, image_size=side, timesteps=1000, sampling_timesteps=steps, objective="pred_v", beta_schedule=SCHEDULE,
        min_snr_loss_weight=True, auto_normalize=False,
    ).to(memory_format=torch.channels_last)  # fmt: skip


def rate(progress: float) -> float:
    """The learning rate as a share of the highest: up in the first 3 % of the time, then a cosine to nothing."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


def faster(diffusion: Any, x: torch.Tensor) -> Precision:
    """Which one takes a training step in less time here. They take turns, since a shared machine is uneven."""
    spent: dict[Precision, list[float]] = {"fp32": [], "bf16": []}
    for _ in range(4):
        for name, seconds in spent.items():
            began = time.perf_counter()
            with autocast(name):
                loss = diffusion(x)
            loss.backward()
            seconds.append(time.perf_counter() - began)
    diffusion.zero_grad()
    return min(spent, key=lambda name: min(spent[name]))


def autocast(name: Precision) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16")


def batches(x: torch.Tensor, seed: int) -> Iterator[torch.Tensor]:
    """Every picture once before any comes again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.cat([torch.randperm(len(x), generator=generator) for _ in range(-(-BATCH // len(x)))])
        for rows in order.split(BATCH):
            if len(rows) == BATCH:
                yield x[rows].contiguous(memory_format=torch.channels_last)


def train_and_draw(
    pixels: torch.Tensor,
    n: int,
    budget: Budget,
    *,
    steps: Sequence[int] = (50, 250),
    trained: Callable[[], None] = lambda: None,
) -> PeerRun:
    """Train on uint8 pictures (N, C, S, S) for the budget, then draw n with each number of DDIM steps.

    `trained` is called between the two.
    """
    torch.manual_seed(budget.seed)
    torch.set_num_threads(budget.threads)
    channels, side = pixels.shape[1], pixels.shape[2]
    kind = Pictures({c: mode for mode, c in MODE_CHANNELS.items()}[channels], side, side)
    diffusion, x = build(channels, side), kind.encode(pixels)
    chosen = faster(diffusion, next(batches(x, budget.seed)))
    began = time.monotonic()
    weights, losses = train(diffusion, x, budget, chosen)
    spent = time.monotonic() - began
    trained()
    samples = {k: kind.decode(draw(weights, channels, side, k, n, budget.seed)) for k in steps}
    last, size = losses[-max(1, len(losses) // 10) :], sum(p.numel() for p in diffusion.parameters())
    return PeerRun(samples, len(losses) * BATCH, spent, size, chosen, sum(last) / len(last))


def train(diffusion: Any, x: torch.Tensor, budget: Budget, precision: Precision) -> tuple[dict[str, Any], list[float]]:
    """The averaged weights, and the loss of each step."""
    from ema_pytorch import EMA

    optimizer = torch.optim.Adam(diffusion.parameters(), lr=LR, betas=(0.9, 0.99))
    average = EMA(diffusion, beta=0.9999, update_every=1, update_after_step=0, inv_gamma=1.0, power=2 / 3)
    losses: list[float] = []
    began = time.monotonic()
    for batch in batches(x, budget.seed):
        if (progress := budget.progress(began, len(losses) * BATCH)) >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = LR * rate(progress)
        with autocast(precision):
            loss = diffusion(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        average.update()
        losses.append(loss.item())
    return average.ema_model.state_dict(), losses


def draw(weights: dict[str, Any], channels: int, side: int, steps: int, n: int, seed: int) -> torch.Tensor:
    """n pictures in [-1, 1] by its own DDIM."""
    diffusion = build(channels, side, steps).eval()
    diffusion.load_state_dict(weights)
    torch.manual_seed(seed)
    return torch.cat([diffusion.sample(batch_size=min(100, n - i)) for i in range(0, n, 100)])


def mark(pixels: Path, minutes: float, n: int, seed: int) -> str:
    """What the samples depend on, the machine apart."""
    return f"{hashlib.sha256(pixels.read_bytes()).hexdigest()} {minutes:g} {n} {seed}"


def marked(path: Path) -> str:
    with np.load(path, allow_pickle=False) as file:
        return str(file["mark"])


NUMBERS = ("images", "seconds", "parameters", "precision", "loss")


def save(path: Path, run: PeerRun, mark: str) -> None:
    arrays = {f"steps{count}": drawn.numpy() for count, drawn in run.samples.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, mark=mark, **arrays, **{name: getattr(run, name) for name in NUMBERS})


def load(path: Path) -> PeerRun:
    with np.load(path, allow_pickle=False) as file:
        samples = {int(k.removeprefix("steps")): torch.from_numpy(file[k]) for k in file.files if k.startswith("steps")}
        return PeerRun(samples, **{name: file[name].item() for name in NUMBERS})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pixels", type=Path, help="an .npy of uint8 pictures (N, C, S, S)")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--images", type=int, help="stop after these instead, on a machine that is not quiet")
    parser.add_argument("--n", type=int, default=850)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, nargs="+", default=(50, 250), help="of DDIM")
    parser.add_argument("--trained", type=Path, help="a file to make when training is done and drawing begins")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pixels = torch.from_numpy(np.load(args.pixels, allow_pickle=False))
    run = train_and_draw(
        pixels, args.n, Budget(60 * args.minutes, args.images, args.seed), steps=args.steps,
        trained=lambda: None if args.trained is None else args.trained.touch(),
    )  # fmt: skip
    save(args.out, run, mark(args.pixels, args.minutes, args.n, args.seed))
    print(f"{run.images} images in {run.seconds:.0f} s, {run.parameters} parameters, {run.precision}, {run.loss:.4f}")


if __name__ == "__main__":
    main()
