"""The grid that a run ends with: of its model's own, the same after an interruption, and paid for out of the run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import noisette
from commands import SMALL
from masked import folder
from noisette.config import Sampling
from noisette.data import Dataset
from noisette.task import Segment, Task, Upscale
from noisette.train import TrainOptions, train
from noisette.train.fitting import COOLEST, MOST, NUMBERS, OTHERS, SAMPLER, STEPS, Fitting, temperature


def options(home: Path, **changes: Any) -> TrainOptions:
    """A short run of a small network."""
    recipe = home / "recipe.json"
    recipe.write_text(json.dumps(json.loads(Path(SMALL).read_text()) | {"training": {"fit": 1.0}}))
    return TrainOptions(images=96, batch=8, preset="tiny", precision="fp32", recipe=str(recipe), **changes)


@pytest.fixture(scope="module")
def fitted(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainOptions]:
    """A short run that spends as much on the grid as on training."""
    home = tmp_path_factory.mktemp("fitted")
    told = options(home, seed=3)
    train(sprites, home / "run", told)
    return home / "run", told


def test_a_run_ends_with_a_grid_of_its_models_own(fitted: tuple[Path, TrainOptions]):
    sampling = noisette.load(fitted[0]).config.sampling
    assert (sampling.sampler, sampling.grid, sampling.steps) == (SAMPLER, "fitted", STEPS)
    assert [len(times) - 1 for times in sampling.fitted] == list(NUMBERS)
    assert COOLEST <= sampling.temperature <= 1
    grid = noisette.load(fitted[0]).grid()
    assert len(grid) == STEPS + 1 and grid[-1] == 0 and (grid.diff() < 0).all()
    karras = noisette.load(fitted[0]).grid(STEPS, "karras")
    assert grid[0] == karras[0] and not torch.equal(grid, karras)


def test_a_run_whose_end_was_lost_ends_the_same(fitted: tuple[Path, TrainOptions], sprites: Path, tmp_path: Path):
    run, options = fitted
    again = tmp_path / "run"
    shutil.copytree(run, again)
    shutil.rmtree(again / "model")
    train(sprites, again, options)
    assert (again / "model" / "config.json").read_bytes() == (run / "model" / "config.json").read_bytes()


def test_a_model_that_was_told_otherwise_keeps_it(fitted: tuple[Path, TrainOptions], sprites: Path, tmp_path: Path):
    run, options = fitted
    again = tmp_path / "run"
    shutil.copytree(run, again)
    noisette.load(again).keep_sampling(again, Sampling("ddim", "karras", 5))
    train(sprites, again, options)
    assert noisette.load(again).config.sampling == Sampling("ddim", "karras", 5)


def test_it_costs_its_share_of_the_run():
    fitting = Fitting(0.02, seed=0)
    for images in (10_000, 30_000, 60_000):
        seconds = images / 100
        assert 0.015 * seconds < fitting.seconds(images, rate=100.0) - OTHERS <= 0.02 * seconds
    assert fitting.pictures(10**9) == MOST


def test_a_run_that_cannot_pay_for_it_draws_as_its_recipe_says(fitted: tuple[Path, TrainOptions]):
    model, data = noisette.load(fitted[0]), Dataset.open(fitted[0])
    before, short = model.config.sampling, Fitting(0.02, seed=0)
    assert short.pictures(1000) == 0 and short.seconds(1000, 100.0) == 0
    assert short(model, data.train, data.held_out, 1000).config.sampling == before
    assert Fitting(0.0, seed=0).pictures(10**9) == 0


def test_what_is_found_does_not_depend_on_how_the_model_drew_before(fitted: tuple[Path, TrainOptions]):
    data, found = Dataset.open(fitted[0]), []
    for before in (Sampling(), Sampling("ddim", "karras", 5, temperature=0.8)):
        model = noisette.load(fitted[0])
        model.config = replace(model.config, sampling=before)
        found.append(Fitting(1.0, seed=3)(model, data.train, data.held_out, 96).config.sampling)
    assert found[0] == found[1] == noisette.load(fitted[0]).config.sampling


@pytest.mark.parametrize("task", [Upscale(2), Segment()])
def test_models_that_are_given_a_picture_end_alike(task: Task, tmp_path: Path):
    """Their walks are told of pictures, and what they draw is compared with what they should draw: masks with masks."""
    train(folder(tmp_path / "set", 160), tmp_path / "run", options(tmp_path, task=task))
    model, data = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run")
    sampling = model.config.sampling
    assert (sampling.sampler, sampling.grid, sampling.steps) == (SAMPLER, "fitted", STEPS)
    assert sampling.temperature == COOLEST  # after 12 steps it leaves most of its noise
    held = torch.arange(len(data.held_out))
    x0, _ = model.config.task.pose(data.held_out.layers(held), data.held_out.condition(held))
    noisy = model.pictures.decode(x0 + 0.1 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)))
    assert temperature(model, data.train, data.held_out, model.pictures.decode(x0), 0) == 1
    assert temperature(model, data.train, data.held_out, noisy, 0) < 1
