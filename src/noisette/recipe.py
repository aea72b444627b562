"""Recipes: all that a run needs to be told beside its pictures and its horizon. It goes into the run's config.json."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import loss
from .config import ModelConfig, from_json, to_json
from .errors import InputError
from .files import read_json
from .pictures import Pictures
from .task import Task


@dataclass(frozen=True)
class Training:
    """How a model is trained. Shares are of the whole run, so that short and long runs end finished alike."""

    batch: int = 64  # images an optimizer step, over all processes and accumulation
    optimizer: Literal["adam", "muon"] = "adam"  # muon: for the matrices, and Adam for the rest
    lr: float = 1e-3  # the highest learning rate
    warmup: float = 0.03  # share of the run in which the learning rate rises
    floor: float = 0.01  # what it decays to, by a cosine, as a share of lr
    weight_decay: float = 0.0
    beta2: float = 0.99
    clip: float = 1.0  # of the gradient's norm
    ema: float = 0.03  # half-life of the averaged weights, as a share of the run
    forget: float = 0.1  # the chance that an image is shown without its label, attributes and text
    flip: bool = False  # mirror half of the images
    weighting: loss.Weighting = loss.EDMWeight()
    times: loss.Times = loss.LogNormal()
    measure: loss.Measure = loss.SquaredError()
    importance: bool = False  # draw a chain's steps by their loss (improved DDPM)
    uncertainty: bool = False  # learn how uncertain each noise level is, beside the model (EDM2)
    fit: float = 0.0  # share of the run's work that goes into a time grid for the finished model; 0: none

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("batch", self.batch >= 1, "1 or more"),
            ("lr", self.lr > 0, "above 0"),
            ("warmup", 0 <= self.warmup <= 1, "0 to 1"),
            ("floor", 0 <= self.floor <= 1, "0 to 1"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("beta2", 0 <= self.beta2 < 1, "0 or more, below 1"),
            ("clip", self.clip > 0, "above 0"),
            ("ema", self.ema > 0, "above 0"),
            ("forget", 0 <= self.forget <= 1, "0 to 1"),
            ("fit", 0 <= self.fit <= 1, "0 to 1"),
        ):
            if not good:  # which NaN is not either
                raise InputError(f"training.{name} is {getattr(self, name)}: give {wanted}")


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained."""

    model: ModelConfig
    training: Training

    def __post_init__(self) -> None:
        """Refuse what does not go together, before anything is trained."""
        training, net = self.training, self.model.net
        if training.importance and training.uncertainty:
            raise InputError("importance and uncertainty both even out the noise levels: choose one of them")
        if training.importance:
            loss.chain_steps(self.model.schedule, training.times)
        if training.importance and isinstance(training.times, loss.Stratified):
            raise InputError("times that are drawn by their loss cannot be stratified: choose Steps")
        self.loss()
        if net.out_channels != (wanted := training.measure.outputs(self.model.pictures.channels)):
            kind = type(training.measure).__name__
            raise InputError(f"{kind} needs a network of {wanted} output channels, and this one has {net.out_channels}")
        if net.in_channels != (seen := self.model.pictures.channels + self.model.task.stacked(self.model.pictures)):
            kind = type(self.model.task).__name__
            raise InputError(f"{kind} needs a network of {seen} input channels, and this one has {net.in_channels}")

    def loss(self) -> loss.Loss:
        """What is minimised, before anything is learned or remembered beside the model."""
        training, model = self.training, self.model
        return training.measure.loss(model.schedule, model.parametrization, training.weighting, training.times)


def overlaid(recipe: Recipe, file: str) -> Recipe:
    """A recipe with what a file of JSON says otherwise: the same keys as in a run's config.json, as few as one likes.

    What may be one of several classes is replaced as a whole: {"training": {"times": {"is": "Steps", "steps": 200}}}.
    """
    said = read_json(file)
    if not isinstance(said, dict):
        raise InputError(f"{file} is no recipe: it should be an object of JSON, with the keys model and training")
    for key, inside in (("model", said), ("net", said.get("model")), ("training", said)):
        if isinstance(inside, dict) and not isinstance(inside.get(key, {}), dict):
            raise InputError(f"{file} has {inside[key]!r} as its {key}: it should be an object of JSON")
    if isinstance(model := said.get("model"), dict) and (fixed := {"pictures", "sampling", "task"} & model.keys()):
        raise InputError(f"{file} sets model.{fixed.pop()}: the pictures and how they are drawn are not of a recipe")
    data = _laid(to_json(recipe), said)
    training = from_json(Training, data["training"], f"{file}: training")
    data["model"]["net"]["out_channels"] = training.measure.outputs(recipe.model.pictures.channels)
    return from_json(Recipe, data, file)


def _laid(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = under.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and "is" not in value:
            merged[key] = _laid(below, value)
        else:
            merged[key] = value
    return merged


def tasked(recipe: Recipe, task: Task) -> Recipe:
    """A recipe for pictures out of noise, for another task: what the model is given lies under x_t."""
    model, training = recipe.model, recipe.training
    net = replace(model.net, in_channels=model.pictures.channels + task.stacked(model.pictures))
    return Recipe(replace(model, net=net, task=task), replace(training, times=task.times(training.times)))


Preset = Callable[[Pictures, float], Recipe]  # of the pictures and their standard deviation
