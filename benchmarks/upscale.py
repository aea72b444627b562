"""Is a model that was trained to enlarge better than one that was not? On held-out pictures, beside bicubic.

    python benchmarks/upscale.py --for 3m --zero runs/emoji [--source emoji --size 16 --factor 2 --work DIR]

Trains an upscaler for so long; --zero is a run of noisette train SOURCE --size SIZE, which enlarges by consistency.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import noisette
from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.diffusion.denoiser import Denoiser
from noisette.diffusion.noise import Seeded, make_generator
from noisette.diffusion.operator import AveragePool
from noisette.edit.invert import psnr
from noisette.edit.upscale import project_to_range, upscale
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import build_denoiser, final_samples, generate
from noisette.shapes import Images
from steering import ssim

BATCH = 32


def enlarged(model: PictureModel, small: Images, factor: int, image: Images | None, rounds: int, seed: int) -> Images:
    """What `noisette edit upscale` draws: one sample each."""
    found = []
    for first in range(0, len(small), BATCH):
        rows = slice(first, first + BATCH)
        n = len(small[rows])
        denoise: Denoiser = build_denoiser(
            model, model.condition(None, n, image=None if image is None else image[rows])
        )
        noise = Seeded(range(seed + first, seed + first + n))
        warmth = model.config.sampling.temperature
        x = upscale(denoise, model.sampler(), model.grid(), small[rows], factor, noise, rounds, warmth)
        found.append(project_to_range(x, small[rows], factor, model.pictures.has_alpha))
    return torch.cat(found)


def free(model: PictureModel, small: Images) -> Images:
    """The trained model alone: nothing makes it agree."""
    grid, seeds = model.grid(), range(len(small))
    return final_samples(
        generate(model, seeds, model.condition(None, len(small), image=small), model.sampler(), grid), grid
    )


def ways(trained: PictureModel, zero: PictureModel | None, small: Images, factor: int) -> dict[str, Images]:
    found = {
        "repeated pixels": AveragePool(factor).pinv(small),
        "bicubic": F.interpolate(small, scale_factor=factor, mode="bicubic", antialias=False).clamp(-1, 1),
    }
    if zero is not None:
        several = [enlarged(zero, small, factor, None, 3, 1000 * i) for i in range(4)]
        found |= {"not trained to, one sample": several[0], "not trained to, mean of 4": torch.stack(several).mean(0)}
    found["trained to, alone, one sample"] = free(trained, small)
    several = [enlarged(trained, small, factor, small, 1, 1000 * i) for i in range(4)]
    return found | {"trained to, one sample": several[0], "trained to, mean of 4": torch.stack(several).mean(0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="minutes", default="3m")
    parser.add_argument("--source", default="emoji")
    parser.add_argument("--size", default="16")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--zero", type=Path)
    parser.add_argument("--n", type=int, default=96)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    run = (args.work or Path(tempfile.mkdtemp(prefix="upscale-"))) / "run"
    words = ("train", args.source, "--size", args.size, "--task", "upscale", "--factor", str(args.factor))
    words = (*words, "--preset", "tiny", "--for", args.minutes, "--out", str(run))
    if not (run / "model").is_dir():
        subprocess.run([sys.executable, "-m", "noisette", *words], check=True)
    trained, data = noisette.load(run), Dataset.open(run)
    zero = None if args.zero is None else noisette.load(args.zero)
    pick = torch.randperm(len(data.held_out), generator=make_generator("upscale"))[: args.n]
    x0, shrink = data.held_out.x0(pick), AveragePool(args.factor)
    # as a file would hold it
    small = trained.pictures.encode(trained.pictures.decode(shrink(x0)))
    rows: list[dict[str, Any]] = []
    made = ways(trained, zero, small, args.factor)
    for name, x in made.items():
        seen = trained.pictures.encode(trained.pictures.decode(x))
        off = (shrink(seen) - small).abs() * 127.5
        row = {"psnr": psnr(seen, x0).mean().item(), "ssim": ssim(seen, x0), "off": off.mean().item()}
        rows.append({"way": name} | row)
    print("\n| | PSNR | SSIM | off, of 255 |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r['way']} | {r['psnr']:.1f} | {r['ssim']:.3f} | {r['off']:.2f} |")
    print(json.dumps(rows))
    if args.picture is not None:
        shown = [x for name, x in made.items() if "mean" not in name and "alone" not in name]
        tiles = torch.cat([trained.pictures.decode(x[:12]) for x in [*shown, x0]])
        write_png(args.picture, contact_sheet(tiles, 12))


if __name__ == "__main__":
    main()
