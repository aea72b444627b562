"""The effect of guidance: label agreement, KID, precision and recall at several scales.

    python benchmarks/guidance.py runs/digits --n 1000 --work DIR
    python benchmarks/guidance.py runs/emoji16 --n 500 --guide-with runs/emoji16/early \
        --classifier runs/emoji16-classifier --work DIR

A classifier trained on the training split alone measures label agreement (metrics/label_agreement.py). KID is to the
held-out pictures; precision and recall are between equal numbers of training pictures (two thirds of them at most) and
samples. All settings use the same seeds and labels. A setting that is in DIR/guidance.json is not measured again.
Prints a table, and writes DIR/guidance.png.
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
from noisette.data import Dataset
from noisette.diffusion.noise import make_generator
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.distribution import compute_prdc
from noisette.evaluation.metrics.features import CachedExtractor, EfficientNetExtractor
from noisette.evaluation.metrics.kid import kid_interval
from noisette.evaluation.metrics.label_agreement import LabelClassifier, train_label_classifier
from noisette.models.classifier import PictureClassifier
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import FULL_INTERVAL, final_samples, generate
from noisette.sampling.steering import GuidanceModels, Steering, build_guidance, select_model_labels
from noisette.shapes import UInt8Images

SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
Row = dict[str, Any]


@dataclass(frozen=True)
class GuidanceSetting:
    """How one set of samples is generated."""

    name: str
    scale: float = 1.0
    interval: tuple[float, float] = FULL_INTERVAL
    steering: Steering = Steering()
    models: GuidanceModels = GuidanceModels()
    labeled: bool = True  # whether the model itself gets the label


def list_settings(args: argparse.Namespace, model: PictureModel) -> list[GuidanceSetting]:
    """Scales, and the other kinds of guidance at the requested scales."""
    found = [GuidanceSetting(f"guidance {scale:g}", scale) for scale in SCALES]
    low, high = (float(model.schedule.time_at_ratio(torch.tensor(s, dtype=torch.float64))) for s in args.between)
    within = f"σ/α {args.between[0]:g} to {args.between[1]:g}"
    found += [GuidanceSetting(f"guidance {s:g}, {within}", s, (low, high)) for s in args.scales]
    found += [GuidanceSetting(f"guidance {s:g}, rescaled 0.7", s, steering=Steering(rescale=0.7)) for s in args.scales]
    if args.guide_with is not None:
        models = GuidanceModels(guide_model=noisette.load(args.guide_with))
        found += [GuidanceSetting(f"away from its early self, {s:g}", s, models=models) for s in args.auto]
    if args.classifier is not None:
        models = GuidanceModels(classifier=PictureClassifier.from_pretrained(args.classifier))
        for s in args.classifier_scales:
            steering = Steering(classifier_scale=s)
            found.append(
                GuidanceSetting(f"no label, up a classifier, {s:g}", steering=steering, models=models, labeled=False)
            )
            found.append(GuidanceSetting(f"guidance 1, up a classifier, {s:g}", steering=steering, models=models))
    return found


class Subject:
    """A run, and all that its pictures are compared with."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.model, self.data = noisette.load(args.run), Dataset.open(args.run)
        train, held = self.data.train, self.data.held_out
        assert train.labels is not None and held.labels is not None
        self.net = CachedExtractor(EfficientNetExtractor())
        self.reader: LabelClassifier = train_label_classifier(
            all_pixels(train), train.labels, all_pixels(held), held.labels, self.net
        )
        self.held = self.net(all_pixels(held))
        order = torch.randperm(len(train), generator=make_generator("guidance"))
        self.n = min(args.n, len(train) * 2 // 3)
        others = order[self.n :][: args.n]
        self.others = all_pixels(train)[others], train.labels[others]
        self.numbers = train.labels[order].repeat(-(-args.n // len(order)))[
            : args.n
        ]  # requested labels, in the proportions of the set
        self.labels = [self.model.pictures.labels[int(i)] for i in self.numbers]
        self.train, self.training = all_pixels(train), self.net(all_pixels(train)[order[: self.n]])
        self.grid, self.sampler = self.model.grid(args.steps, args.grid), self.model.sampler(args.sampler)

    def draw(self, setting: GuidanceSetting) -> UInt8Images:
        model, n = self.model, len(self.labels)
        names = select_model_labels(model, self.labels, setting.models.classifier) if setting.labeled else None
        cond = model.condition(names, n)
        steering = replace(setting.steering, guide_model=setting.models.hashes[0], classifier=setting.models.hashes[1])
        how = build_guidance(model, self.labels, setting.scale, setting.interval, steering, setting.models)
        states = generate(model, range(n), cond, self.sampler, self.grid, how, 50)
        return model.pictures.decode_samples(final_samples(states, self.grid))

    def row(self, name: str, pixels: UInt8Images, numbers: Tensor) -> Row:
        features = self.net(pixels)
        close = compute_prdc(self.training, features[: self.n])
        kid = kid_interval(self.held, features).scaled(1000.0)
        agreement = self.reader.label_agreement(pixels, numbers).scaled(100.0)
        return {
            "setting": name, "n": len(pixels), "agreement": [agreement.value, agreement.low, agreement.high],
            "kid": [kid.value, kid.low, kid.high], "precision": close.precision, "recall": close.recall,
        }  # fmt: skip


def plot(path: Path, rows: list[Row], title: str) -> None:
    """Label agreement against KID and recall: the scales as a line, other kinds of guidance as points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=110, layout="constrained")
    scales = [r for r in rows if r["setting"] in {f"guidance {s:g}" for s in SCALES}]
    others = [r for r in rows if r not in scales and "seconds" in r]
    for axes, name, label in zip(
        figure.subplots(1, 2), ("kid", "recall"), ("KID × 10³ (lower is nearer)", "recall (higher is more varied)"),
        strict=True,
    ):  # fmt: skip

        def at(r: Row, name: str = name) -> float:
            return r[name][0] if isinstance(r[name], list) else r[name]

        axes.plot([r["agreement"][0] for r in scales], [at(r) for r in scales], "o-", color="#0072b2", label="scales")
        for r in scales:
            axes.annotate(
                r["setting"].split()[-1], (r["agreement"][0], at(r)), (4, 4), textcoords="offset points", fontsize=8
            )
        for r, mark in zip(others, "sDv^P*X<>hdp", strict=False):
            axes.plot(r["agreement"][0], at(r), mark, label=r["setting"], ms=6, ls="none")
        axes.set_xlabel("assigned to the requested label, %")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["right", "top"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7)
    figure.savefig(path)


def shown(row: Row) -> str:
    kid, label = row["kid"], row["agreement"]
    return (
        f"| {row['setting']} | {label[0]:.1f} [{label[1]:.1f}, {label[2]:.1f}] | "
        f"{kid[0]:.1f} [{kid[1]:.1f}, {kid[2]:.1f}] | "
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
    parser.add_argument("--auto", type=float, nargs="*", default=[2.0], help="for --guide-with")
    parser.add_argument("--classifier-scales", type=float, nargs="*", default=[2.0], help="for --classifier")
    parser.add_argument("--guide-with", type=Path)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    path, subject = args.work / "guidance.json", Subject(args)
    rows: list[Row] = json.loads(path.read_text()) if path.is_file() else []
    known = subject.reader.accuracy.scaled(100.0)
    print(f"accuracy on held-out pictures: {known:.1f} %, {subject.reader.name}", flush=True)

    def keep(row: Row) -> None:
        rows.append(row)
        path.write_text(json.dumps(rows, indent=1))
        print(shown(row), flush=True)

    done = {row["setting"] for row in rows}
    if "other training pictures" not in done:
        keep(subject.row("other training pictures", *subject.others))
    for setting in list_settings(args, subject.model):
        if setting.name not in done:
            began = time.monotonic()
            pixels = subject.draw(setting)
            keep(subject.row(setting.name, pixels, subject.numbers) | {"seconds": time.monotonic() - began})
    print("\n| | assigned to the requested label, % | KID × 10³ | precision | recall |\n|---|---|---|---|---|")
    print("\n".join(map(shown, rows)))
    plot(
        args.work / "guidance.png",
        rows,
        f"{args.run.name}: {args.n} pictures per setting, {args.sampler} {args.steps} steps",
    )


if __name__ == "__main__":
    main()
