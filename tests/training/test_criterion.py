"""Every loss of a recipe through a real training step; and that what it learns or remembers is resumed bit for bit."""

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch

import noisette
from commands import TINY, run_ranks
from noisette.diffusion import loss, parametrization, schedule
from noisette.diffusion.noise import make_generator
from noisette.errors import InputError
from noisette.models.picture_model import PictureModel
from noisette.training import TrainOptions, train
from noisette.training.criterion import build_criterion
from noisette.training.recipes.recipe import Recipe, TrainingConfig, build_optimizer
from tiny_models import tiny

CONFIG = tiny().config
SCHEDULES = [
    schedule.LinearBeta(40), schedule.Quadratic(40), schedule.Cosine(40), schedule.Sigmoid(40),
    schedule.GammaSigmoid(40), schedule.ZeroTerminalSNR(schedule.Cosine(40)),
    schedule.RectifiedFlow(), schedule.VarianceExploding(),
]  # fmt: skip
PARAMETRIZATIONS = [
    parametrization.Epsilon(), parametrization.X0(), parametrization.V(), parametrization.Flow(), parametrization.EDM(),
]  # fmt: skip
WEIGHTINGS = [loss.Simple(), loss.MinSNR(), loss.P2(), loss.EDMWeight(), loss.FlowMatching()]
TIMES = [
    loss.Steps(40),
    loss.Uniform(),
    loss.LogNormal(),
    loss.Stratified(loss.Steps(40)),
    loss.Stratified(loss.LogNormal()),
]
MEASURES = [loss.SquaredError(), loss.SquaredErrorAndVLB(), loss.VLB()]
KINDS = [{}, {"importance": True}, {"uncertainty": True}]


def recipe(process, p, weighting, times, measure, kind) -> Recipe:
    net = dataclasses.replace(CONFIG.net, out_channels=measure.out_channels(4))
    training = TrainingConfig(weighting=weighting, times=times, loss_spec=measure, **kind)
    return Recipe(dataclasses.replace(CONFIG, net=net, schedule=process, parametrization=p), training)


def sensible(process, p, measure, times, kind) -> bool:
    """Said a second time, so that neither too much nor too little is refused."""
    chain = isinstance(process, schedule.DiscreteSchedule)
    own = times in (loss.Steps(40), loss.Stratified(loss.Steps(40)))
    pure = isinstance(process, schedule.ZeroTerminalSNR | schedule.RectifiedFlow)
    if isinstance(p, parametrization.Epsilon) and pure:
        return False
    if not isinstance(measure, loss.SquaredError) and not (chain and own):
        return False
    return not kind.get("importance") or (chain and times == loss.Steps(40))


def step(made: Recipe) -> tuple[float, float]:
    """One optimizer step on one fixed batch; the loss before, and how far the weights moved."""
    torch.manual_seed(0)
    model = PictureModel(made.model)
    what = build_criterion(made, torch.device("cpu"))
    optimizer = build_optimizer(model, made, what.parameters.values())
    t = what.loss.times(what.loss.schedule, 3, make_generator("t"))
    x0, eps = torch.randn(2, 3, 4, 8, 8, generator=make_generator("x0"))
    before = [q.clone() for q in model.parameters()]
    values = what.loss(model, x0.clamp(-1, 1), t, eps, model.condition(["sword", None, "bread"], 3))
    assert values.shape == (3,)
    values.mean().backward()
    optimizer.step()
    what.update(t, values.detach())
    moved = max((a - b).abs().max().item() for a, b in zip(before, model.parameters(), strict=True))
    return values.mean().item(), moved


