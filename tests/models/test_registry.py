"""One's own classes: registered once, they are used by name, saved and loaded; nothing else comes back instead."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import noisette
from noisette.data.builtin import BUILT_IN
from noisette.data.entry import Entry, Source
from noisette.data.source import open_source
from noisette.diffusion import grid, loss, parametrization, sampler
from noisette.diffusion.schedule import Schedule
from noisette.errors import InputError
from noisette.models import registry
from noisette.models.config import ModelConfig, SamplingDefaults, from_json, to_json
from noisette.models.task import Draw, Task
from noisette.nn.architecture import Architecture
from tiny_models import tiny


@pytest.fixture(autouse=True)
def tables_as_they_were():
    """What a test registers is gone after it."""
    tables = [*registry.TABLES.values(), registry.NETWORKS, registry.MODULES, registry._TITLES]
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@dataclasses.dataclass(frozen=True)
class Straight(Schedule):
    """α = 1 - t, σ = t^power: somebody's own."""

    power: float = 1.0

    def __call__(self, t):
        return 1 - t, t**self.power

    def noise_label(self, t):
        return 1000 * t

    def time_at_ratio(self, ratio):
        raise NotImplementedError


def own_class(base: type, name: str, **fields: object) -> type:
    """A frozen dataclass derived from one of ours, with its own module."""
    cls = dataclasses.dataclass(frozen=True)(type(name, (base,), {"__module__": __name__, **fields}))
    cls.__qualname__ = name
    return cls


def with_schedule(schedule: Schedule):
    model = tiny()
    model.config = dataclasses.replace(model.config, schedule=schedule)
    return model


def test_a_model_with_one_s_own_schedule_is_saved_and_loaded(tmp_path: Path) -> None:
    noisette.register(Straight)
    with_schedule(Straight(2.0)).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())["model"]["schedule"]
    assert written == {"is": "Straight", "from": __name__, "power": 2.0}
    assert noisette.load(tmp_path).config.schedule == Straight(2.0)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not registered.* call noisette.register\(Straight\) before saving"):
        with_schedule(Straight()).save_pretrained(tmp_path / "model")
    cosine = own_class(Straight, "Cosine")()
    with pytest.raises(InputError, match="the registered Cosine is another class"):
        with_schedule(cosine).save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert "from" not in to_json(tiny().config)["schedule"]


