"""How well is a model steered? The figures of docs/steering.md, each beside what it can be compared with.

    python benchmarks/steering.py runs/emoji                       all sections that suit this model
    python benchmarks/steering.py runs/emoji --only inversion hspace --n 16

Held-out pictures are edited, never those that were trained on. Prints tables and writes WORK/steering.json.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import noisette
from noisette.data import Dataset
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import Denoiser
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.noise import Seeded, make_generator
from noisette.diffusion.operator import AveragePool
from noisette.diffusion.sampler import DDIM, Heun
from noisette.edit.hspace import (
    LAYERS,
    STRENGTHS,
    EffectSetup,
    Layer,
    difference_direction,
    find_layer,
    linearity,
    measure_effects,
    principal_directions,
    record_noised,
    record_sampling,
)
from noisette.edit.inpaint import inpaint_ddnm, inpaint_repaint, restore_known
from noisette.edit.invert import invert, psnr, reconstruct
from noisette.edit.upscale import project_to_range, upscale
from noisette.evaluation.metrics.distribution import compute_prdc
from noisette.evaluation.metrics.features import EfficientNetExtractor, to_opaque_rgb
from noisette.evaluation.metrics.kid import kid_interval
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import build_denoiser, final_samples, generate, initial_state
from noisette.shapes import Images, UInt8Images

Row = dict[str, Any]


class Subject:
    """A model, the held-out pictures of its run, and how many of them are used."""

    def __init__(self, run: Path, n: int, steps: int | None) -> None:
        self.model: PictureModel = noisette.load(run)
        self.data = Dataset.open(run)
        held, order = self.data.held_out, torch.randperm(len(self.data.held_out), generator=make_generator("steering"))
        self.rows = order[:n]
        self.pixels = held.pixels(self.rows)
        self.x0 = self.model.pictures.encode(self.pixels)
        known = held.condition(self.rows)
        self.cond: Condition | None = known if len(known) else None
        self.grid, self.n = self.model.grid(steps), len(self.rows)

    def batches(self, size: int = 32) -> Iterator[slice]:
        for first in range(0, self.n, size):
            yield slice(first, min(first + size, self.n))

    def denoiser(self, rows: slice) -> Denoiser:
        return Clipped(self.model.given(None if self.cond is None else self.cond[rows]))

    def each(self, edit: Callable[[Denoiser, slice, Seeded], Images], seed: int = 0) -> Images:
        """An edit of every picture, a batch at a time."""
        parts = []
        for rows in self.batches():
            noise = Seeded(range(seed + rows.start, seed + rows.stop))
            parts.append(edit(self.denoiser(rows), rows, noise))
        return torch.cat(parts)


def labels(subject: Subject) -> list[Row]:
    """How often a classifier trained on the training split assigns the requested label, with KID and recall."""
    from sklearn.svm import SVC

    data, names, net = subject.data, subject.model.pictures.labels, EfficientNetExtractor()
    assert data.train.labels is not None and data.held_out.labels is not None

    def features(pixels: UInt8Images) -> Tensor:
        return net(pixels)

    training, held = (features(s.pixels(torch.arange(len(s)))) for s in (data.train, data.held_out))
    reader = SVC(C=10).fit(training.numpy(), data.train.labels.numpy())
    right = reader.predict(held.numpy()) == data.held_out.labels.numpy()
    rows: list[Row] = [{"guidance": "held out", "agreement": float(right.mean()), "kid": None, "recall": None}]
    requested = [
        names[int(i)] for i in data.held_out.labels[torch.randperm(len(held), generator=make_generator("asked"))]
    ]
    requested = requested[: subject.n]
    for scale in (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0):
        cond, grid = subject.model.condition(requested, len(requested)), subject.grid
        walk = generate(subject.model, range(len(requested)), cond, subject.model.sampler(), grid, scale)
        found = features(subject.model.pictures.decode(final_samples(walk, grid)))
        agreed = reader.predict(found.numpy()) == np.array([names.index(a) for a in requested])
        kid, k = kid_interval(held, found).scaled(1000.0), min(5, len(found) - 1)
        order = torch.randperm(len(held), generator=make_generator("recall"))[: len(found)]
        recall = compute_prdc(held[order], found, k=k).recall
        rows.append({"guidance": scale, "agreement": float(agreed.mean()), "kid": f"{kid:.1f}", "recall": recall})
    return rows


def inpainting(subject: Subject) -> list[Row]:
    """A square in the middle is redrawn: what is known, what fills it, and how 8 fills differ."""
    height, width = subject.x0.shape[2:]
    known, net = torch.ones(1, 1, height, width), EfficientNetExtractor()
    known[..., height // 4 : -(height // 4), width // 4 : -(width // 4)] = 0
    everything = subject.data.held_out.pixels(torch.arange(len(subject.data.held_out)))
    rest = torch.ones(len(everything), dtype=torch.bool)
    rest[subject.rows] = False
    others = net(everything[rest] if rest.sum() > 8 else everything)
    floor = kid_interval(others, net(subject.pixels)).scaled(1000.0)
    rows: list[Row] = [{"way": "floor: the pictures themselves", "kid": f"{floor:.1f}"}]
    gray = restore_known(subject.pixels, known, torch.full_like(subject.pixels, 128))
    rows.append({"way": "gray", "kid": f"{kid_interval(others, net(gray)).scaled(1000.0):.1f}"})
    for name, way in (("repaint", inpaint_repaint), ("ddnm", inpaint_ddnm)):

        def edit(d: Denoiser, rows: slice, noise: Seeded, way: Any = way) -> Images:
            return way(d, subject.model.sampler(), subject.grid, subject.x0[rows], known, noise, 5)

        fills = [subject.model.pictures.decode(subject.each(edit, 1000 * i)) for i in range(8)]
        done = [restore_known(subject.pixels, known, f) for f in fills]
        same = all(torch.equal(f * (known > 0), subject.pixels * (known > 0)) for f in done)
        hole = (known == 0).expand_as(subject.pixels)
        spread = torch.stack([f.float()[hole] for f in done]).std(0).mean().item()
        kid = kid_interval(others, net(done[0])).scaled(1000.0)
        rows.append({"way": name, "known identical": same, "kid": f"{kid:.1f}", "std of 8 fills, bytes": spread})
    return rows


def ssim(one: Images, other: Images) -> float:
    """Wang et al. 2004, in [-1, 1], with a uniform window of 7 × 7 (of the picture, where it is smaller)."""
    side = min(7, *one.shape[2:])

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, side, 1)

    a, b = mean(one), mean(other)
    va, vb, cov = mean(one**2) - a**2, mean(other**2) - b**2, mean(one * other) - a * b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return ((2 * a * b + c1) * (2 * cov + c2) / ((a**2 + b**2 + c1) * (va + vb + c2))).mean().item()


def upscaling(subject: Subject) -> list[Row]:
    """Half and a quarter of the size, and back: beside bicubic and repeated pixels."""
    rows: list[Row] = []
    for factor in (2, 4):
        if subject.x0.shape[2] % factor or subject.x0.shape[3] % factor:
            continue
        shrink = AveragePool(factor)
        small = shrink(subject.x0)

        def edit(d: Denoiser, rows: slice, noise: Seeded, small: Tensor = small, factor: int = factor) -> Images:
            x = upscale(
                d,
                subject.model.sampler(),
                subject.grid,
                small[rows],
                factor,
                noise,
                3,
                subject.model.config.sampling.temperature,
            )
            return project_to_range(x, small[rows], factor, subject.model.pictures.has_alpha)

        several = [subject.each(edit, 1000 * i) for i in range(4)]
        ways = {
            "nearest": shrink.pinv(small),
            "bicubic": F.interpolate(small, scale_factor=factor, mode="bicubic", antialias=False).clamp(-1, 1),
            "one sample": several[0],
            "mean of 4": torch.stack(several).mean(0),
        }
        for name, made in ways.items():
            seen = subject.model.pictures.encode(subject.model.pictures.decode(made))
            off = (shrink(seen) - small).abs().mean().item() * 127.5
            row = {"psnr": psnr(seen, subject.x0).mean().item(), "ssim": ssim(seen, subject.x0), "off, bytes": off}
            rows.append({"factor": factor, "way": name} | row)
    return rows


def inversion(subject: Subject) -> list[Row]:
    """Reconstruction by steps, at one and at two evaluations a step."""
    rows = []
    for steps in (10, 20, 50, 100):
        for name, sampler in (("ddim", DDIM()), ("heun", Heun())):
            grid, found = subject.model.grid(steps), []
            with torch.no_grad():
                for part in subject.batches():
                    d = subject.model.given(None if subject.cond is None else subject.cond[part])
                    back = reconstruct(d, grid, invert(d, grid, subject.x0[part], sampler), sampler)
                    found.append(psnr(back, subject.x0[part]))
            decibels = torch.cat(found)
            row = {"steps": steps, "sampler": name, "psnr": decibels.mean().item(), "worst": decibels.min().item()}
            rows.append(row)
    return rows


def hspace(subject: Subject) -> list[Row]:
    """In both places where h-space may be."""
    return [{"place": place} | row for place in LAYERS for row in directions(subject, place)]


def directions(subject: Subject, place: Layer) -> list[Row]:
    """Components, labels and pairs: lines, alike on all, adding up? And what each does to what can be measured, in the
    deviations of held-out pictures: the wanted one, and the others' drift."""
    model, mid, grid = subject.model, find_layer(subject.model.net, LAYERS[place]), subject.grid
    state, noise = initial_state(model, range(subject.n), grid)
    times, seen_ = record_sampling(model.given(model.condition(None, subject.n)), mid, grid, state.x, noise)
    found = principal_directions(times, seen_, 3)
    of = {}
    for name in model.pictures.labels[:3]:
        state, noise = initial_state(model, range(subject.n), grid)
        of[name] = record_sampling(model.given(model.condition(name, subject.n)), mid, grid, state.x, noise)[1]
    found += [difference_direction(n, times, h, torch.cat(list(of.values()), 1)) for n, h in of.items()]
    pixels = subject.data.train.pixels(torch.arange(subject.n))
    for name, change in PAIRS.items():
        looks = []
        for some in (change(pixels), pixels):
            x0, eps = model.pictures.encode(some), Seeded(range(subject.n))
            looks.append(record_noised(model.given(model.condition(None, subject.n)), mid, grid, x0, eps)[1])
        found.append(difference_direction(f"pairs: {name}", times, *looks))
    state, noise = initial_state(model, range(10_000, 10_008), grid)
    bench = EffectSetup(build_denoiser(model, model.condition(None, 8)), mid, DDIM(), grid, state.x, noise)
    effects, sliders = measure_effects(bench, found)
    rows, unit = [], {name: of(subject.pixels).std() for name, of in MEASURES.items()}
    for effect, slider in zip(effects, sliders, strict=True):
        shown = model.pictures.decode(slider)
        measured = {name: of(shown).reshape(len(STRENGTHS), -1) / unit[name] for name, of in MEASURES.items()}
        rows.append(vars(effect) | {n: linearity(torch.tensor(STRENGTHS), v)[0] for n, v in measured.items()})
    return rows


