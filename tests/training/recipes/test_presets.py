"""Recipes: what goes together, and what a file may say otherwise."""

import json

import pytest

from noisette.data.pictures import Pictures
from noisette.diffusion import loss, parametrization, schedule
from noisette.errors import InputError
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import apply_overrides

BASE = PRESETS["tiny"](Pictures("RGBA", 8, 8), 0.6)
CHAIN = {"schedule": {"is": "Cosine", "steps": 50}, "parametrization": {"is": "V"}}
STEPS = {"is": "Steps", "steps": 50}


@pytest.fixture
def load_recipe(tmp_path):
    def load(overrides):
        (tmp_path / "recipe.json").write_text(json.dumps(overrides))
        return apply_overrides(BASE, str(tmp_path / "recipe.json"))

    return load


def test_overrides_may_be_partial(load_recipe) -> None:
    assert load_recipe({}) == BASE
    assert load_recipe({"training": {"lr": 2e-4}}).training.lr == 2e-4
    other = load_recipe({"training": {"times": {"is": "Stratified", "times": {"is": "LogNormal"}}}, "model": CHAIN})
    assert other.training.times == loss.Stratified(loss.LogNormal()) and other.model.schedule == schedule.Cosine(50)
    assert other.model.parametrization == parametrization.V() and other.model.net == BASE.model.net
    assert load_recipe(
        {"model": {"parametrization": {"sigma_data": 0.9}}}
    ).model.parametrization == parametrization.EDM(0.9)
    assert load_recipe({"model": {"net": {"dropout": 0.2}}}).model.net.dropout == 0.2


def test_a_loss_sets_the_output_channels(load_recipe) -> None:
    hybrid = load_recipe({"model": CHAIN, "training": {"times": STEPS, "measure": {"is": "SquaredErrorAndBound"}}})
    assert hybrid.model.net.out_channels == 8
    assert isinstance(hybrid.build_loss(), loss.HybridLoss) and hybrid.build_loss().steps == 50
    even = {"is": "Stratified", "times": STEPS}
    bound = load_recipe({"model": CHAIN, "training": {"times": even, "measure": {"is": "Bound"}}}).build_loss()
    assert isinstance(bound, loss.VariationalLoss) and bound.times == loss.Stratified(loss.Steps(50))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            {"training": {"measure": {"is": "Bound"}}},
            "a discrete schedule such as LinearBeta.*got VarianceExploding with the times LogNormal",
        ),
        (
            {"model": CHAIN, "training": {"measure": {"is": "Bound"}, "times": {"is": "Steps"}}},
            r"its times: Steps\(50\), got",
        ),
        ({"model": CHAIN, "training": {"importance": True}}, r"its times: Steps\(50\), got"),
        ({"model": CHAIN, "training": {"importance": True, "uncertainty": True}}, "choose one of them"),
        (
            {"model": CHAIN, "training": {"importance": True, "times": {"is": "Stratified", "times": STEPS}}},
            "cannot be Stratified",
        ),
        ({"training": {"wieghting": {}}}, "did you mean 'weighting'"),
        ({"training": {"times": {"is": "LogNorml"}}}, "did you mean 'LogNormal'"),
        ({"model": {"pictures": {}}}, "sets model.pictures"),
        ({"model": 5}, "has 5 as its model"),
        ({"model": None}, "has None as its model"),
        ({"model": {"net": "big"}}, "has 'big' as its net"),
        ({"training": [1]}, "as its training"),
        ({"training": {"beta2": 2}}, "training.beta2 must be 0 or more, below 1, got 2"),
        ({"training": {"clip": -1}}, "training.clip must be above 0, got -1"),
        ({"training": {"lr": float("nan")}}, "the number NaN is not finite"),
        ([], "should be a JSON object"),
    ],
)
def test_what_does_not_go_together_is_refused(load_recipe, overrides, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_recipe(overrides)


def test_former_names_of_fields_are_understood(load_recipe) -> None:
    """Files of version 0.1.0, whose keys had other names, at every depth; a file with both names is refused."""
    former = {"floor": 0.5, "forget": 0.2, "fit": 0.1}
    assert load_recipe({"training": former}) == load_recipe(
        {"training": {"min_lr_ratio": 0.5, "cond_dropout": 0.2, "grid_fit_share": 0.1}}
    )
    bound = {"measure": {"is": "SquaredErrorAndBound", "share": 0.01}, "times": STEPS}
    today = {"loss_spec": {"is": "SquaredErrorAndVLB", "vlb_weight": 0.01}, "times": STEPS}
    assert load_recipe({"model": CHAIN, "training": bound}) == load_recipe({"model": CHAIN, "training": today})
    dit = PRESETS["dit-tiny"](Pictures("RGBA", 8, 8), 0.6)
    assert apply_overrides(dit, {"model": {"net": {"widening": 3}}}).model.net.mlp_ratio == 3
    with pytest.raises(InputError, match="'floor'"):
        load_recipe({"training": {"floor": 0.5, "min_lr_ratio": 0.5}})


def test_a_recipe_is_a_file_or_a_dict(load_recipe) -> None:
    assert apply_overrides(BASE, {"training": {"lr": 2e-4}}) == load_recipe({"training": {"lr": 2e-4}})
    with pytest.raises(InputError, match=r"the recipe sets model\.pictures"):
        apply_overrides(BASE, {"model": {"pictures": {}}})