def test_loading_names_the_module_to_import_and_imports_nothing(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "my_schedules.py").write_text(
        "from dataclasses import dataclass\nimport noisette\nfrom noisette.diffusion.schedule import RectifiedFlow\n"
        "@noisette.register\n@dataclass(frozen=True)\nclass Mine(RectifiedFlow):\n    power: float = 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("my_schedules")
    data = to_json(with_schedule(mine.Mine()).config)
    again = importlib.reload(mine)  # the same class, registered twice
    assert from_json(ModelConfig, data).schedule == again.Mine() and to_json(mine.Mine())["from"] == "my_schedules"
    del registry.CONFIG_CLASSES["Mine"], registry.MODULES["class", "Mine"], sys.modules["my_schedules"]
    with pytest.raises(
        InputError, match=r"'Mine' \(at config.schedule\) is not registered here: import my_schedules, wh"
    ):
        from_json(ModelConfig, data)
    assert "my_schedules" not in sys.modules


def test_names_are_taken_once() -> None:
    with pytest.raises(InputError, match="'Cosine' belongs to noisette"):
        noisette.register(own_class(Straight, "Cosine"))
    with pytest.raises(InputError, match="Bound belongs to older files"):
        noisette.register(own_class(Straight, "Bound"))
    noisette.register(own_class(Straight, "Mine"))
    noisette.register(own_class(Straight, "Mine"))
    other = own_class(Straight, "Mine")
    other.__module__ = "elsewhere"
    with pytest.raises(InputError, match="'Mine' is taken by Mine of"):
        noisette.register(other)
    data = {"is": "Mine", "from": "elsewhere", "power": 1.0}
    with pytest.raises(InputError, match=r"Mine of elsewhere, and the Mine that is registered here is of"):
        from_json(Schedule, data)
    with pytest.raises(InputError, match="the Cosine that is registered here is one of noisette"):
        from_json(Schedule, {"is": "Cosine", "from": "elsewhere"})
    with pytest.raises(InputError, match="'ddim' belongs to noisette"):
        noisette.register(sampler.Heun, name="ddim")


def test_every_kind_of_class_survives_json() -> None:
    kinds = (
        (parametrization.V, parametrization.Parametrization), (loss.MinSNR, loss.Weighting),
        (loss.Uniform, loss.TimestepSampler), (loss.SquaredError, loss.LossSpec),
    )  # fmt: skip
    for base, kind in kinds:
        cls = noisette.register(own_class(base, f"My{base.__name__}"))
        assert from_json(kind, json.loads(json.dumps(to_json(cls())))) == cls()


class HalfStep(sampler.DDIM):
    """Somebody's own sampler."""


def middle(schedule: Schedule, steps: int) -> torch.Tensor:
    """Somebody's own grid."""
    return grid.uniform(steps) ** 2


def test_samplers_and_grids_by_name(tmp_path: Path) -> None:
    noisette.register(HalfStep, name="half-step")
    noisette.register(middle, name="middle", kind="grid")
    model = tiny()
    assert isinstance(model.sampler("half-step"), HalfStep)
    assert torch.equal(model.grid(4, "middle"), grid.uniform(4) ** 2)
    model.with_sampling(SamplingDefaults("half-step", "middle", 3)).save_pretrained(tmp_path)
    assert noisette.load(tmp_path).config.sampling == SamplingDefaults("half-step", "middle", 3)
    del registry.SAMPLERS["half-step"], registry.MODULES["sampler", "half-step"]
    with pytest.raises(InputError, match=f"sampler 'half-step' .*is not registered here: import {__name__}, which"):
        noisette.load(tmp_path)


def test_functions_say_what_they_make() -> None:
    with pytest.raises(InputError, match="is a function: say what it makes with kind="):
        noisette.register(middle)
    with pytest.raises(InputError, match="is a lambda"):
        noisette.register(lambda: sampler.DDIM(0.5), name="mine", kind="sampler")
    with pytest.raises(InputError, match="is not a dataclass"):
        noisette.register(type("Plain", (Straight,), {}))
    with pytest.raises(InputError, match="lacks __call__"):
        noisette.register(own_class(Schedule, "Half"))


class OwnNet(nn.Module):
    def __init__(self, config) -> None:
        super().__init__()
        self.conv = nn.Conv2d(config.in_channels, config.out_channels, config.width, padding="same")

    def forward(self, x, label, cond=None):
        return self.conv(x)


def test_a_network_and_its_config(tmp_path: Path) -> None:
    config = own_class(
        Architecture, "OwnConfig", width=3, size_multiple=property(lambda self: 1), __annotations__={"width": int}
    )
    with pytest.raises(InputError, match="give network="):
        noisette.register(config)
    noisette.register(config, network=OwnNet)
    plain = tiny("L", ()).config
    model = noisette.PictureModel(dataclasses.replace(plain, net=config(in_channels=1, out_channels=1, width=5)))
    model.save_pretrained(tmp_path)
    again = noisette.load(tmp_path)
    assert isinstance(again.net, OwnNet) and again.config.net.width == 5
    assert torch.equal(again.net.conv.weight, model.net.conv.weight)


def test_a_task_by_its_name_on_the_command_line() -> None:
    mine = noisette.register(own_class(Draw, "Sketch"), name="sketch")
    assert registry.TASKS["sketch"] is mine and from_json(Task, to_json(mine())) == mine()


def test_a_source_by_its_name() -> None:
    def read() -> np.ndarray:
        return np.zeros((8, 8, 3), dtype=np.uint8)

    def squares() -> Source:
        return Source("squares", "own", (Entry("a", read),))

    noisette.register(squares, kind="source")
    assert "squares" in BUILT_IN and open_source("squares").entries[0].name == "a"
