"""The tables of names, and `register`, which adds one's own classes to them.

Files, recipes and the command line choose code by name. These are the only names that they can choose: the classes of
configurations by their class name ({"schedule": {"is": "Cosine", "steps": 1000}}), samplers, grids, tasks and data
sources by the name that is typed on the command line.

    @noisette.register
    @dataclass(frozen=True)
    class Linear(Schedule): ...

    noisette.register(MyNetConfig, network=MyNet)
    noisette.register(MySampler, name="my-sampler")
    noisette.register(my_grid, name="my-grid", kind="grid")
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import nn

from ..data.builtin import BUILT_IN
from ..data.entry import Source
from ..diffusion import grid, loss, parametrization, posterior, sampler, schedule
from ..errors import InputError, suggest_names
from ..nn.architecture import Architecture, UNetConfig
from ..nn.autoencoder import Autoencoder, AutoencoderConfig
from ..nn.autoencoder_base import AutoencoderArchitecture, AutoencoderNetwork
from ..nn.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig
from ..nn.autoencoder_tiny import AutoencoderTiny, AutoencoderTinyConfig
from ..nn.context_unet import ContextUNet, ContextUNetConfig
from ..nn.dit import DiT, DiTConfig
from ..nn.linear_attention import LinearAttentionUNet, LinearAttentionUNetConfig
from ..nn.unet import UNet
from ..shapes import Grid
from .task import Draw, Segment, Task, Upscale

T = TypeVar("T", bound=Callable[..., Any])
Kind = Literal["class", "sampler", "grid", "task", "source"]
# (schedule, steps, times of the grids that were fitted to the model) -> decreasing times (steps + 1,)
GridFactory = Callable[[schedule.Schedule, int, Sequence[Sequence[float]]], Grid]

CONFIG_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        schedule.LinearBeta, schedule.Cosine, schedule.Quadratic, schedule.Sigmoid, schedule.GammaSigmoid,
        schedule.GivenBetas, schedule.ZeroTerminalSNR, schedule.RectifiedFlow, schedule.VarianceExploding,
        parametrization.Epsilon, parametrization.X0, parametrization.V, parametrization.Flow, parametrization.EDM,
        loss.Simple, loss.MinSNR, loss.P2, loss.EDMWeight, loss.FlowMatching,
        loss.Steps, loss.Uniform, loss.LogNormal, loss.Stratified,
        loss.SquaredError, loss.SquaredErrorAndVLB, loss.VLB,
        UNetConfig, ContextUNetConfig, DiTConfig, LinearAttentionUNetConfig,
        AutoencoderConfig, AutoencoderKLConfig, AutoencoderTinyConfig,
        Draw, Upscale, Segment,
    )
}  # fmt: skip

FORMER_CLASSES = {"SquaredErrorAndBound": "SquaredErrorAndVLB", "Bound": "VLB"}  # names in files of version 0.1.0

NETWORKS: dict[type[Architecture], Callable[[Any], nn.Module]] = {
    UNetConfig: UNet,
    ContextUNetConfig: ContextUNet,
    DiTConfig: DiT,
    LinearAttentionUNetConfig: LinearAttentionUNet,
}

AUTOENCODERS: dict[type[AutoencoderArchitecture], Callable[[Any], AutoencoderNetwork]] = {
    AutoencoderConfig: Autoencoder,
    AutoencoderKLConfig: AutoencoderKL,
    AutoencoderTinyConfig: AutoencoderTiny,
}

SAMPLERS: dict[str, Callable[[], sampler.Sampler]] = {
    "ddpm": sampler.DDPM,
    "ddpm-large": lambda: sampler.DDPM(posterior.FixedLarge()),
    "ddpm-learned": lambda: sampler.DDPM(posterior.LearnedRange()),
    "ddpm-no-noise": lambda: sampler.DDPM(noise_scale=0.0),
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

GRIDS: dict[str, GridFactory] = {
    "karras": lambda schedule, steps, _: grid.karras(schedule, steps),
    "logsnr": lambda schedule, steps, _: grid.logsnr(schedule, steps),
    "uniform": lambda _, steps, __: grid.uniform(steps),
    "trailing": lambda schedule, steps, _: grid.trailing(steps, schedule.num_train_timesteps),
    "leading": lambda schedule, steps, _: grid.leading(steps, schedule.num_train_timesteps),
    "strided": lambda schedule, steps, _: grid.strided(steps, schedule.num_train_timesteps),
    "quadratic": lambda schedule, steps, _: grid.quadratic(steps, schedule.num_train_timesteps),
    "fitted": lambda _, steps, fitted: grid.resample_grid(fitted, steps),
}

TASKS: dict[str, type[Task]] = {"draw": Draw, "upscale": Upscale, "segment": Segment}

TABLES: dict[str, dict[str, Any]] = {
    "class": CONFIG_CLASSES,
    "sampler": SAMPLERS,
    "grid": GRIDS,
    "task": TASKS,
    "source": BUILT_IN,
}
OWN_NAME_HINT = " (one of your own: import the module that registers it first, on the command line by --import)"
MODULES: dict[tuple[str, str], str] = {}  # (kind, name) of what was registered → the module that defines it
_TITLES: dict[tuple[str, str], str] = {}  # and the qualified name of the class or function in that module


def register(
    definition: T,
    *,
    name: str | None = None,
    kind: Kind | None = None,
    network: Callable[[Any], nn.Module] | None = None,
) -> T:
    """Make your own class or function usable by name: in recipes, on the command line, in saved models and runs.

    definition: one of
        - a dataclass that is a `Schedule`, `Parametrization`, `LossSpec`, `Weighting`, `TimestepSampler`, `Task`, or an
          `Architecture` together with `network`. Files know it by its class name; a task also by `name` (`--task`).
        - a sampler: a class that has `step` and needs no arguments, or with kind="sampler" a function that returns one.
        - with kind="grid", a function (schedule, steps) → decreasing times (steps + 1,), float64, from 1 down to 0.
        - with kind="source", a function () → `data.entry.Source`.
    name: what is typed on the command line; the name of the class or function by default.
    network: for an `Architecture`, what builds the network from it.

    Returns `definition`, so it serves as a decorator. To register a class again, as a reloaded module does, replaces
    it. Raises InputError where the name belongs to Noisette or to another class.

    A saved file records the name and the module of the class. Loading does not import that module: import it first, or
    give it to the command line with --import.
    """
    kind = kind or _infer_kind(definition)
    if kind == "class":
        _register_class(definition, name, network)
        return definition
    if network is not None:
        raise InputError(f"network goes with an Architecture, and {_title(definition)} is a {kind}: leave it out")
    name = name or definition.__name__
    if kind == "task":
        _register_class(definition, None, None)
        _add("task", name, definition, definition)
    elif kind == "grid":
        _add("grid", name, definition, lambda schedule, steps, _: definition(schedule, steps))
    elif kind == "source":
        _add("source", name, definition, lambda: _checked_source(name, definition()))
    else:
        _add("sampler", name, definition, definition)
    return definition


def class_module(cls: type) -> str | None:
    """The module of a registered class of somebody else's; None for Noisette's own."""
    return MODULES.get(("class", cls.__name__))


def is_registered(cls: type) -> bool:
    """Whether the class of this name in the table of configurations is this one, perhaps from before a reload."""
    return CONFIG_CLASSES.get(cls.__name__) is cls or _is_same(("class", cls.__name__), cls)


def find_class(name: str, module: str | None, path: str) -> type:
    """The configuration class that a file calls `name`, defined in `module` unless it is Noisette's own.

    path: where in the file, for the message of the InputError where it is not registered.
    """
    name = FORMER_CLASSES.get(name, name)
    if name not in CONFIG_CLASSES:
        if module is not None:
            raise _unregistered("class", name, module, path)
        raise InputError(f"no class (at {path}) is called {name!r}{suggest_names(name, CONFIG_CLASSES)}{OWN_NAME_HINT}")
    known = MODULES.get(("class", name))
    if module is not None and module != known:
        raise InputError(
            f"{path} is the class {name} of {module}, and the {name} that is registered here is "
            f"{f'of {known}' if known else 'one of noisette'}: import {module} instead, or rename one of the two"
        )
    return CONFIG_CLASSES[name]


def check_registered(kind: str, name: str, module: str | None, path: str) -> None:
    """Raise InputError where a file uses a sampler or grid that `module` defines and that is not registered."""
    if module is not None and name not in TABLES[kind]:
        raise _unregistered(kind, name, module, path)


def _unregistered(kind: str, name: str, module: str, path: str) -> InputError:
    return InputError(
        f"the {kind} {name!r} (at {path}) is not registered here: import {module}, which registers it, and load again "
        f"(on the command line, --import {module})"
    )


def _infer_kind(definition: object) -> Kind:
    if isinstance(definition, type):
        if issubclass(definition, Task):
            return "task"
        return "sampler" if hasattr(definition, "step") else "class"
    raise InputError(f'{_title(definition)} is a function: say what it makes with kind="sampler", "grid" or "source"')


def _register_class(cls: Any, name: str | None, network: Callable[[Any], nn.Module] | None) -> None:
    """Add a dataclass to the table of configurations, and its network where it is an Architecture."""
    if not isinstance(cls, type) or "__dataclass_fields__" not in cls.__dict__:
        raise InputError(f"{_title(cls)} is not a dataclass, and cannot be saved: decorate it @dataclass(frozen=True)")
    if name is not None and name != cls.__name__:
        raise InputError(f"files know a class by its own name, {cls.__name__}: rename the class, or leave the name out")
    if inspect.isabstract(cls):
        raise InputError(
            f"{cls.__name__} lacks {', '.join(sorted(getattr(cls, '__abstractmethods__', ())))}: define all of these"
        )
    if issubclass(cls, Architecture) != (network is not None):
        raise InputError(
            f"{cls.__name__} is an Architecture: give network=, the class that builds the network from it"
            if network is None
            else f"network goes with an Architecture, and {cls.__name__} is none: leave it out"
        )
    former = CONFIG_CLASSES.get(cls.__name__)
    if cls.__name__ in FORMER_CLASSES:
        raise InputError(f"the class name {cls.__name__} belongs to older files of noisette: choose another")
    _add("class", cls.__name__, cls, cls)
    if network is not None:
        NETWORKS.pop(former, None)  # type: ignore[arg-type]
        NETWORKS[cls] = network


def _add(kind: str, name: str, definition: object, entry: object) -> None:
    """Put a name into its table, if it is free or belongs to this definition."""
    table, key = TABLES[kind], (kind, name)
    if _title(definition).endswith("<lambda>"):
        raise InputError(f"the {kind} {name!r} is a lambda, which cannot be recognized again: give a named function")
    if name in table and key not in MODULES:
        raise InputError(f"the {kind} name {name!r} belongs to noisette: choose another")
    if name in table and not _is_same(key, definition):
        raise InputError(f"the {kind} name {name!r} is taken by {_TITLES[key]} of {MODULES[key]}: choose another")
    table[name] = entry
    MODULES[key], _TITLES[key] = _module_name(definition), _title(definition)


def _is_same(key: tuple[str, str], definition: object) -> bool:
    """Whether what is registered under this kind and name has the module and name of this definition."""
    return key in MODULES and (MODULES[key], _TITLES[key]) == (_module_name(definition), _title(definition))


def _checked_source(name: str, source: object) -> Source:
    if not isinstance(source, Source):
        raise InputError(f"the data source {name!r} gave a {type(source).__name__}: it should return a Source")
    return source


def _title(definition: object) -> str:
    return str(getattr(definition, "__qualname__", repr(definition)))


def _module_name(definition: object) -> str:
    """The module that defines it, under the name by which another program imports it."""
    module = str(getattr(definition, "__module__", ""))
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return str(spec.name) if spec is not None else Path(file).stem if file else module


def foreign_modules(kinds: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """field → module, of the fields whose value is a registered name of somebody else's. kinds: field → kind."""
    pairs = {field: MODULES.get((kind, values[field])) for field, kind in kinds.items()}
    return {field: module for field, module in pairs.items() if module is not None}
