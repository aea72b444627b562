"""What a base is worth for few pictures: the same pictures from scratch and from a base, against pictures left out.

    python benchmarks/from_base.py icons runs/trial --size 16 --pictures 30 100 all --seeds 0 1 --for 300 \
        --start none base-16 --guidance 1.5

`--pictures` of SOURCE are trained on; samples are compared with `--others` pictures of it, none of which is near to
those. A Markdown table for each number of pictures and seed (of the choice of pictures, the training and the samples):
other pictures (what can be reached), the training pictures themselves (a model that copies), one row for each start:
what `noisette train --from` takes, or =MODEL for a model as it is, untrained; and, for runs that start from a base,
samples guided away from it. "Off by": the largest difference of a channel's mean, in levels of 255.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from noisette.data import open_source, prepare
from noisette.data.contact_sheet import contact_sheet
from noisette.data.entry import Source
from noisette.data.png import write_png
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.appearance import channel_statistics
from noisette.evaluation.metrics.evaluator import SampleEvaluator, SampleSet
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.io.metrics_log import read_metrics
from noisette.models.picture_model import load
from noisette.sampling.draw import draw
from noisette.shapes import UInt8Images
from noisette.training import TrainOptions, train
from noisette.training.origin import LIMITED_PICTURES, MAX_EPOCHS

HELD_OUT = 0.1  # share of its pictures that a run sets aside
HEADER = (
    "| start | images | seconds | held-out loss | KID × 10³ | precision | recall | coverage | memorized, % | off by |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Trial:
    """Some pictures of a source, and others of it."""

    source: Source  # of the pictures to train on
    pixels: UInt8Images
    others: UInt8Images  # what samples are compared with
    real: UInt8Images  # more others: as many as there are, up to the number of samples


def split_source(args: argparse.Namespace, pictures: int | None, seed: int) -> Trial:
    """Near duplicates are on one side; labels are left out. pictures: None for all that are not left out."""
    source = open_source(args.source)
    data = prepare(source, args.out / "data", size=args.size, held_out=args.held_out)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data.train), generator=generator)[:pictures]
    names = {data.train.files[i].name for i in order.tolist()}
    entries = tuple(replace(entry, label=None) for entry in source.entries if entry.name in names)
    left_out = all_pixels(data.held_out)[torch.randperm(len(data.held_out), generator=generator)]
    real = left_out[args.others :][: args.samples]
    return Trial(replace(source, entries=entries), all_pixels(data.train)[order], left_out[: args.others], real)


def train_from(trial: Trial, start: str, run: Path, seed: int, args: argparse.Namespace) -> str:
    """Trains into `run`; returns length, time and held-out loss as columns."""
    began, images, pictures = time.monotonic(), args.images, len(trial.pixels)
    if images and start != "none" and pictures <= LIMITED_PICTURES:  # as with a time limit
        images = min(images, round((1 - HELD_OUT) * pictures * MAX_EPOCHS))
    options = TrainOptions(
        seconds=None if images else args.seconds, images=images, size=(args.size, args.size), preset="tiny",
        start_from=start, seed=seed, evaluations=0, lr=args.lr, dropout=args.dropout, recipe=args.recipe,
    )  # fmt: skip
    train(trial.source, run, options)
    row = [r for r in read_metrics(run / "metrics.jsonl") if "held_out" in r][-1]
    return f"{row['images']:,} | {time.monotonic() - began:.0f} | {row['held_out']['all']:.3f}"


def rows(trial: Trial, name: str, seed: int, args: argparse.Namespace) -> Iterator[tuple[str, str, UInt8Images]]:
    """Name, columns of the training, and pictures of each row. name: of the runs' folders, for their number."""
    no_training = "– | – | –"
    if len(trial.real) >= 50:
        yield "other pictures", no_training, trial.real
    yield "the training pictures", no_training, trial.pixels[: args.samples]
    for start in args.start:
        if start.startswith("="):
            yield f"{Path(start[1:]).name} itself", no_training, draw(load(start[1:]), args.samples, seed=seed).pixels
            continue
        run = args.out / f"{Path(start).name}-{name}"
        columns, model = train_from(trial, start, run, seed, args), load(run)
        yield f"from {Path(start).name}", columns, draw(model, args.samples, seed=seed).pixels
        for scale in args.guidance if start != "none" else ():
            pixels = draw(model, args.samples, seed=seed, guidance=scale, guide_with=start).pixels
            yield f"from {Path(start).name}, guidance {scale:g}", columns, pixels


def largest_difference(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def measure(pictures: int | None, seed: int, extractor: EfficientNetExtractor, args: argparse.Namespace) -> None:
    """The table of a number of pictures and a seed."""
    trial = split_source(args, pictures, seed)
    evaluator = SampleEvaluator(trial.pixels, trial.others, extractor, max_shift=1)
    own = evaluator.measure_memorization(trial.others).share
    print(f"\n{len(trial.pixels)} pictures of {args.source}, seed {seed}: {args.samples} samples compared with "
          f"{len(trial.others)} others, of which {100 * own.value:.1f} % count as copies\n\n{HEADER}")  # fmt: skip
    name, means = f"{len(trial.pixels)}-{seed}", channel_statistics(trial.others)[0]
    for row, columns, pixels in rows(trial, name, seed, args):
        score = evaluator(SampleSet(row, pixels))
        kid, prdc, copies = score.kid, score.prdc, score.memorized
        print(
            f"| {row} | {columns} | {kid.value:.1f} [{kid.low:.0f}, {kid.high:.0f}] | {prdc.precision:.2f} | "
            f"{prdc.recall:.2f} | {prdc.coverage:.2f} | {100 * copies.value:.1f} [{100 * copies.low:.1f}, "
            f"{100 * copies.high:.1f}] | {largest_difference(channel_statistics(pixels)[0], means):.0f} |",
            flush=True,
        )
        write_png(args.out / f"{row.replace(' ', '-').replace(',', '')}-{name}.png", contact_sheet(pixels[:100]))


def parse_count(text: str) -> int | None:
    return None if text == "all" else int(text)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", nargs="+", default=["none"])
    parser.add_argument("--guidance", type=float, nargs="*", default=[], help="scales away from the base, one row each")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--pictures", type=parse_count, nargs="+", default=[100], help="numbers of pictures, or all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--held-out", type=float, default=0.5, help="share of the pictures that is never trained on")
    parser.add_argument("--others", type=int, default=600)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--for", dest="seconds", type=float, default=120.0, help="seconds of each training")
    parser.add_argument("--images", type=int, help="training images, instead of --for; few pictures from a base: fewer")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--recipe", help="a JSON file, as of noisette train")
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_arguments()
    extractor = EfficientNetExtractor()
    for pictures in args.pictures:
        for seed in args.seeds:
            measure(pictures, seed, extractor, args)


if __name__ == "__main__":
    main()
