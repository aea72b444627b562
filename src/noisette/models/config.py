"""Configurations of models: frozen dataclasses, written as JSON and read back.

A field that may hold one of several classes is written with the class's name, and for a class that was registered by
somebody else with its module, too:

    {"schedule": {"is": "Cosine", "steps": 1000}}
    {"schedule": {"is": "MySchedule", "from": "my_project.schedules", "power": 2.0}}

`models.registry` has the tables of these names. Unknown keys and wrong types are refused by name; a missing field takes
its default.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor, nn

from ..data.pictures import Pictures
from ..diffusion import grid, parametrization, schedule
from ..errors import InputError, lookup
from ..io.json_types import get_field, parse_object
from ..nn.architecture import Architecture, UNetConfig
from ..nn.autoencoder import AutoencoderConfig
from ..nn.autoencoder_base import AutoencoderArchitecture
from .registry import (
    CONFIG_CLASSES,
    GRIDS,
    NETWORKS,
    OWN_NAME_HINT,
    SAMPLERS,
    check_registered,
    class_module,
    find_class,
    foreign_modules,
    is_registered,
)
from .task import Draw, Task

T = TypeVar("T")

MAX_SAMPLING_STEPS = 10_000  # steps of a sampler

DEFAULT_CLASSES: dict[type, type] = {  # where a file has no "is": it was the only kind once
    Architecture: UNetConfig,
    AutoencoderArchitecture: AutoencoderConfig,
}

# Field names in files of version 0.1.0, by the class that has them: old name → today's name.
FORMER_FIELDS: dict[str, dict[str, str]] = {
    "VariancePreserving": {"shown": "label_steps"},
    "DiTConfig": {"widening": "mlp_ratio"},
    "TextEncoderInfo": {"encoder": "name", "rows": "max_tokens"},
    "Pictures": {"wording": "text_encoder"},
    "SquaredErrorAndVLB": {"share": "vlb_weight"},
    "TrainingConfig": {
        "floor": "min_lr_ratio", "forget": "cond_dropout", "measure": "loss_spec", "fit": "grid_fit_share",
    },
    "TrainOptions": {"checkups": "evaluations"},
    "TrainingPlan": {"rate": "images_per_second", "checkups": "evaluations", "samples": "evaluation_samples"},
    "SampleRecord": {"turns": "rotations", "then": "upscalers", "level": "noise_aug", "ways": "upscaler_sampling"},
    "Steering": {"away": "guide_model", "towards": "colors", "towards_scale": "color_scale"},
    "StepsReport": {"about": "settings"},
    "Measurement": {"way": "setting", "resampled": "kid_resamples"},
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class SamplingDefaults:
    """The settings that a model samples with by default. They are saved with it and are no part of its hash."""

    registered_names: ClassVar[dict[str, str]] = {"sampler": "sampler", "grid": "grid"}  # field → kind of name

    sampler: str = "heun"  # a name of registry.SAMPLERS
    grid: str = "karras"  # a name of registry.GRIDS
    steps: int = 18
    guidance: float = 1.0  # classifier-free guidance scale; 1: no guidance
    temperature: float = 1.0  # factor of all noise, initial and added by the sampler; above 0, at most 2
    fitted: tuple[tuple[float, ...], ...] = ()  # grids fitted to this model: decreasing times, one row a step count

    def __post_init__(self) -> None:
        lookup(self.sampler, SAMPLERS, "sampler", OWN_NAME_HINT)
        lookup(self.grid, GRIDS, "grid", OWN_NAME_HINT)
        if not 1 <= self.steps <= MAX_SAMPLING_STEPS:
            raise InputError(f"steps must be 1 to {MAX_SAMPLING_STEPS}, got {self.steps}")
        if not 0 < self.temperature <= 2:
            raise InputError(f"temperature must be above 0 and at most 2, got {self.temperature}")
        for times in self.fitted:
            grid.grid_from_times(times)


@dataclasses.dataclass(frozen=True)
class Origin:
    """A model that the training of another one started from."""

    name: str  # of a model that comes with the package, or the last part of its path
    hash: str  # the model's hash
    pictures: str  # size and mode: "32×32 RGBA"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that is needed to rebuild a model before its weights are loaded, and to condition it by name."""

    net: Architecture
    schedule: schedule.Schedule
    parametrization: parametrization.Parametrization
    pictures: Pictures  # mode, size, labels and attributes of the pictures
    sampling: SamplingDefaults = SamplingDefaults()
    task: Task = Draw()
    origins: tuple[Origin, ...] = ()  # what its training started from, and what that had started from, and so on


