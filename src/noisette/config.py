"""Configurations: frozen dataclasses, to JSON and back, and the one table of names.

A field that may hold one of several classes is written with the class's name:
{"schedule": {"is": "Cosine", "steps": 1000}}. That name, and the names of samplers and grids below, are the only
strings that choose code. Unknown keys and wrong types are refused by name; an absent field takes its default.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from . import grid, loss, parametrization, posterior, sampler, schedule
from .errors import InputError, known, nearest
from .nn.architecture import Architecture, UNetConfig
from .nn.context_unet import ContextUNetConfig
from .nn.dit import DiTConfig
from .nn.linear_attention import LinearAttentionUNetConfig
from .pictures import Pictures
from .shapes import Grid
from .task import Draw, Segment, Task, Upscale

T = TypeVar("T")

CHOICES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        schedule.LinearBeta, schedule.Cosine, schedule.Quadratic, schedule.Sigmoid, schedule.GammaSigmoid,
        schedule.GivenBetas, schedule.ZeroTerminalSNR, schedule.RectifiedFlow, schedule.VarianceExploding,
        parametrization.Epsilon, parametrization.X0, parametrization.V, parametrization.Flow, parametrization.EDM,
        loss.Simple, loss.MinSNR, loss.P2, loss.EDMWeight, loss.FlowMatching,
        loss.Steps, loss.Uniform, loss.LogNormal, loss.Stratified,
        loss.SquaredError, loss.SquaredErrorAndBound, loss.Bound,
        UNetConfig, ContextUNetConfig, DiTConfig, LinearAttentionUNetConfig,
        Draw, Upscale, Segment,
    )
}  # fmt: skip

UNSAID: dict[type, type] = {Architecture: UNetConfig}  # what it is where no "is" says so: once there was one kind

SAMPLERS: dict[str, Callable[[], sampler.Sampler]] = {
    "ddpm": sampler.DDPM,
    "ddpm-large": lambda: sampler.DDPM(posterior.FixedLarge()),
    "ddpm-learned": lambda: sampler.DDPM(posterior.LearnedRange()),
    "ddpm-no-noise": lambda: sampler.DDPM(added=0.0),
    "ddim": sampler.DDIM,
    "ddim-half": lambda: sampler.DDIM(eta=0.5),
    "euler": sampler.DDIM,  # on the probability-flow ODE they are one
    "heun": sampler.Heun,
    "heun-churned": lambda: sampler.Churned(sampler.Heun()),
    "dpm++2m": sampler.DPMSolver2M,
    "dpm++3m": sampler.DPMSolver3M,
    "dpm++sde": sampler.DPMSolverSDE,
    "unipc": sampler.UniPC,
    "unipc-2": lambda: sampler.UniPC(order=2),
    "ipndm": sampler.IPNDM,
}

TASKS: dict[str, type[Task]] = {"draw": Draw, "upscale": Upscale, "segment": Segment}

GRIDS: dict[str, Callable[["ModelConfig", int], Grid]] = {
    "karras": lambda config, steps: grid.karras(config.schedule, steps),
    "logsnr": lambda config, steps: grid.logsnr(config.schedule, steps),
    "uniform": lambda _, steps: grid.uniform(steps),
    "trailing": lambda config, steps: grid.trailing(steps, config.schedule.length),
    "leading": lambda config, steps: grid.leading(steps, config.schedule.length),
    "strided": lambda config, steps: grid.strided(steps, config.schedule.length),
    "quadratic": lambda config, steps: grid.quadratic(steps, config.schedule.length),
    "fitted": lambda config, steps: grid.resampled(config.sampling.fitted, steps),
}


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a model draws unless it is told otherwise. Kept with it, and no part of its hash."""

    sampler: str = "heun"
    grid: str = "karras"
    steps: int = 18
    guidance: float = 1.0  # 1: no guidance
    temperature: float = 1.0  # what the noise that a walk begins with is multiplied by
    fitted: tuple[tuple[float, ...], ...] = ()  # times made for this model, one row for each number of steps

    def __post_init__(self) -> None:
        known(self.sampler, SAMPLERS, "sampler")
        known(self.grid, GRIDS, "grid")
        if self.steps < 1:
            raise InputError(f"{self.steps} steps draw nothing: ask for at least 1")
        if not 0 < self.temperature <= 2:
            raise InputError(f"the temperature is {self.temperature}: give a number above 0, at most 2")
        for times in self.fitted:
            grid.checked(times)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that is needed to rebuild a model before its weights are loaded, and to ask it for pictures by name."""

    net: Architecture
    schedule: schedule.Schedule
    parametrization: parametrization.Parametrization
    pictures: Pictures
    sampling: Sampling = Sampling()
    task: Task = Draw()


def to_json(value: Any) -> Any:
    """A dataclass, or a tuple of plain values, as JSON's types."""
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    if not dataclasses.is_dataclass(value):
        return value
    fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"is": type(value).__name__} | fields if type(value).__name__ in CHOICES else fields


def from_json(cls: type[T], data: Any, where: str = "config") -> T:
    """Build a `cls` from what `to_json` wrote."""
    if not isinstance(data, Mapping):
        raise InputError(f"{where} is {data!r}: it should be an object that describes a {cls.__name__}")
    data = dict(data)
    if "is" in data:
        chosen = known(str(data.pop("is")), CHOICES, f"class (at {where})")
        if not issubclass(chosen, cls):
            raise InputError(f"{where} is a {chosen.__name__}: it should be a {cls.__name__}")
        cls = chosen
    cls = UNSAID.get(cls, cls)
    if inspect.isabstract(cls) or not dataclasses.is_dataclass(cls):
        raise InputError(f'{where} lacks the key "is", which says what kind of {cls.__name__} it is')
    hints = get_type_hints(cls)
    fields = dataclasses.fields(cls)
    names = tuple(f.name for f in fields)
    for f in fields:
        if f.name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key {f.name!r}, which a {cls.__name__} needs")
    for name in data:
        if name not in names:
            raise InputError(f"{where} has the key {name!r}, which a {cls.__name__} has not{nearest(name, names)}")
    return cls(**{k: _value(hints[k], v, f"{where}.{k}") for k, v in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type that an annotation asks for."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) or (isinstance(value, Mapping) and isinstance(hint, type)):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _value(next(a for a in args if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is Literal and value in args:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    expected = " or ".join(map(repr, args)) if origin is Literal else getattr(hint, "__name__", str(hint))
    raise InputError(f"{where} is {value!r}: it should be {expected}")
