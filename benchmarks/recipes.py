"""Try recipes on one data set at equal numbers of images, and score what they draw against held-out pictures.

    python benchmarks/recipes.py RUN --trials trials.json --out results.jsonl [--workers 4]

RUN is a folder that `noisette.data.prepare` (or `noisette train`) has filled. A trial is an object such as
{"name": "lr 2e-3", "preset": "tiny", "images": 150000, "training": {"lr": 0.002}, "net": {"dropout": 0.1},
 "sampling": {"guidance": 1.5}}: what it does not say is the preset's. Each trial prints one line of JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from noisette.data import Dataset
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.evaluation.metrics.kid import kid_interval
from noisette.evaluation.metrics.memorization import measure_memorization
from noisette.models.config import from_json, to_json
from noisette.sampling.generate import final_samples, generate
from noisette.training.plan import TrainingPlan, TrainOptions
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import Recipe
from noisette.training.run import TrainingRun


def merged(value: Any, change: Any) -> Any:
    """A JSON value with some of its leaves changed; an object that names its class replaces the old one."""
    if isinstance(value, Mapping) and isinstance(change, Mapping) and "is" not in change:
        return {**value, **{k: merged(value.get(k), v) for k, v in change.items()}}
    return change


def recipe_of(trial: Mapping[str, Any], data: Dataset) -> Recipe:
    recipe = to_json(PRESETS[trial.get("preset", "tiny")](data.pictures, data.sigma_data))
    for part in ("net", "sampling", "schedule", "parametrization"):
        if part in trial:
            recipe["model"][part] = merged(recipe["model"][part], trial[part])
    recipe["training"] = merged(recipe["training"], trial.get("training", {}))
    return from_json(Recipe, recipe, "trial")


def attempt(folder: Path, trial: Mapping[str, Any]) -> dict[str, Any]:
    """Train, draw as many pictures as are held out (a thousand at least), score."""
    data, accelerator = Dataset.open(folder), Accelerator(mixed_precision="no")
    recipe = recipe_of(trial, data)
    seed, precision = trial.get("seed", 0), trial.get("precision", "fp32")
    options = TrainOptions(images=trial["images"], seed=seed, save_every=1e9)
    batches = -(-trial["images"] // recipe.training.batch)
    plan = TrainingPlan(
        recipe, trial.get("preset", "tiny"), batches * recipe.training.batch, None, precision, 1, seed, None
    )  # fmt: skip
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        run = TrainingRun(Path(out), data, plan, options, accelerator, begin)
        exams: list[dict[str, float]] = []
        run.run(lambda p: exams.append(dict(p.held_out_loss)) if p.held_out_loss else None)
    spent, model = time.monotonic() - begin, run.state.ema.model
    n = max(1000, len(data.held_out))
    grid = model.grid()
    rows = torch.arange(n) % len(data.train)
    cond = data.train.condition(rows)
    known = cond if model.config.net.classes or model.config.net.vector else None
    x = final_samples(
        generate(model, range(n), known, model.sampler(), grid, model.config.sampling.guidance, 500), grid
    )
    drawn = data.pictures.decode_samples(x)
    features = EfficientNetExtractor()
    train = data.train.pixels(torch.arange(len(data.train)))
    score = kid_interval(
        features(drawn), features(data.held_out.pixels(torch.arange(len(data.held_out)))), resamples=50
    )
    return {
        **trial, "seconds": round(spent, 1), "parameters": sum(p.numel() for p in model.parameters()),
        "kid": round(1e3 * score.value, 2), "low": round(1e3 * score.low, 2), "high": round(1e3 * score.high, 2),
        "memorized": measure_memorization(drawn, train).share.value, "held_out": exams[-1] if exams else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--trials", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    trials = json.loads(args.trials.read_text())
    if args.only is not None:
        with args.out.open("a") as file:
            file.write(json.dumps(attempt(args.run, trials[args.only])) + "\n")
        return
    waiting, busy = list(range(len(trials))), []
    while waiting or busy:
        busy = [p for p in busy if p.poll() is None]
        while waiting and len(busy) < args.workers:
            words = [sys.executable, __file__, str(args.run), "--trials", str(args.trials), "--out", str(args.out)]
            busy.append(subprocess.Popen([*words, "--only", str(waiting.pop(0))]))
        time.sleep(0.2)


if __name__ == "__main__":
    main()
