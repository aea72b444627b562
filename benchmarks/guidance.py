"""What does guidance buy, and what does it cost? Label agreement beside KID and recall.

    python benchmarks/guidance.py runs/digits --n 1000
    python benchmarks/guidance.py runs/emoji16 --n 500 --away runs/emoji16/early --classifier runs/emoji16-judge

A classifier that learned from the training split alone reads what was asked for (metrics/agreement.py). KID is to the
held-out pictures; precision and recall are between as many training pictures
as are drawn (two thirds of them at most) and as many of the drawn. Every way draws from the same
seeds for the same labels. A way that is in WORK/guidance.json already is not drawn again, so it may be made in parts.
Prints a table, and draws WORK/guidance.png.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import noisette
from noisette.classifier import PictureClassifier
from noisette.data import Dataset
from noisette.edit.generate import ALWAYS, ends, generate
from noisette.edit.held_out import everything
from noisette.edit.steering import Aides, Steering, asked, guidance_of
from noisette.metrics.agreement import Reader, reader
from noisette.metrics.distribution import fidelity
from noisette.metrics.features import EfficientNetLite, Remembered
from noisette.metrics.kid import kid_interval
from noisette.model import PictureModel
from noisette.noise import keyed
from noisette.shapes import Bytes

SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """How one set is drawn."""

    name: str
    scale: float = 1.0
    interval: tuple[float, float] = ALWAYS
    steering: Steering = Steering()
    aides: Aides = Aides()
    labelled: bool = True  # whether the model itself is told the label


def ways(args: argparse.Namespace, model: PictureModel) -> list[Way]:
    """Scales, and the other kinds of guidance at the scales that were asked for."""
    found = [Way(f"guidance {scale:g}", scale) for scale in SCALES]
    low, high = (float(model.schedule.time(torch.tensor(s, dtype=torch.float64))) for s in args.between)
    within = f"σ/α {args.between[0]:g} to {args.between[1]:g}"
    found += [Way(f"guidance {s:g}, {within}", s, (low, high)) for s in args.scales]
    found += [Way(f"guidance {s:g}, rescaled 0.7", s, steering=Steering(rescale=0.7)) for s in args.scales]
    if args.away is not None:
        aides = Aides(away=noisette.load(args.away))
        found += [Way(f"away from its early self, {s:g}", s, aides=aides) for s in args.auto]
    if args.classifier is not None:
        aides = Aides(classifier=PictureClassifier.from_pretrained(args.classifier))
        for s in args.climb:
            led = Steering(classifier_scale=s)
            found.append(Way(f"no label, up a classifier, {s:g}", steering=led, aides=aides, labelled=False))
            found.append(Way(f"guidance 1, up a classifier, {s:g}", steering=led, aides=aides))
    return found


class Subject:
    """A run, and all that its pictures are compared with."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.model, self.data = noisette.load(args.run), Dataset.open(args.run)
        train, held = self.data.train, self.data.held_out
        assert train.labels is not None and held.labels is not None
        self.net = Remembered(EfficientNetLite())
        self.reader: Reader = reader(everything(train), train.labels, everything(held), held.labels, self.net)
        self.held = self.net(everything(held))
        order = torch.randperm(len(train), generator=keyed("guidance"))
        self.n = min(args.n, len(train) * 2 // 3)
        others = order[self.n :][: args.n]
        self.others = everything(train)[others], train.labels[others]
        self.numbers = train.labels[order].repeat(-(-args.n // len(order)))[: args.n]  # asked for, as they are
        self.labels = [self.model.pictures.labels[int(i)] for i in self.numbers]
        self.train, self.training = everything(train), self.net(everything(train)[order[: self.n]])
        self.grid, self.sampler = self.model.grid(args.steps, args.grid), self.model.sampler(args.sampler)

    def draw(self, way: Way) -> Bytes:
        model, n = self.model, len(self.labels)
        names = asked(model, self.labels, way.aides.classifier) if way.labelled else None
        cond = model.condition(names, n)
        led = replace(way.steering, away=way.aides.hashes[0], classifier=way.aides.hashes[1])
        how = guidance_of(model, self.labels, way.scale, way.interval, led, way.aides)
        walk = generate(model, range(n), cond, self.sampler, self.grid, how, 50)
        return model.pictures.finished(ends(walk, self.grid))

    def row(self, name: str, pixels: Bytes, numbers: Tensor) -> Row:
        features = self.net(pixels)
        close = fidelity(self.training, features[: self.n])
        kid = kid_interval(self.held, features).scaled(1000.0)
        read = self.reader.agreement(pixels, numbers).scaled(100.0)
        return {
            "way": name, "n": len(pixels), "read": [read.value, read.low, read.high],
            "kid": [kid.value, kid.low, kid.high], "precision": close.precision, "recall": close.recall,
        }  # fmt: skip


def plot(path: Path, rows: list[Row], title: str) -> None:
    """What was read as asked for against KID and recall: the scales as a line, other ways as points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=110, layout="constrained")
    scales = [r for r in rows if r["way"] in {f"guidance {s:g}" for s in SCALES}]
    others = [r for r in rows if r not in scales and "seconds" in r]
    for axes, name, label in zip(
        figure.subplots(1, 2), ("kid", "recall"), ("KID × 10³ (lower is nearer)", "recall (higher is more varied)"),
        strict=True,
    ):  # fmt: skip

        def at(r: Row, name: str = name) -> float:
            return r[name][0] if isinstance(r[name], list) else r[name]

        axes.plot([r["read"][0] for r in scales], [at(r) for r in scales], "o-", color="#0072b2", label="scales")
        for r in scales:
            axes.annotate(r["way"].split()[-1], (r["read"][0], at(r)), (4, 4), textcoords="offset points", fontsize=8)
        for r, mark in zip(others, "sDv^P*X<>hdp", strict=False):
            axes.plot(r["read"][0], at(r), mark, label=r["way"], ms=6, ls="none")
        axes.set_xlabel("read as asked for, %")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["right", "top"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7)
    figure.savefig(path)


def shown(row: Row) -> str:
    kid, read = row["kid"], row["read"]
    return (
        f"| {row['way']} | {read[0]:.1f} [{read[1]:.1f}, {read[2]:.1f}] | {kid[0]:.1f} [{kid[1]:.1f}, {kid[2]:.1f}] | "
        f"{row['precision']:.2f} | {row['recall']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--sampler", default="heun")
    parser.add_argument("--grid", default="karras")
    parser.add_argument("--between", type=float, nargs=2, default=(0.3, 3.0), help="σ/α of an interval")
    parser.add_argument("--scales", type=float, nargs="*", default=[3.0], help="for the interval, and rescaled")
    parser.add_argument("--auto", type=float, nargs="*", default=[2.0], help="for --away")
    parser.add_argument("--climb", type=float, nargs="*", default=[2.0], help="for --classifier")
    parser.add_argument("--away", type=Path)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    path, subject = args.work / "guidance.json", Subject(args)
    rows: list[Row] = json.loads(path.read_text()) if path.is_file() else []
    known = subject.reader.known.scaled(100.0)
    print(f"held-out pictures are read rightly: {known:.1f} %, by a {subject.reader.name}", flush=True)

    def keep(row: Row) -> None:
        rows.append(row)
        path.write_text(json.dumps(rows, indent=1))
        print(shown(row), flush=True)

    done = {row["way"] for row in rows}
    if "other training pictures" not in done:
        keep(subject.row("other training pictures", *subject.others))
    for way in ways(args, subject.model):
        if way.name not in done:
            began = time.monotonic()
            pixels = subject.draw(way)
            keep(subject.row(way.name, pixels, subject.numbers) | {"seconds": time.monotonic() - began})
    print("\n| | read as asked for, % | KID × 10³ | precision | recall |\n|---|---|---|---|---|")
    print("\n".join(map(shown, rows)))
    plot(
        args.work / "guidance.png", rows, f"{args.run.name}: {args.n} pictures a way, {args.sampler} {args.steps} steps"
    )


if __name__ == "__main__":
    main()