@pytest.mark.parametrize("process", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("p", PARAMETRIZATIONS, ids=lambda p: type(p).__name__)
def test_every_loss_takes_a_step_wherever_it_makes_sense(process, p) -> None:
    """A weighting each in turn, so that every pair of it with times and measures is met over the schedules."""
    cases = [*product(MEASURES, TIMES, KINDS)]
    turn = SCHEDULES.index(process) + PARAMETRIZATIONS.index(p)
    for i, (measure, times, kind) in enumerate(cases):
        weighting = WEIGHTINGS[(i + turn) % len(WEIGHTINGS)]
        if sensible(process, p, measure, times, kind):
            if (i + turn) % 3 == 0:
                value, moved = step(recipe(process, p, weighting, times, measure, kind))
                assert torch.tensor(value).isfinite() and 0 < moved < 0.01, (weighting, times, measure, kind)
            else:
                recipe(process, p, weighting, times, measure, kind)
        else:
            with pytest.raises(InputError):
                PictureModel(recipe(process, p, weighting, times, measure, kind).model)


# ── whole runs ────────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = {"net": {"channels": [8, 8], "groups": 4, "time_channels": 8, "blocks": 1}}
CHAIN = SMALL | {"schedule": {"is": "Cosine", "steps": 4}, "parametrization": {"is": "V"}}
EVEN = {"is": "Stratified", "times": {"is": "LogNormal"}}
RECIPES = {
    "importance": {"model": CHAIN, "training": {"times": {"is": "Steps", "steps": 4}, "importance": True,
                                                "measure": {"is": "SquaredErrorAndBound"}}},
    "uncertainty": {"model": SMALL, "training": {"uncertainty": True, "times": EVEN}},
}  # fmt: skip


def options(file: Path, **changes) -> TrainOptions:
    return TrainOptions(
        **({"preset": "tiny", "images": 160, "batch": 8, "precision": "fp32", "recipe": str(file)} | changes)
    )


@pytest.fixture(scope="module")
def train_whole(sprites, tmp_path_factory) -> Callable[[str], tuple[Path, Path]]:
    """The file of a recipe, and a run by it that nothing interrupts, trained once."""

    @cache
    def train_once(kind: str) -> tuple[Path, Path]:
        home = tmp_path_factory.mktemp(kind)
        file = home / "recipe.json"
        file.write_text(json.dumps(RECIPES[kind]))
        train(sprites, home / "whole", options(file))
        return file, home / "whole"

    return train_once


@pytest.mark.parametrize("kind", RECIPES)
def test_a_run_that_was_interrupted_ends_where_it_would_have_ended(kind, train_whole, sprites, tmp_path) -> None:
    """Losses that are remembered decide which times are drawn, and uncertainties weigh them: both are checkpointed."""
    file, whole = train_whole(kind)

    class Stopped(Exception):
        pass

    def stop(progress) -> None:
        if progress.images == 96:
            raise Stopped

    with pytest.raises(Stopped):
        train(sprites, tmp_path / "parts", options(file, save_every=1e-9), stop)
    parts = train(sprites, tmp_path / "parts", options(file, save_every=60))
    a, b = noisette.load(whole), noisette.load(parts)
    for name, value in a.net.state_dict().items():
        assert torch.equal(value, b.net.state_dict()[name]), name
    held_out = [
        [line for line in (run / "metrics.jsonl").read_text().splitlines() if "held_out" in line]
        for run in (whole, tmp_path / "parts")
    ]
    assert held_out[0] == held_out[1]
    drawn = a.sampler("ddpm-learned") if kind == "importance" else None
    assert (drawn is not None) == a.has_learned_variance


@pytest.mark.slow
def test_the_history_of_a_multistep_sampler_matters(sprites, tmp_path) -> None:
    """A run without importance ends elsewhere: the memory above is not idle."""
    ends = []
    for on in (True, False):
        overrides = json.loads(json.dumps(RECIPES["importance"]))
        overrides["training"]["importance"] = on
        overrides["training"]["measure"] = {"is": "SquaredError"}
        (tmp_path / "recipe.json").write_text(json.dumps(overrides))
        folder = train(sprites, tmp_path / str(on), options(tmp_path / "recipe.json"))
        ends.append(noisette.load(folder).net.state_dict())
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_two_processes_have_the_loss_history_and_uncertainty_of_one(kind, train_whole, sprites, tmp_path) -> None:
    file, whole = train_whole(kind)
    words = ("train", sprites, "--out", tmp_path / "two", "--images", "160", *TINY, "--recipe", file)
    done = run_ranks(*words)
    assert done.returncode == 0, done.stderr
    ends = [noisette.load(run).net.state_dict() for run in (whole, tmp_path / "two")]
    for key, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][key], rtol=2e-3, atol=2e-4)
