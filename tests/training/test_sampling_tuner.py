"""The sampling that a run ends with: its model's own, the same after an interruption, paid for out of the run."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import noisette
from commands import SMALL
from masked import folder
from noisette.data import Dataset
from noisette.diffusion.gaussian_prior import NUM_COMPONENTS, SHRINKAGE
from noisette.io.metrics_log import read_metrics
from noisette.models.config import SamplingDefaults
from noisette.models.task import Segment, Task, Upscale
from noisette.sampling.candidates import GRID_STEP_COUNTS, SAMPLER, STEPS, TEMPERATURES
from noisette.training import TrainOptions, train
from noisette.training.prior import MAX_NUMBERS, fit_prior
from noisette.training.recipes.recipe import Recipe, TrainingConfig
from noisette.training.sampling_tuner import (
    MAX_PICTURES,
    OVERHEAD_SECONDS,
    SamplingTuner,
    make_score,
    measure_reference,
)

IMAGES = 128  # if as much is spent on the choice as on training, each candidate draws 4 pictures


def options(home: Path, **changes: Any) -> TrainOptions:
    """A short run of a small network."""
    recipe = home / "recipe.json"
    recipe.write_text(json.dumps(json.loads(Path(SMALL).read_text()) | {"training": {"fit": 1.0}}))
    return TrainOptions(images=IMAGES, batch=8, preset="tiny", precision="fp32", recipe=str(recipe), **changes)


@pytest.fixture(scope="module")
def fitted(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainOptions]:
    """A short run that spends as much on the grid as on training."""
    home = tmp_path_factory.mktemp("fitted")
    arguments = options(home, seed=3)
    train(sprites, home / "run", arguments)
    return home / "run", arguments


def test_a_run_ends_with_a_candidate_and_says_why(fitted: tuple[Path, TrainOptions]):
    sampling = noisette.load(fitted[0]).config.sampling
    assert (sampling.sampler, sampling.grid, sampling.steps) == (SAMPLER, "fitted", STEPS)
    assert sampling.temperature in TEMPERATURES
    assert [len(times) - 1 for times in sampling.fitted] == list(GRID_STEP_COUNTS)
    grid = noisette.load(fitted[0]).grid()
    assert len(grid) == STEPS + 1 and grid[-1] == 0 and (grid.diff() < 0).all()
    row = read_metrics(fitted[0] / "metrics.jsonl")[-1]
    assert row["sampling"]["temperature"] == sampling.temperature
    assert f"{SAMPLER}, {STEPS} steps, temperature {sampling.temperature:g}: the best of 5" in row["reason"]


def test_a_run_whose_end_was_lost_ends_the_same(fitted: tuple[Path, TrainOptions], sprites: Path, tmp_path: Path):
    run, options = fitted
    again = tmp_path / "run"
    shutil.copytree(run, again)
    shutil.rmtree(again / "model")
    train(sprites, again, options)
    assert (again / "model" / "config.json").read_bytes() == (run / "model" / "config.json").read_bytes()


def test_sampling_defaults_set_later_are_kept(fitted: tuple[Path, TrainOptions], sprites: Path, tmp_path: Path):
    run, options = fitted
    again = tmp_path / "run"
    shutil.copytree(run, again)
    noisette.load(again).save_sampling(again, SamplingDefaults("ddim", "karras", 5))
    train(sprites, again, options)
    assert noisette.load(again).config.sampling == SamplingDefaults("ddim", "karras", 5)


def test_it_costs_its_share_of_the_run():
    fitting = SamplingTuner(0.02, seed=0)
    for images in (20_000, 50_000, 100_000):
        seconds = images / 100
        assert (
            0.015 * seconds
            < fitting.estimate_seconds(images, images_per_second=100.0) - OVERHEAD_SECONDS
            <= 0.02 * seconds
        )
    assert fitting.picture_count(10**9) == MAX_PICTURES


def test_a_run_too_short_for_fitting_keeps_the_defaults_of_its_recipe(fitted: tuple[Path, TrainOptions]):
    model, data = noisette.load(fitted[0]), Dataset.open(fitted[0])
    before, short = model.config.sampling, SamplingTuner(0.02, seed=0)
    assert short.picture_count(1000) == 0 and short.estimate_seconds(1000, 100.0) == 0
    assert short(model, data.train, data.held_out, 1000) is None and model.config.sampling == before
    assert SamplingTuner(0.0, seed=0).picture_count(10**9) == 0


def test_what_is_found_does_not_depend_on_how_the_model_drew_before(fitted: tuple[Path, TrainOptions]):
    data, found = Dataset.open(fitted[0]), []
    for before in (SamplingDefaults(), SamplingDefaults("ddim", "karras", 5, temperature=0.8)):
        model = noisette.load(fitted[0])
        choice = SamplingTuner(1.0, seed=3)(model.with_sampling(before), data.train, data.held_out, IMAGES)
        assert choice is not None
        found.append(choice.sampling)
    assert found[0] == found[1] == noisette.load(fitted[0]).config.sampling


@pytest.mark.parametrize("task", [Upscale(2), Segment()])
def test_models_that_are_given_a_picture_end_alike(task: Task, tmp_path: Path):
    """Their trajectories have input pictures, and samples are compared with targets: masks with masks."""
    train(folder(tmp_path / "set", 160), tmp_path / "run", options(tmp_path, task=task))
    model, data = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run")
    sampling = model.config.sampling
    assert (sampling.sampler, sampling.grid, sampling.steps) == (SAMPLER, "fitted", STEPS) and model.prior is None
    held = torch.arange(len(data.held_out))
    x0, cond = model.config.task.make_example(data.held_out.images_and_masks(held), data.held_out.condition(held))
    noisy = x0 + 0.1 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    score = make_score(model, cond, measure_reference(model, data.train, data.held_out, 0))
    assert score(x0)[0] < score(noisy)[0]


def test_a_run_has_a_closed_form_for_high_noise(fitted: tuple[Path, TrainOptions], sprites: Path, tmp_path: Path):
    prior, data = noisette.load(fitted[0]).prior, Dataset.open(fitted[0])
    assert prior is not None and prior.config.groups == len(data.pictures.labels) + 1
    x0 = data.train.x0(torch.arange(len(data.train)))
    own = x0[data.train.labels == 0] if data.train.labels is not None else x0
    shrunk = (own.sum(0) + SHRINKAGE * x0.mean(0)) / (len(own) + SHRINKAGE)
    torch.testing.assert_close(prior.means[0], shrunk, atol=1e-4, rtol=0)
    plain = options(tmp_path, seed=3)
    path = Path(str(plain.recipe))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"training": {"gaussian_prior": False}}))
    train(sprites, tmp_path / "plain", plain)
    assert noisette.load(tmp_path / "plain").prior is None


def test_mirrored_pictures_count_as_pictures(fitted: tuple[Path, TrainOptions]):
    model, data = noisette.load(fitted[0]), Dataset.open(fitted[0])
    priors = [
        fit_prior(Recipe(model.config, TrainingConfig(gaussian_prior=True, flip=flip)), data.train, 0)
        for flip in (False, True)
    ]
    assert priors[0] is not None and priors[1] is not None
    torch.testing.assert_close(priors[1].means, (priors[0].means + priors[0].means.flip(-1)) / 2, atol=0.05, rtol=0)
    assert priors[1].means[-1].allclose(priors[1].means[-1].flip(-1), atol=1e-5)


def test_what_the_closed_form_ignores_raises_its_noise_level(fitted: tuple[Path, TrainOptions]):
    model, data = noisette.load(fitted[0]), Dataset.open(fitted[0])
    config = replace(model.config, net=replace(model.config.net, vector=2))
    ratios = []
    for changed in (model.config, config):
        prior = fit_prior(Recipe(changed, TrainingConfig(gaussian_prior=True)), data.train, 0)
        assert prior is not None
        ratios.append(prior.config.min_ratio)
    assert ratios[1] > 1.5 * ratios[0]


def test_a_closed_form_that_would_be_too_large_is_left_out(fitted: tuple[Path, TrainOptions]):
    model, data = noisette.load(fitted[0]), Dataset.open(fitted[0])
    training = TrainingConfig(gaussian_prior=True)
    numbers = (len(data.pictures.labels) + 1 + NUM_COMPONENTS) * math.prod(data.pictures.shape)
    many = MAX_NUMBERS // math.prod(data.pictures.shape) - NUM_COMPONENTS  # labels: one more than fits
    large = replace(model.config, net=replace(model.config.net, classes=many))
    assert numbers < MAX_NUMBERS and fit_prior(Recipe(model.config, training), data.train, 0) is not None
    assert fit_prior(Recipe(large, training), data.train, 0) is None
