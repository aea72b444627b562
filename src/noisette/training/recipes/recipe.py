"""Recipes: the model and its training settings, without data and length of the run. Stored in the run's config.json."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...data.pictures import Pictures
from ...diffusion import loss
from ...errors import InputError
from ...io.json_files import read_json
from ...io.json_types import get_field
from ...models.config import ModelConfig, current_names, from_json, to_json
from ...models.task import Task
from ...nn.muon import Muon, find_matrices
from .distillation import Distillation


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. Durations are shares of the whole run, so that short and long runs both end annealed."""

    batch: int = 64  # images per optimizer step, over all processes and micro-batches, >= 1
    optimizer: Literal["adam", "muon"] = "adam"  # AdamW; or Muon (Jordan et al. 2024) for matrices, AdamW for the rest
    lr: float = 1e-3  # highest learning rate, > 0
    warmup: float = 0.03  # share of the run with linear warmup of the learning rate, 0 to 1
    min_lr_ratio: float = 0.01  # last learning rate over the highest, 0 to 1; a cosine leads there
    weight_decay: float = 0.0  # decoupled (AdamW), >= 0
    beta2: float = 0.99  # Adam's decay of squared gradients, 0 to below 1
    clip: float = 1.0  # largest norm of the gradient, > 0
    ema: float = 0.03  # half-life of the averaged weights as a share of the run, > 0 (Karras et al. 2022, F.2)
    cond_dropout: float = 0.1  # probability of training an image without its condition, 0 to 1 (Ho & Salimans 2022)
    flip: bool = False  # mirror each training picture with probability 1/2
    weighting: loss.Weighting = loss.EDMWeight()  # of the squared error, by noise level
    times: loss.TimestepSampler = loss.LogNormal()  # distribution of the training times
    loss_spec: loss.LossSpec = loss.SquaredError()  # which loss is minimized
    importance: bool = False  # sample timesteps in proportion to their loss (Nichol & Dhariwal 2021, section 3.3)
    uncertainty: bool = False  # weight noise levels by a learned uncertainty (Karras et al. 2024, EDM2)
    grid_fit_share: float = 0.0  # share of the run's work for tuning the sampling grid at the end, 0 to 1; 0: none
    gaussian_prior: bool = False  # x0 in closed form at high noise (diffusion/gaussian_prior.py) in what is drawn
    autoguidance: float = 1.0  # scale of the autoguidance that the end of the run trains into the network; 1: none
    autoguidance_share: float = 0.5  # share of the run with that guidance, at its end, 0 to 0.8
    distillation: Distillation | None = None  # the model is the student of the one that it starts from; None: it is not
    max_epochs: float | None = None  # most times that a run with a time limit shows each picture, > 0; None: no limit

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("batch", 1 <= self.batch <= 2**16, f"1 to {2**16}"),
            ("lr", self.lr > 0, "above 0"),
            ("warmup", 0 <= self.warmup <= 1, "0 to 1"),
            ("min_lr_ratio", 0 <= self.min_lr_ratio <= 1, "0 to 1"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("beta2", 0 <= self.beta2 < 1, "0 or more, below 1"),
            ("clip", self.clip > 0, "above 0"),
            ("ema", self.ema > 0, "above 0"),
            ("cond_dropout", 0 <= self.cond_dropout <= 1, "0 to 1"),
            ("grid_fit_share", 0 <= self.grid_fit_share <= 1, "0 to 1"),
            ("autoguidance", 1 <= self.autoguidance <= 8, "1 to 8"),
            ("autoguidance_share", 0 <= self.autoguidance_share <= 0.8, "0 to 0.8"),
            ("max_epochs", self.max_epochs is None or self.max_epochs > 0, "above 0"),
        ):
            if not good:  # also for NaN
                raise InputError(f"training.{name} must be {wanted}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Recipe:
    """A model's config and its training settings. Raises InputError for parts that do not go together."""

    model: ModelConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        training, net = self.training, self.model.net
        if training.importance and training.uncertainty:
            raise InputError(
                "training.importance and training.uncertainty both reweight noise levels: choose one of them"
            )
        if training.importance:
            loss.chain_steps(self.model.schedule, training.times)
        if training.importance and isinstance(training.times, loss.Stratified):
            raise InputError("with training.importance, training.times cannot be Stratified: choose Steps")
        self.build_loss()
        if net.out_channels != (wanted := training.loss_spec.out_channels(self.model.pictures.model_channels)):
            kind = type(training.loss_spec).__name__
            raise InputError(f"{kind} needs a network with {wanted} output channels, got {net.out_channels}")
        pictures = self.model.pictures
        if net.in_channels != (seen := pictures.model_channels + self.model.task.cond_channels(pictures)):
            kind = type(self.model.task).__name__
            raise InputError(f"{kind} needs a network with {seen} input channels, got {net.in_channels}")

    def build_loss(self) -> loss.Loss:
        """The training loss, without importance sampling and learned uncertainty."""
        training, model = self.training, self.model
        return training.loss_spec.build_loss(model.schedule, model.parametrization, training.weighting, training.times)


def apply_overrides(recipe: Recipe, source: str | Mapping[str, Any]) -> Recipe:
    """The recipe with the values of a JSON file, or of a dict, in place of its own.

    It has keys of `plan.recipe` in a run's config.json, any of them: {"training": {"lr": 2e-4}}. A value that can
    be of several classes is replaced as a whole: {"training": {"times": {"is": "Steps", "steps": 200}}}. Names of
    former versions are understood. Raises InputError for unknown keys and for values that do not go together.
    """
    path, overrides = read_overrides(source)
    data = _merge(to_json(recipe), _with_current_names(overrides, recipe))
    training = from_json(TrainingConfig, data["training"], f"{path}: training")
    net = get_field(data["model"], "net", dict, f"{path}: model")
    net["out_channels"] = training.loss_spec.out_channels(recipe.model.pictures.model_channels)
    return from_json(Recipe, data, path)


def read_overrides(source: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What messages call the source, and its values; InputError if it cannot be read or is no recipe."""
    path, overrides = (source, read_json(source)) if isinstance(source, str) else ("the recipe", dict(source))
    if not isinstance(overrides, dict):
        raise InputError(f"{path} is no recipe: it should be a JSON object with the keys model and training")
    for key, parent in (("model", overrides), ("net", overrides.get("model")), ("training", overrides)):
        if isinstance(parent, dict) and not isinstance(parent.get(key, {}), dict):
            raise InputError(f"{path} has {parent[key]!r} as its {key}: it should be a JSON object")
    model = overrides.get("model")
    if isinstance(model, dict) and (fixed := {"pictures", "sampling", "task"} & model.keys()):
        raise InputError(f"{path} sets model.{fixed.pop()}, which is not part of a recipe: remove it")
    return path, overrides


def _with_current_names(overrides: dict[str, Any], base: Any) -> dict[str, Any]:
    """Overrides of a dataclass, and of those in its fields, with former field names replaced by today's.

    Values with "is" replace a field as a whole, and `from_json` takes care of their names.
    """
    renamed = current_names(type(base), overrides)
    return {
        key: _with_current_names(value, getattr(base, key))
        if isinstance(value, dict) and "is" not in value and is_dataclass(getattr(base, key, None))
        else value
        for key, value in renamed.items()
    }


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overrides`, merged key by key except where a value has "is"."""
    merged = dict(base)
    for key, value in overrides.items():
        before = base.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and "is" not in value:
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


def adapt_to_task(recipe: Recipe, task: Task) -> Recipe:
    """A recipe for unconditional pictures, changed for another task: its input channels are concatenated to x_t."""
    model, training = recipe.model, recipe.training
    net = replace(model.net, in_channels=model.pictures.model_channels + task.cond_channels(model.pictures))
    return Recipe(replace(model, net=net, task=task), replace(training, times=task.training_times(training.times)))


Preset = Callable[[Pictures, float], Recipe]  # from the pictures and their standard deviation in model space


def build_optimizer(model: nn.Module, recipe: Recipe, extra_parameters: Iterable[Tensor] = ()) -> torch.optim.Optimizer:
    """The optimizer of a recipe, for the parameters of the model and `extra_parameters`."""
    training = recipe.training
    betas, decay = (0.9, training.beta2), training.weight_decay
    parameters = [*model.parameters(), *extra_parameters]
    if training.optimizer == "adam":
        return torch.optim.AdamW(parameters, training.lr, betas=betas, weight_decay=decay, fused=True)
    matrices = find_matrices(model)
    ids = {id(matrix) for matrix in matrices}
    return Muon(matrices, [p for p in parameters if id(p) not in ids], training.lr, betas, decay)
