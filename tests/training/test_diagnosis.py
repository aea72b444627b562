"""Each problem is found in a run that has it, and in no other run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from noisette.data.manifest import Manifest
from noisette.io.metrics_log import read_metrics
from noisette.training import Diverged, train
from noisette.training.diagnosis import find_problems
from noisette.training.run_log import RunLog

from .test_run import DIVERGES, options

LEVELS = ("low", "middle", "high", "highest")


def rows(
    held_out=lambda p: 0.5 + 0.5 * max(0.0, 0.4 - p),
    plain=lambda p: 1.05,
    gap=lambda p: 0.0,
    loss=lambda p: 0.5,
    high=lambda p: 0.0,
    evaluation=lambda p: {},
) -> list[dict[str, Any]]:
    """Rows with 20 held-out and 100 training losses, functions of progress. `plain`: a factor, `gap`: a share."""
    found: list[dict[str, Any]] = []
    for k in range(1, 101):
        p = k / 100
        found.append({"images": 1000 * k, "loss": loss(p), "lr": 1e-3})
        if k % 5:
            continue
        value = held_out(p)
        losses = {"all": value} | dict.fromkeys(LEVELS, value) | {"highest": value + high(p)}
        row: dict[str, Any] = {"images": 1000 * k, "held_out": losses}
        if k % 20 == 0:
            row |= {
                "raw_weights": {"all": plain(p) * value, "ema": value},
                "train": {"all": value * (1 - gap(p))},
                "gap": {"value": gap(p) * value, "error": 0.01},
            }
            found.append({"images": 1000 * k, "evaluation": healthy() | evaluation(p)})
        found.append(row)
    return found


def share(value: float, spread: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - spread), "high": value + spread}


def drifted(by: float, error: float = 0.005) -> dict[str, Any]:
    still = {"value": 0.001, "error": 0.005}
    return {"brightness": {"red": still, "alpha": {"value": by, "error": error}}, "contrast": {"red": still}}


def healthy() -> dict[str, Any]:
    kid = {"value": 200.0, "low": 180.0, "high": 230.0}
    return {
        "samples": 64,
        "kid": kid,
        "real_kid": kid,
        "copies": share(0.01),
        "held_out_copies": share(0.02),
        "drift": drifted(0),
    }


def names(found: list[dict[str, Any]], data: Manifest | None = None, **training: float) -> dict[str, str]:
    plan = {"recipe": {"training": {"lr": 1e-3, "ema": 0.03, **training}}}
    return {f.name: f"{f.measurement} | {f.advice}" for f in find_problems(RunLog(plan, found, data))}


def test_a_good_run_has_no_problem():
    assert names(rows()) == {}
    assert names([]) == {}
    assert names(rows(loss=lambda p: 0.5 + 0.3 * (round(100 * p) % 7 == 0))) == {}


MADE = {
    "loss spikes": (
        rows(loss=lambda p: 4.0 if p == 0.5 else 0.5),
        "1 row of metrics.jsonl with a loss of more than 3 times the losses around it; "
        "the highest is 8.0 times as large, after 50,000 images",
    ),
    "learning rate too high": (
        rows(plain=lambda p: 4.0 if p < 0.7 else 1.0),
        "the held-out loss is 2.4 with the weights themselves, and 0.6 with their average: "
        "at a learning rate of 0.001 the steps are too large",
    ),
    "average not warmed up": (
        rows(plain=lambda p: 0.8),
        "the held-out loss is 0.5 with the averaged weights, and 0.4 with the weights themselves",
    ),
    "stopped too early": (
        rows(held_out=lambda p: 1.5 - p),
        "the held-out loss was 29 % lower in the last quarter of the run than in the one before",
    ),
    "still improving at high noise": (
        rows(high=lambda p: 0.2 * (1 - p)),
        "in the last quarter of the run the held-out loss fell by 9 % at highest noise, "
        "and by 0 % over all noise levels",
    ),
    "memorizing since image 80,000": (
        rows(evaluation=lambda p: {"copies": share(0.3 if p > 0.7 else 0.02)}),
        "30 % of the samples are copies of training pictures; for held-out pictures this share is 2 %",
    ),
    "memorizing since image 60,000": (
        rows(gap=lambda p: 0.3 if p > 0.5 else 0.0),
        "the loss is 0.5 on held-out pictures, 0.35 on training pictures: 15 standard errors apart",
    ),
    "memorizing since image 30,000": (
        rows(held_out=lambda p: 0.5 + abs(p - 0.3)),
        "the held-out loss was lowest at that point, 0.5, and has risen to 1.2 since",
    ),
    "color drift": (
        rows(evaluation=lambda p: {"drift": drifted(-20 / 255)}),
        "on a scale of 0 to 255: alpha 20 levels too dark",
    ),
    "near duplicates on both sides": (
        rows(evaluation=lambda p: {"held_out_copies": share(0.4)}),
        "40 % of the held-out pictures have a near copy among the training pictures",
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_each_problem_is_found_alone(name: str):
    found, figure = MADE[name]
    problems = names(found)
    assert list(problems) == [name]
    assert figure in problems[name]


def test_what_is_within_its_error_is_no_fault():
    assert names(rows(evaluation=lambda p: {"drift": drifted(-20 / 255, error=0.04)})) == {}
    assert names(rows(evaluation=lambda p: {"copies": share(0.05, 0.04)})) == {}
    assert names(rows(evaluation=lambda p: {"copies": share(0.3 if p < 0.5 else 0.02)})) == {}  # and none at the end
    assert names(rows(gap=lambda p: 0.055)) == {}


# ── really trained ────────────────────────────────────────────────────────────────────────────────────────────────


def of_run(out: Path) -> dict[str, str]:
    plan = json.loads((out / "config.json").read_text())["plan"]
    rows = read_metrics(out / "metrics.jsonl")
    return {f.name: f.measurement for f in find_problems(RunLog(plan, rows, Manifest.read(out / "data.json")))}


def test_a_run_that_diverged(sprites: Path, tmp_path: Path):
    with pytest.raises(Diverged):
        train(sprites, tmp_path / "run", options(**DIVERGES, images=400))
    assert "not finite at step" in of_run(tmp_path / "run")["not a number"]


def test_few_pictures_and_rare_labels(sprites: Path, tmp_path: Path):
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(1)
    for label, n in (("common", 30), ("rare", 4)):
        (folder / label).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)).save(folder / label / f"{i}.png")
    train(folder, tmp_path / "run", options(images=64))
    found = of_run(tmp_path / "run")
    n = sum(f.split == "train" for f in Manifest.read(tmp_path / "run" / "data.json").files)
    assert found["too few pictures"] == f"{n} training pictures, and each was seen 2 times in training"
    assert "1 label of 2 with fewer than 8 training pictures: rare (" in found["labels too rare"]

    train(sprites, tmp_path / "other", options(images=64))
    assert "labels too rare" not in of_run(tmp_path / "other")


def test_enough_pictures(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "run", options(images=16))
    data = Manifest.read(tmp_path / "run" / "data.json")
    assert "too few pictures" in names(rows(), data)
    files = tuple(replace(f, row=i, label="food", split="train") for i in range(200) for f in data.files[:1])
    many = replace(data, files=files, pictures=replace(data.pictures, labels=("food",)))
    assert names(rows(), many) == {}
