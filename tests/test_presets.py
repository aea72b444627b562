"""Recipes: what goes together, and what a file may say otherwise."""

import json

import pytest

from noisette import loss, parametrization, schedule
from noisette.errors import InputError
from noisette.pictures import Pictures
from noisette.presets import PRESETS
from noisette.recipe import overlaid

BASE = PRESETS["tiny"](Pictures("RGBA", 8, 8), 0.6)
CHAIN = {"schedule": {"is": "Cosine", "steps": 50}, "parametrization": {"is": "V"}}
STEPS = {"is": "Steps", "steps": 50}


@pytest.fixture
def laid(tmp_path):
    def lay(said):
        (tmp_path / "recipe.json").write_text(json.dumps(said))
        return overlaid(BASE, str(tmp_path / "recipe.json"))

    return lay


def test_says_as_little_as_one_likes(laid) -> None:
    assert laid({}) == BASE
    assert laid({"training": {"lr": 2e-4}}).training.lr == 2e-4
    other = laid({"training": {"times": {"is": "Stratified", "times": {"is": "LogNormal"}}}, "model": CHAIN})
    assert other.training.times == loss.Stratified(loss.LogNormal()) and other.model.schedule == schedule.Cosine(50)
    assert other.model.parametrization == parametrization.V() and other.model.net == BASE.model.net
    assert laid({"model": {"parametrization": {"sigma_data": 0.9}}}).model.parametrization == parametrization.EDM(0.9)
    assert laid({"model": {"net": {"dropout": 0.2}}}).model.net.dropout == 0.2


def test_a_loss_brings_the_channels_that_it_needs(laid) -> None:
    hybrid = laid({"model": CHAIN, "training": {"times": STEPS, "measure": {"is": "SquaredErrorAndBound"}}})
    assert hybrid.model.net.out_channels == 8
    assert isinstance(hybrid.loss(), loss.Hybrid) and hybrid.loss().steps == 50
    even = {"is": "Stratified", "times": STEPS}
    bound = laid({"model": CHAIN, "training": {"times": even, "measure": {"is": "Bound"}}}).loss()
    assert isinstance(bound, loss.Variational) and bound.times == loss.Stratified(loss.Steps(50))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"training": {"measure": {"is": "Bound"}}}, "VarianceExploding with LogNormal.*choose a chain"),
        (
            {"model": CHAIN, "training": {"measure": {"is": "Bound"}, "times": {"is": "Steps"}}},
            r"the times Steps\(50\)",
        ),
        ({"model": CHAIN, "training": {"importance": True}}, r"the times Steps\(50\)"),
        ({"model": CHAIN, "training": {"importance": True, "uncertainty": True}}, "choose one of them"),
        (
            {"model": CHAIN, "training": {"importance": True, "times": {"is": "Stratified", "times": STEPS}}},
            "cannot be stratified",
        ),
        ({"training": {"wieghting": {}}}, "did you mean 'weighting'"),
        ({"training": {"times": {"is": "LogNorml"}}}, "did you mean 'LogNormal'"),
        ({"model": {"pictures": {}}}, "sets model.pictures"),
        ({"model": 5}, "has 5 as its model"),
        ({"model": None}, "has None as its model"),
        ({"model": {"net": "big"}}, "has 'big' as its net"),
        ({"training": [1]}, "as its training"),
        ({"training": {"beta2": 2}}, "training.beta2 is 2.*below 1"),
        ({"training": {"clip": -1}}, "training.clip is -1.*above 0"),
        ({"training": {"lr": float("nan")}}, "training.lr is nan"),
        ([], "should be an object of JSON"),
    ],
)
def test_what_does_not_go_together_is_refused(laid, said, says: str) -> None:
    with pytest.raises(InputError, match=says):
        laid(said)