def over_white(pixels: UInt8Images) -> Images:
    """Three channels, 0 … 1."""
    return to_opaque_rgb(pixels)[-1]


MEASURES: dict[str, Callable[[UInt8Images], Tensor]] = {
    "brightness": lambda pixels: over_white(pixels).mean((1, 2, 3)),
    "redness": lambda pixels: (over_white(pixels)[:, 0] - over_white(pixels)[:, 1:].mean(1)).mean((1, 2)),
    "area": lambda pixels: (over_white(pixels) < 0.97).any(1).float().mean((1, 2)),
}
PAIRS: dict[str, Callable[[UInt8Images], UInt8Images]] = {
    "darker": lambda pixels: torch.cat([pixels[:, :3] // 2, pixels[:, 3:]], 1),
    "smaller": lambda pixels: F.pad(pixels[..., ::2, ::2], [s // 4 for s in (*pixels.shape[:1:-1],) for _ in (0, 1)]),
    "redder": lambda pixels: torch.cat([255 - (255 - pixels[:, :1]) // 4, pixels[:, 1:3] // 2, pixels[:, 3:]], 1),
}


SECTIONS: dict[str, Callable[[Subject], list[Row]]] = {
    "labels": labels, "inpainting": inpainting, "upscaling": upscaling, "inversion": inversion, "hspace": hspace,
}  # fmt: skip


def table(name: str, rows: list[Row]) -> None:
    print(f"\n{name}")
    heads = list(dict.fromkeys(k for r in rows for k in r))
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        cells = (row.get(h) for h in heads)
        print(
            "| " + " | ".join("" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells) + " |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--only", nargs="+", choices=SECTIONS)
    parser.add_argument("--n", type=int, default=64, help="pictures")
    parser.add_argument("--steps", type=int, help="sampling steps; the model's own by default")
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="steering-"))
    work.mkdir(parents=True, exist_ok=True)
    subject, found = Subject(args.run, args.n, args.steps), {}
    for name in args.only or SECTIONS:
        if name == "labels" and not subject.model.pictures.labels:
            continue
        found[name] = SECTIONS[name](subject)
        table(name, found[name])
    (work / "steering.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    print(f"\n{(work / 'steering.json').resolve()}")


if __name__ == "__main__":
    main()
