"""How long does `noisette evaluate` take, sampling apart?

    python benchmarks/evaluation_time.py [--samples 1000] [--side 32] [--threads 2]

On made pictures, since time does not depend on what is on them: 2,400 RGBA pictures of colored squares in three
labels, and a model with random weights that draws in one step. Prints the seconds of drawing and of all the rest.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from noisette.data import prepare
from noisette.evaluation.evaluate import evaluate_model
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.models.config import SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.training.recipes.presets import PRESETS


def squares(folder: Path, n: int, side: int) -> Path:
    """An archive of arrays: a square of one color on nothing, of one of three sizes, which are the labels."""
    rng = np.random.default_rng(0)
    pixels, labels = np.zeros((n, side, side, 4), dtype=np.uint8), rng.integers(0, 3, n)
    for picture, label in zip(pixels, labels, strict=True):
        size = side // (4 - label)
        top, left = rng.integers(0, side - size + 1, 2)
        picture[top : top + size, left : left + size] = (*rng.integers(0, 256, 3), 255)
        picture[..., :3] ^= rng.integers(0, 16, (side, side, 3), dtype=np.uint8) * (picture[..., 3:] > 0)
    path = folder / "squares.npz"
    np.savez(path, sprites=pixels, labels=labels)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as home:
        data = prepare(str(squares(Path(home), int(2.4 * args.samples), args.side)), Path(home) / "run")
        recipe = PRESETS["tiny"](data.pictures, data.sigma_data)
        model = PictureModel(replace(recipe.model, sampling=SamplingDefaults(steps=1))).eval().requires_grad_(False)
        marks: list[tuple[str, float]] = []

        def progress(what: str, done: int, total: int) -> None:
            marks.append((what, time.monotonic()))

        start = time.monotonic()
        found, _ = evaluate_model(model, data, EfficientNetExtractor(), n=args.samples, max_shift=1, progress=progress)
        end, drawn = time.monotonic(), max(when for what, when in marks if what == "drawing")
        print(
            f"{found.settings['samples']} samples of {args.side}×{args.side} against {found.settings['held_out']} "
            f"held-out and {found.settings['training']} training pictures, {args.threads} threads: "
            f"drawing {drawn - start:.1f} s, "
            f"the rest {end - drawn:.1f} s"
        )


if __name__ == "__main__":
    main()
