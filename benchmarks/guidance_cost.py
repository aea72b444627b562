"""What guidance costs beside a plain batch of twice the size.

    python benchmarks/guidance_cost.py [--preset tiny] [--size 16] [--batch 16] [--rounds 20] [--json FILE]

Both are measured in turn, in one run, so that a busy machine affects both; the fastest of each counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from noisette.data.pictures import Pictures
from noisette.diffusion.guidance import Guided
from noisette.models.picture_model import PictureModel
from noisette.training.recipes.presets import PRESETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny", choices=PRESETS)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    labels = tuple(f"label {i}" for i in range(10))
    pictures = Pictures("RGBA", args.size, args.size, labels)
    model = PictureModel(PRESETS[args.preset](pictures, 0.5).model).eval().requires_grad_(False)
    cond = model.condition(labels, args.batch)
    assert cond is not None
    twice = model.condition(labels, 2 * args.batch)
    x, t = torch.randn(2 * args.batch, *pictures.shape), torch.tensor(0.01, dtype=torch.float64)
    half = x[: args.batch]
    ways: dict[str, Callable[[], object]] = {
        "plain, twice the batch": lambda: model.given(twice)(x, t),
        "guided": lambda: Guided(model.given(cond), model.given(cond.null()), 2.0)(half, t),
        "two calls": lambda: (model.given(cond)(half, t), model.given(cond.null())(half, t)),
    }
    fastest = dict.fromkeys(ways, float("inf"))
    with torch.no_grad():
        for _ in range(args.rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                fastest[name] = min(fastest[name], time.perf_counter() - start)
    base = fastest["plain, twice the batch"]
    print(f"{args.preset}, {args.size}×{args.size}, {args.batch} images guided")
    for name, seconds in fastest.items():
        print(f"{name:24} {1e3 * seconds:8.2f} ms  {seconds / base:5.3f}")
    if args.json:
        args.json.write_text(json.dumps(fastest | {"ratio": fastest["guided"] / base}, indent=2) + "\n")


if __name__ == "__main__":
    main()
