"""The run's own sampling defaults against many other ways of drawing with the same weights.

    python benchmarks/ways.py RUN [RUN …] [--n 300] [--seeds 0 1] [--ways 45] [--again 1000] [--out FILE] [--keep F]

RUN is a run folder: a model with its training and held-out pictures; MODEL=RUN is another model, compared with the
pictures of a run. Each way draws the same number of pictures, with
the labels of training pictures, and one row of Markdown says how they compare with the held-out pictures: network calls
a picture, KID × 10³, recall, coverage, copies of training pictures, the shares of alpha 0, 1–8, 9–246, 247–254 and 255,
and mean and deviation of each premultiplied channel in levels of 255. The first row is of training pictures, as many
as are drawn (the last three columns: of all of them), the second is the run's own way; the last line compares it with
the lowest KID.

The lowest of many KIDs is low by chance, too. With `--again N`, the own way and the five lowest draw N pictures more
with other seeds, and these are compared, in rows of their own.

`--out` gets a line of JSON a row, and rows that are there are not measured again. `--keep` stores the pictures of each
row as an .npy file.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisette.data import Dataset
from noisette.diffusion.noise import derive_seed, make_generator
from noisette.errors import InputError
from noisette.evaluation.evaluate import build_condition
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.appearance import alpha_shares, channel_statistics
from noisette.evaluation.metrics.distribution import compute_prdc
from noisette.evaluation.metrics.features import EfficientNetExtractor, Features
from noisette.evaluation.metrics.kid import kid
from noisette.evaluation.metrics.memorization import measure_memorization
from noisette.evaluation.steps import SamplerSetting
from noisette.models.picture_model import PictureModel, load
from noisette.sampling.fitted_grid import fit_grids
from noisette.sampling.generate import sample_images
from noisette.shapes import UInt8Images

GRIDS = ("own", "gits", "karras")  # the run's own, fitted by dynamic programming to a trajectory, Karras'
SETTINGS = (  # sampler, steps, temperatures
    ("dpm++sde", 16, (1.0, 0.95, 0.9, 0.85)),
    ("dpm++2m", 16, (1.0, 0.93, 0.86)),
    ("unipc", 8, (1.0, 0.93, 0.86)),
    ("heun", 8, (1.0, 0.93, 0.86)),
    ("dpm++sde", 10, (0.95,)),
    ("ddim", 16, (0.93,)),
)
FIT_PICTURES, BATCH = 16, 50
FINALISTS, AGAIN = 5, 1000  # ways that are drawn again, and what is added to their seeds


def list_ways() -> Iterator[SamplerSetting]:
    """45 ways."""
    for (sampler, steps, temperatures), grid in itertools.product(SETTINGS, GRIDS):
        for temperature in temperatures:
            yield SamplerSetting(sampler, grid, steps, temperature)


class Run:
    """A run, and what its samples are compared with."""

    def __init__(self, name: str, extractor: EfficientNetExtractor) -> None:
        model, _, folder = name.rpartition("=")
        self.name, self.model = Path(model or folder).name, load(model or folder)
        self.data = Dataset.open(Path(folder))
        self.train, held_out = all_pixels(self.data.train), all_pixels(self.data.held_out)
        self.extractor, self.reference = extractor, extractor(held_out)
        grid = self.model.config.sampling.fitted
        rows = torch.arange(FIT_PICTURES) % len(self.data.train)
        seeds = [derive_seed(9, "gits", i) for i in range(FIT_PICTURES)]
        gits = fit_grids(self.model, seeds, build_condition(self.model, self.data.train, rows), (8, 10, 16), 32)
        self.fitted = {"own": grid, "gits": gits, "karras": grid}

    def model_of(self, way: SamplerSetting) -> PictureModel:
        """The model with a way as its default."""
        name = "karras" if way.grid == "karras" else "fitted"
        sampling = replace(way, grid=name).resolve(self.model.config.sampling)
        return self.model.with_sampling(replace(sampling, fitted=self.fitted.get(way.grid, sampling.fitted)))

    def draw(self, model: PictureModel, n: int, seed: int) -> UInt8Images:
        rows = torch.randint(len(self.data.train), (n,), generator=make_generator("ways", seed))
        cond = build_condition(model, self.data.train, rows)
        seeds = [derive_seed(seed, "ways", i) for i in range(n)]
        return model.pictures.decode_samples(sample_images(model, seeds, cond, batch=BATCH))

    def measure(self, pixels: UInt8Images) -> dict[str, Any]:
        features: Features = self.extractor(pixels)
        size = min(len(features), len(self.reference))
        order = torch.randperm(len(features), generator=make_generator("prdc"))[:size]
        prdc = compute_prdc(self.reference[:size], features[order])
        mean, deviation = channel_statistics(pixels)
        return {
            "kid": 1000 * kid(features, self.reference), "recall": prdc.recall, "coverage": prdc.coverage,
            "memorized": measure_memorization(pixels, self.train).share.value,
            "alpha": alpha_shares(pixels) if self.model.pictures.has_alpha else (),
            "mean": mean, "deviation": deviation,
        }  # fmt: skip


def count_calls(model: PictureModel) -> int:
    """Network calls a picture; none at noise levels where the model has a closed form."""
    grid, sampling = model.grid(), model.config.sampling
    times = [*grid[:-1], *(grid[1:-1] if sampling.sampler == "heun" else ())]
    return sum(map(model.calls_network, times))


def show(row: dict[str, Any]) -> str:
    """A row of the table."""
    percent = " / ".join(f"{100 * share:.0f}" for share in row["alpha"])
    mean, deviation = (", ".join(f"{value:.0f}" for value in row[key]) for key in ("mean", "deviation"))
    figures = f"{row['kid']:.1f} | {row['recall']:.2f} | {row['coverage']:.2f} | {100 * row['memorized']:.1f}"
    return f"| {row['way']} | {row['calls']} | {figures} | {percent} | {mean} | {deviation} |"


def describe(way: SamplerSetting) -> str:
    return f"{way.sampler}, {way.grid} {way.steps}, {way.temperature:g}"


def measure_training_pictures(run: Run, n: int, seed: int) -> dict[str, Any]:
    """The row of n training pictures; mean, deviation and alpha are those of all."""
    some = torch.randperm(len(run.train), generator=make_generator("ways floor", seed))[:n]
    mean, deviation = channel_statistics(run.train)
    alpha = alpha_shares(run.train) if run.model.pictures.has_alpha else ()
    return {"calls": 0} | run.measure(run.train[some]) | {"mean": mean, "deviation": deviation, "alpha": alpha}


class Table:
    """Rows of a run, its number of pictures and a seed, printed as they are measured, and kept in a file."""

    def __init__(self, run: Run, n: int, seed: int, out: Path, keep: Path | None) -> None:
        self.run, self.n, self.seed, self.out, self.keep = run, n, seed, out, keep
        self.known = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        print(f"\n{run.name}, seed {seed}, {n} pictures\n")
        print("| way | calls | KID × 10³ | recall | coverage | memorized, % | alpha, % | mean | deviation |")
        print("|---|---|---|---|---|---|---|---|---|")

    def add(self, name: str, way: SamplerSetting | None) -> dict[str, Any]:
        """The row of a way, measured unless the file has it; None: of the training pictures."""
        key = {"run": self.run.name, "model": self.run.model.hash, "seed": self.seed, "n": self.n, "way": name}
        row = next((row for row in self.known if key.items() <= row.items()), None)
        if row is None:
            row = key | self._measure(name, way)
            with self.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        print(show(row), flush=True)
        return row

    def _measure(self, name: str, way: SamplerSetting | None) -> dict[str, Any]:
        if way is None:
            return measure_training_pictures(self.run, self.n, self.seed)
        model = self.run.model_of(way)
        pixels = self.run.draw(model, self.n, self.seed)
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            np.save(self.keep / f"{self.run.name}, {self.seed}, {name.replace(': ', ' ')}.npy", pixels.numpy())
        return {"calls": count_calls(model)} | self.run.measure(pixels)


def compare(table: Table, ways: dict[str, SamplerSetting]) -> list[str]:
    """Adds the rows of the training pictures and of all ways, the first of which is the run's own, and says how the
    latter compares with the lowest. Returns the names of the others, the lowest first."""
    table.add("training pictures", None)
    own, *others = [table.add(name, way) for name, way in ways.items()]
    best = min([own, *others], key=lambda row: row["kid"])
    print(f"\nown {own['kid']:.1f}, lowest of {len(ways)}: {best['kid']:.1f} ({best['way']})")
    return [str(row["way"]) for row in sorted(others, key=lambda row: row["kid"])]


def main() -> None:
    parser = argparse.ArgumentParser(description="A run's own sampling defaults against many other ways.")
    parser.add_argument("runs", nargs="+", help="RUN, or MODEL=RUN")
    parser.add_argument("--n", type=int, default=300, help="pictures a way")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--ways", type=int, default=len(list(list_ways())), help="how many ways, in their order")
    parser.add_argument("--again", type=int, help="pictures of the own way and the lowest ones, drawn again")
    parser.add_argument("--out", type=Path, default=Path("ways.jsonl"))
    parser.add_argument("--keep", type=Path, help="folder for the pictures of each row")
    args = parser.parse_args()
    extractor = EfficientNetExtractor()
    for name in args.runs:
        run = Run(name, extractor)
        if run.model.config.task.input_spec(run.model.pictures) is not None:
            raise InputError(f"{name} holds a model that needs an input picture: give one that draws from noise")
        default = run.model.config.sampling
        own = SamplerSetting(default.sampler, default.grid, default.steps, default.temperature)
        ways = {f"own: {describe(own)}": own}
        ways |= {describe(way): way for way in itertools.islice(list_ways(), args.ways)}
        for seed in args.seeds:
            order = compare(Table(run, args.n, seed, args.out, args.keep), ways)
            if args.again:
                again = {name: ways[name] for name in (next(iter(ways)), *order[:FINALISTS])}
                compare(Table(run, args.again, AGAIN + seed, args.out, args.keep), again)


if __name__ == "__main__":
    main()
