"""Autoguidance that is trained into the network in the last part of a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import noisette
from commands import SMALL
from noisette.diffusion.loss import AutoguidedLoss, Objective
from noisette.diffusion.noise import make_generator
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.models.picture_model import PictureModel
from noisette.models.task import Upscale
from noisette.training import TrainOptions, train
from noisette.training.autoguidance import EXTRA_COST, Autoguidance
from noisette.training.callbacks import TrainingStep
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import Recipe, TrainingConfig, adapt_to_task, apply_overrides
from tiny_models import tiny

RECIPE = json.loads(Path(SMALL).read_text()) | {"training": {"autoguidance": 2.0, "autoguidance_share": 0.5}}
OPTIONS = TrainOptions(preset="tiny", images=96, batch=8, precision="fp32", save_every=0.0, recipe=RECIPE)


@pytest.fixture
def small_model() -> PictureModel:
    return tiny()


@pytest.fixture(scope="module")
def whole(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guided") / "run"
    train(sprites, folder, OPTIONS)
    return folder


@pytest.fixture(scope="module")
def plain(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without guidance."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    train(sprites, folder, replace(OPTIONS, recipe=RECIPE | {"training": {"autoguidance": 1.0}}))
    return folder


def guidance_with(**settings: float) -> Autoguidance:
    return Autoguidance(Recipe(tiny().config, TrainingConfig(**settings)))


def losses(run: Path) -> list[float]:
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row["last"] for row in rows if "last" in row]


def test_the_loss_is_guided_in_the_last_part(small_model: PictureModel):
    guidance = guidance_with(autoguidance=2.0, autoguidance_share=0.25)
    loss = Objective(small_model.schedule, small_model.parametrization)
    assert guidance.loss(loss, 0.9) is loss  # nothing to guide away from yet
    guidance.take_snapshot(small_model, TrainingStep(64, 0.2, 0.3))  # not at its moment
    assert guidance.reference is None
    guidance.take_snapshot(small_model, TrainingStep(64, 0.1, 0.12))
    assert guidance.loss(loss, 0.74) is loss
    guided = guidance.loss(loss, 0.75)
    assert isinstance(guided, AutoguidedLoss) and guided.loss is loss and guided.scale == 2
    first = guidance.reference
    guidance.take_snapshot(
        small_model, TrainingStep(64, 0.1, 0.12)
    )  # of a run that was made longer: the first one stays
    assert guidance.reference is first


def test_the_reference_stays_as_it_was_taken(small_model: PictureModel):
    guidance = guidance_with(autoguidance=2.0)
    guidance.take_snapshot(small_model, TrainingStep(64, 0.0, 0.2))
    before = {name: value.clone() for name, value in guidance.tensors().items()}
    with torch.no_grad():
        for parameter in small_model.net.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in guidance.tensors().items())
    assert not any(p.requires_grad for p in guidance.reference.parameters())


def test_the_expected_slowdown_is_the_mean_of_the_steps_that_are_left():
    guidance = guidance_with(autoguidance=2.0, autoguidance_share=0.3)
    for progress in (0.0, 0.5, 0.69):
        steps = progress + (1 - progress) * (torch.arange(10_000) + 0.5) / 10_000
        costs = torch.where(steps < 0.7, 1.0, 1 + EXTRA_COST)
        assert guidance.slowdown(progress) == pytest.approx(costs.mean().item(), abs=1e-3)
    assert guidance.slowdown(0.7) == 1  # all steps are like those of now
    assert guidance_with().slowdown(0.0) == 1


def test_the_reference_is_the_early_snapshot(whole: Path):
    newest = checkpoint.read(checkpoint.list_checkpoints(whole)[-1])
    early = noisette.load(whole / "early").net.state_dict()
    saved = newest.read_tensors("autoguidance")
    assert saved.keys() == early.keys() and all(torch.equal(saved[name], early[name]) for name in saved)


def test_a_run_without_it_is_the_same_up_to_that_part_and_another_one_after(whole: Path, plain: Path):
    guided, unguided = losses(whole), losses(plain)
    assert guided[:6] == unguided[:6] and guided[6] != unguided[6]  # 12 steps, the second half of them guided
    newest = checkpoint.read(checkpoint.list_checkpoints(plain)[-1])
    assert "autoguidance" not in newest.parts


@pytest.mark.parametrize("after", [4, 9], ids=["before it", "within it"])
def test_a_run_that_is_interrupted_ends_with_the_same_weights(whole: Path, sprites: Path, tmp_path: Path, after: int):
    """And needs RUN/early no more, once a checkpoint has the reference."""
    seen = 0

    class Stop(Exception):
        pass

    def stop(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == after:
            raise Stop

    with pytest.raises(Stop):
        train(sprites, tmp_path / "run", OPTIONS, stop)
    for file in (tmp_path / "run" / "early").iterdir():
        file.unlink()
    train(sprites, tmp_path / "run", OPTIONS)
    assert losses(tmp_path / "run") == losses(whole)
    ours, theirs = (noisette.load(run).net.state_dict() for run in (tmp_path / "run", whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_guidance_sharpens_what_is_predicted(whole: Path, plain: Path):
    """The same run without guidance predicts x0 that are closer to those of the early snapshot."""
    guided, unguided, early = (noisette.load(path) for path in (whole, plain, whole / "early"))
    x = torch.randn(64, *guided.pictures.shape, generator=make_generator("noisy pictures"))
    t = torch.tensor(1 / 80, dtype=torch.float64)
    cond = guided.condition(list(guided.pictures.labels) * 32, 64)
    x0 = [model.given(cond)(x, t).x0 for model in (guided, unguided, early)]
    assert (x0[0] - x0[2]).square().mean() > (x0[1] - x0[2]).square().mean()


def test_presets_use_it_for_pictures_but_not_for_models_with_an_input_or_a_learned_variance(small_model: PictureModel):
    recipe = PRESETS["tiny"](small_model.pictures, 0.5)
    assert Autoguidance(recipe).is_used
    assert not Autoguidance(adapt_to_task(recipe, Upscale(2))).is_used
    learned = apply_overrides(PRESETS["iddpm-cifar10"](small_model.pictures, 0.5), {"training": {"autoguidance": 2.0}})
    assert learned.training.autoguidance == 2 and not Autoguidance(learned).is_used
    assert not Autoguidance(PRESETS["ddpm-cifar10"](small_model.pictures, 0.5)).is_used


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"autoguidance": 0.5}, "training.autoguidance must be 1 to 8, got 0.5"),
        ({"autoguidance": float("nan")}, "training.autoguidance must be 1 to 8"),
        ({"autoguidance_share": 0.9}, "training.autoguidance_share must be 0 to 0.8, got 0.9"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, float], words: str):
    with pytest.raises(InputError, match=words):
        TrainingConfig(**changes)
