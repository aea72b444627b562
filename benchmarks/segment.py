"""Does a model find what it learned to find, and does it know where it is wrong? Discs among boxes, in noise.

    python benchmarks/segment.py --for 2m [--n 8] [--work DIR] [--picture FILE]

Draws 1,500 pictures of 16×16: a disc and a box of any colors on a texture of any color, with noise over all; the mask
is the disc's. Trains for so long, and measures intersection over union on held-out pairs, beside thresholds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import noisette
from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.edit.segment import binarize, mask_probability, uncertainty
from noisette.evaluation.metrics.segmentation import auroc, bootstrap_mean, iou
from noisette.models.task import mask_as_picture
from noisette.sampling.generate import final_samples, generate

SIDE, PAIRS = 16, 1500


def drawn(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:SIDE, :SIDE]
    for i in range(PAIRS):
        r, q = rng.uniform(2.5, 4.5, 2)
        cy, cx = rng.uniform(r, SIDE - r, 2)
        by, bx = rng.uniform(q, SIDE - q, 2)
        disc, box = (y - cy) ** 2 + (x - cx) ** 2 <= r**2, (abs(y - by) <= 0.9 * q) & (abs(x - bx) <= 0.9 * q)
        ground, one, other = rng.uniform(30, 225, (3, 3))
        pixels = ground + 25 * rng.standard_normal((SIDE, SIDE, 1))
        pixels = np.where(box[..., None], other, pixels)
        pixels = np.where(disc[..., None], one, pixels) + 15 * rng.standard_normal((SIDE, SIDE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{i:04d}.png")
        Image.fromarray((disc * 255).astype(np.uint8)).save(folder / "masks" / f"{i:04d}.png")
    return folder


def thresholds(gray: Tensor) -> tuple[Tensor, Tensor]:
    """What is brighter than Otsu's threshold of each picture; and the thresholds that were tried."""
    levels = torch.linspace(0.02, 0.98, 49)
    flat = gray.flatten(1)
    spread = []
    for level in levels:
        above = flat > level
        w = above.float().mean(1)
        high = (flat * above).sum(1) / above.sum(1).clamp(min=1)
        low = (flat * ~above).sum(1) / (~above).sum(1).clamp(min=1)
        spread.append(w * (1 - w) * (high - low) ** 2)
    best = levels[torch.stack(spread).argmax(0)]
    return gray > best[:, None, None, None], levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="minutes", default="2m")
    parser.add_argument("--n", type=int, default=8, help="samples a picture")
    parser.add_argument("--steps", type=int, help="the model's own by default")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="segment-"))
    words = ("train", str(drawn(work / "set")), "--task", "segment", "--preset", "tiny", "--for", args.minutes)
    if not (work / "run" / "model").is_dir():
        subprocess.run([sys.executable, "-m", "noisette", *words, "--out", str(work / "run")], check=True)
    model, data = noisette.load(work / "run"), Dataset.open(work / "run")
    layers = data.held_out.images_and_masks(torch.arange(len(data.held_out)))
    x, truth, samples = layers[:, :-1], layers[:, -1:] > 0, []
    for seed in range(args.n):
        parts = []
        for some in torch.arange(len(x)).split(50):
            cond, grid = model.condition(None, len(some), image=x[some]), model.grid(args.steps)
            seeds = [1000 * seed + int(i) for i in some]
            parts.append(final_samples(generate(model, seeds, cond, model.sampler(), grid, batch=50), grid))
        samples.append(torch.cat(parts))
    every = torch.stack(samples, 1)  # (picture, sample, 1, h, w)
    share = torch.cat([mask_probability(one) for one in every])
    gray = ((x + 1) / 2).mean(1, keepdim=True)
    otsu, levels = thresholds(gray)
    masks = [m for level in levels for m in (gray > level, gray < level)]
    blind = (data.train.images_and_masks(torch.arange(len(data.train)))[:, -1:].mean(0, keepdim=True) + 1) / 2
    found = {
        "the mean mask of the training pairs, at its best threshold": max(
            (iou((blind > level).expand_as(truth), truth) for level in levels), key=lambda one: float(one.mean())
        ),
        "Otsu's threshold": torch.maximum(iou(otsu, truth), iou(~otsu, truth)),
        "the best threshold for each picture, chosen with its true mask": torch.stack(
            [iou(m, truth) for m in masks]
        ).amax(0),
        "one sample": iou(every[:, 0] > 0, truth),
        f"most of {args.n} samples": iou(binarize(share), truth),
    }
    rows: list[dict[str, Any]] = [
        {"way": name, "iou": (m := bootstrap_mean(of)).value, "low": m.low, "high": m.high}
        for name, of in found.items()
    ]
    wrong, unsure = binarize(share) != truth, uncertainty(share)
    curve = auroc(unsure.flatten(), wrong.flatten())
    certain = wrong[unsure < 0.1].float().mean().item()
    print("\n| | IoU |\n|---|---|")
    for r in rows:
        print(f"| {r['way']} | {r['iou']:.3f} [{r['low']:.3f}, {r['high']:.3f}] |")
    summary = {"pairs": len(x), "wrong": wrong.float().mean().item(), "auroc": curve, "wrong where certain": certain}
    summary |= {
        "certain": (unsure < 0.1).float().mean().item(),
        "wrong where not": wrong[unsure >= 0.1].float().mean().item(),
    }
    print(json.dumps({"rows": rows} | summary))
    if args.picture is not None:
        kind = data.pictures
        maps = [255 * m.float() for m in (truth, binarize(share), unsure)]
        maps += [127.5 * (every[:, k].clamp(-1, 1) + 1) for k in range(3)]
        tiles = [kind.decode(x[:12]), *(mask_as_picture(m[:12].round().to(torch.uint8), kind) for m in maps)]
        write_png(args.picture, contact_sheet(torch.cat(tiles), 12))


if __name__ == "__main__":
    main()