def build(architecture: Architecture) -> nn.Module:
    """The untrained network that a config describes. Raises InputError for a config class that is not registered."""
    builder = NETWORKS.get(type(architecture))
    if builder is None:
        raise InputError(
            f"no network is registered for {type(architecture).__name__}: noisette.register(it, network=...) first"
        )
    return builder(architecture)


def describe_network(architecture: Architecture) -> dict[str, Tensor]:
    """Names and shapes of the network's tensors, without values: on the meta device, which takes no memory."""
    try:
        with torch.device("meta"):
            return build(architecture).state_dict()
    except (NotImplementedError, RuntimeError):  # somebody's own network reads values while it is built
        return build(architecture).state_dict()


def to_json(value: Any) -> Any:
    """A dataclass, or a tuple of plain values, as JSON's types.

    Raises InputError where a field holds an object of a class that `from_json` could not find again: one that is not
    registered, or that only has the name of a registered one.
    """
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    if not dataclasses.is_dataclass(value):
        return value
    cls = type(value)
    hints = get_type_hints(cls)
    for f in dataclasses.fields(value):
        _check_loadable(getattr(value, f.name), hints[f.name], f"{cls.__name__}.{f.name}")
    fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if is_registered(cls):
        module = class_module(cls)
        return {"is": cls.__name__} | ({"from": module} if module else {}) | fields
    if cls.__name__ in CONFIG_CLASSES:
        raise _unregistered_error(cls, cls.__name__)
    modules = foreign_modules(getattr(cls, "registered_names", {}), fields)
    return fields | ({"from": modules} if modules else {})


def _check_loadable(value: Any, hint: Any, path: str) -> None:
    """Refuse a value whose class is neither registered nor the very class that the annotation of its field names."""
    if isinstance(value, tuple):
        for entry in value:
            _check_loadable(entry, get_args(hint)[0] if get_args(hint) else hint, path)
    elif value is not None and not isinstance(value, str | int | float | Mapping | list):
        allowed = (hint, *get_args(hint))
        if not is_registered(type(value)) and type(value) not in allowed:
            raise _unregistered_error(type(value), path)


def _unregistered_error(cls: type, path: str) -> InputError:
    other = f"; the registered {cls.__name__} is another class" if cls.__name__ in CONFIG_CLASSES else ""
    return InputError(
        f"{path} is of the class {cls.__name__} of {cls.__module__}, which is not registered and could not be loaded "
        f"again{other}: call noisette.register({cls.__name__}) before saving"
    )


def from_json(cls: type[T], data: Any, path: str = "config") -> T:
    """Build a `cls` from what `to_json` wrote, by this version or an older one.

    path: where the data comes from, for messages. Raises InputError for an unknown key, a wrong type, a missing field
    without a default, and a class that is not registered. Nothing is imported.
    """
    return parse_object(cls, data, path, _resolve_class)


def _resolve_class(cls: type, data: dict[str, Any], path: str) -> tuple[type, dict[str, Any]]:
    """The class that the key "is" names, or the one of older files, and its data without that key and under today's
    names."""
    if "is" in data:
        chosen = find_class(get_field(data, "is", str, path), data.get("from"), path)
        data = {key: value for key, value in data.items() if key not in ("is", "from")}
        if not issubclass(chosen, cls):
            raise InputError(f"{path} is a {chosen.__name__}: it should be a {cls.__name__}")
        cls = chosen
    cls = DEFAULT_CLASSES.get(cls, cls)
    if inspect.isabstract(cls) or not dataclasses.is_dataclass(cls):
        raise InputError(f'{path} lacks the key "is", which says what kind of {cls.__name__} it is')
    data = current_names(cls, data)
    _check_registered_names(cls, data, path)
    return cls, data


def _check_registered_names(cls: type, data: dict[str, Any], path: str) -> None:
    """Take "from" out of the data of a class whose fields hold registered names, and refuse those that are missing."""
    kinds: dict[str, str] = getattr(cls, "registered_names", {})
    modules = data.pop("from", {}) if kinds else {}
    for field, kind in kinds.items():
        if isinstance(modules, Mapping) and field in data:
            check_registered(kind, str(data[field]), modules.get(field), f"{path}.{field}")


def current_names(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields under today's names. A field under both names is left as it is, and refused later."""
    former = {old: new for kind in cls.__mro__ for old, new in FORMER_FIELDS.get(kind.__name__, {}).items()}
    return {former[k] if k in former and former[k] not in data else k: v for k, v in data.items()}
