"""Configurations survive JSON, and refuse what they do not know by name."""

import dataclasses
import json

import pytest

from noisette.data.pictures import Pictures
from noisette.diffusion import loss, parametrization, schedule
from noisette.errors import InputError, suggest_names
from noisette.models.config import ModelConfig, SamplingDefaults, from_json, to_json
from noisette.models.picture_autoencoder import AutoencoderModelConfig
from noisette.models.registry import CONFIG_CLASSES
from noisette.nn.architecture import UNetConfig
from noisette.nn.autoencoder import AutoencoderConfig
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import Recipe, TrainingConfig

CONFIG = ModelConfig(
    net=UNetConfig(
        in_channels=4, out_channels=4, channels=(16, 32), attention=(False, True), groups=8, time_channels=16, classes=3
    ),
    schedule=schedule.Cosine(200),
    parametrization=parametrization.V(),
    pictures=Pictures("RGBA", 8, 12, labels=("food", "tool", "éclair"), binary_alpha=True),
    sampling=SamplingDefaults("ddim", "trailing", 20, 2.0),
)


def through_json(value):
    return from_json(type(value), json.loads(json.dumps(to_json(value))))


def test_a_model_survives_json():
    assert through_json(CONFIG) == CONFIG


@pytest.mark.parametrize("name", CONFIG_CLASSES)
def test_every_choice_survives_json(name):
    value = CONFIG_CLASSES[name]()
    assert through_json(value) == value
    assert to_json(value)["is"] == name


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    "pictures", [Pictures("RGBA", 16, 16, ("a", "b")), Pictures("L", 8, 8), Pictures("RGB", 24, 40)]
)
def test_every_preset_survives_json(name, pictures):
    recipe = PRESETS[name](pictures, 0.7)
    assert through_json(recipe) == recipe
    assert recipe.model.parametrization in (parametrization.EDM(0.7), parametrization.Epsilon())
    assert recipe.model.net.classes == len(pictures.labels)


def test_a_network_of_no_stated_kind_is_a_unet():
    """As in the folders that were written when there was one kind."""
    data = to_json(CONFIG)
    assert data["net"].pop("is") == "UNetConfig"
    assert from_json(ModelConfig, data) == CONFIG


def test_an_autoencoder_of_no_stated_kind_is_ours():
    """As it was written while there was no other."""
    config = AutoencoderModelConfig(AutoencoderConfig(latent_channels=3), "RGBA", (0.0,) * 3, (1.0,) * 3)
    data = to_json(config)
    assert data["net"].pop("is") == "AutoencoderConfig"
    assert from_json(AutoencoderModelConfig, data) == config
    with pytest.raises(InputError, match="is a UNetConfig: it should be a AutoencoderArchitecture"):
        from_json(AutoencoderModelConfig, data | {"net": to_json(CONFIG.net)})


def test_the_optional_fields_have_defaults():
    data = to_json(CONFIG)
    del data["sampling"]
    assert from_json(ModelConfig, data).sampling == SamplingDefaults()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(samplin={}), "'samplin'.*did you mean 'sampling'"),
        (lambda d: d.pop("net"), "lacks the key 'net'"),
        (lambda d: d["schedule"].update({"is": "Cosin"}), "'Cosin'.*did you mean 'Cosine'"),
        (lambda d: d["schedule"].update({"is": "V"}), "schedule is a V: it should be a Schedule"),
        (lambda d: d["schedule"].update(steps="many"), "schedule.steps is 'many': it should be int"),
        (lambda d: d["schedule"].update(steps=True), "schedule.steps is True: it should be int"),
        (lambda d: d["pictures"].update(mode="CMYK"), "pictures.mode is 'CMYK': it should be 'L' or"),
        (lambda d: d["pictures"].update(labels="food"), "pictures.labels is 'food'"),
        (lambda d: d.update(net=3), "net is 3"),
        (lambda d: d["net"].update({"is": "Cosine"}), "net is a Cosine: it should be a Architecture"),
        (lambda d: d["schedule"].pop("is"), 'schedule lacks the key "is"'),
        (lambda d: d["sampling"].update(sampler="huen"), "no sampler is called 'huen': did you mean 'heun'"),
        (lambda d: d["sampling"].update(steps=0), "steps must be 1 to 10000, got 0"),
    ],
)
def test_errors_name_the_field(change, says):
    data = to_json(CONFIG)
    change(data)
    with pytest.raises(InputError, match=says):
        from_json(ModelConfig, data)


def test_numbers_are_not_turned_into_others():
    assert from_json(loss.MinSNR, {"gamma": 5}).gamma == 5.0
    with pytest.raises(InputError, match="gamma"):
        from_json(loss.MinSNR, {"gamma": "5"})
    training = TrainingConfig(weighting=loss.MinSNR(4.0), times=loss.Steps(100))
    assert through_json(training) == training
    assert dataclasses.asdict(through_json(Recipe(CONFIG, training)).training)["lr"] == training.lr


def test_nearest_lists_when_nothing_is_near():
    assert suggest_names("zzz", ("food", "tool")) == ": there are food, tool"
    assert "'food'" in suggest_names("Fod", ("food", "tool"))
