"""What a base is worth for few pictures: the same pictures from scratch and from a base, against pictures left out.

    python benchmarks/from_base.py icons runs/trial --size 16 --pictures 100 --for 120 --start none base-16

`--pictures` of SOURCE are trained on; samples are compared with `--others` pictures of it, none of which is near to
those. One row for each start: what `noisette train --from` takes, or =MODEL for a model as it is, untrained. All rows
of a table come from one run of the script.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from noisette.data import open_source, prepare
from noisette.data.contact_sheet import contact_sheet
from noisette.data.entry import Source
from noisette.data.png import write_png
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.evaluator import SampleEvaluator, SampleSet
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.io.metrics_log import read_metrics
from noisette.models.picture_model import load
from noisette.sampling.draw import draw
from noisette.shapes import UInt8Images
from noisette.training import TrainOptions, train


@dataclass(frozen=True)
class Trial:
    """Few pictures of a source, and others of it."""

    few: Source
    few_pixels: UInt8Images
    others: UInt8Images


def split_source(name: str, size: int, pictures: int, others: int, folder: Path) -> Trial:
    """Near duplicates are on one side; labels are left out."""
    source = open_source(name)
    data = prepare(source, folder, size=size, held_out=0.5)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:pictures]
    names = {data.train.files[i].name for i in order.tolist()}
    entries = tuple(replace(entry, label=None) for entry in source.entries if entry.name in names)
    left_out = all_pixels(data.held_out)
    rows = torch.randperm(len(left_out), generator=torch.Generator().manual_seed(0))[:others]
    return Trial(replace(source, entries=entries), all_pixels(data.train)[order], left_out[rows])


def train_from(trial: Trial, start: str, args: argparse.Namespace) -> tuple[Path, str]:
    """The run, and its length and held-out loss as columns."""
    run = args.out / f"{Path(start).name}-{args.pictures}-{args.seed}"
    began = time.monotonic()
    options = TrainOptions(
        seconds=None if args.images else args.seconds, images=args.images, size=(args.size, args.size), preset="tiny",
        start_from=start, seed=args.seed, evaluations=0, lr=args.lr, dropout=args.dropout,
    )  # fmt: skip
    train(trial.few, run, options)
    row = [r for r in read_metrics(run / "metrics.jsonl") if "held_out" in r][-1]
    return run, f"{row['images']:7,} {time.monotonic() - began:5.0f} s {row['held_out']['all']:6.3f}"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", nargs="+", default=["none"])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--others", type=int, default=600)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--for", dest="seconds", type=float, default=120.0, help="seconds of each training")
    parser.add_argument("--images", type=int, help="training images, instead of --for")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_arguments()
    trial = split_source(args.source, args.size, args.pictures, args.others, args.out / "data")
    evaluator = SampleEvaluator(trial.few_pixels, trial.others, EfficientNetExtractor(), max_shift=1)
    print(f"{len(trial.few_pixels)} pictures of {args.source}, compared with {len(trial.others)} others")
    print("start               images    time   loss  KID×10³  precision  recall  coverage  memorized")

    def report(name: str, columns: str, pixels: UInt8Images) -> None:
        score = evaluator(SampleSet(name, pixels))
        print(
            f"{name:18} {columns:22} {score.kid.value:6.1f} {score.prdc.precision:9.2f} {score.prdc.recall:8.2f} "
            f"{score.prdc.coverage:8.2f} {score.memorized.value:9.3f} (to {score.memorized.high:.3f})",
            flush=True,
        )

    print(f"held-out pictures' own share of copies: {evaluator.measure_memorization(trial.others).share.value:.3f}")
    report("training pictures", "", trial.few_pixels)
    for start in args.start:
        if start.startswith("="):
            model, name, columns = load(start[1:]), Path(start[1:]).name + " itself", ""
        else:
            run, columns = train_from(trial, start, args)
            model, name = load(run), f"from {Path(start).name}"
        pixels = draw(model, args.samples).pixels
        report(name, columns, pixels)
        write_png(args.out / f"{name.replace(' ', '-')}-{args.pictures}-{args.seed}.png", contact_sheet(pixels[:100]))


if __name__ == "__main__":
    main()
