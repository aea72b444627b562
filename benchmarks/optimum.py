"""A model beside the optimum: has it learned its pictures by heart?

    python benchmarks/optimum.py RUN [--pictures 256] [--json FILE] [--plot FILE.png]

Prints, by noise level, the error of the model and of a perfect memory of the training set, on training and on held-out
pictures. (`noisette evaluate` prints the variational bound of both, in bits a dimension.)
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

import noisette
from noisette.data import Dataset
from noisette.diffusion.noise import make_generator
from noisette.evaluation.metrics.optimal_denoiser import compare_with_optimum
from noisette.report.viz.plots import STYLES, plot_optimum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pictures", type=int, default=256, help="at most, of each side")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    model, data = noisette.load(args.run), Dataset.open(args.run)
    bank = data.train.x0(torch.arange(len(data.train)))
    some = bank[torch.randperm(len(bank), generator=make_generator("some"))[: args.pictures]]
    others = data.held_out.x0(torch.arange(len(data.held_out))[: args.pictures])
    denoise = model.given(model.condition(None))
    levels = compare_with_optimum(denoise, bank, some, others)
    print(f"{len(some)} training pictures, {len(others)} held out, {len(bank)} remembered")
    print(f"{'σ/α':>6}" + "".join(f"{name:>17}" for name in STYLES))
    for level in levels:
        print(f"{level.ratio:6g}" + "".join(f"{getattr(level, name):17.4f}" for name in STYLES))
    if args.json:
        args.json.write_text(json.dumps([asdict(level) for level in levels], indent=1) + "\n", encoding="utf8")
    if args.plot:
        errors = {name: [getattr(level, name) for level in levels] for name in STYLES}
        plot_optimum(args.plot, [level.ratio for level in levels], errors, f"{args.run.name} beside the optimum")


if __name__ == "__main__":
    main()
