"""From what a person asks for to what a run does: the data, the preset, the size and the number of images that fit.

A time box is kept by measuring: a few training steps of each preset that could do, on this machine and on these
pictures, in the precisions that the machine may be good at.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import torch

from ..condition import Condition
from ..data import Dataset
from ..errors import InputError, known
from ..model import PictureModel
from ..optimizer import optimizer_of
from ..presets import PRESETS, WANTED
from ..recipe import Recipe, overlaid, tasked
from ..task import Draw, Task
from .checkup import affordable

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrainOptions:
    """What `noisette train` may be told. Either a time or a number of images is given, and not both."""

    preset: str = "auto"  # a name of `presets.PRESETS`, or "auto": the largest that the horizon can train
    seconds: float | None = None  # for the whole command
    images: int | None = None
    size: tuple[int, int] | None = None  # height and width; None: what the pictures suggest
    pixel_art: bool = False
    cell: tuple[int, int] | None = None  # of a sprite sheet
    labels: str | None = None  # a file of labels beside an array of pictures
    task: Task = Draw()  # what pictures are made of
    batch: int | None = None
    accumulate: int = 1
    lr: float | None = None
    dropout: float | None = None
    flip: bool = False
    recipe: str | None = None  # a file of JSON: what of the preset's recipe is to be otherwise
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    text: str | None = None  # the sentence encoder that reads the captions; None: nobody reads them
    seed: int = 0
    save_every: float = 60.0  # seconds between checkpoints
    log: Literal["jsonl", "tensorboard", "trackio"] = "jsonl"
    checkups: int | None = None  # evaluations along the way; None: as many as 4 % of the time allow

    def __post_init__(self) -> None:
        if self.preset != "auto":
            known(self.preset, PRESETS, "preset")
        if (self.seconds is None) == (self.images is None):
            raise InputError("a run is given either a time or a number of images")
        for name in ("seconds", "images", "batch", "accumulate", "lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}: it must be above 0")
        if self.checkups is not None and not 0 <= self.checkups <= 1000:
            raise InputError(f"checkups is {self.checkups}: give 0 to 1000")


@dataclass(frozen=True)
class Plan:
    """What a run does. Kept in its config.json, so that a resumed run does the same."""

    recipe: Recipe
    preset: str
    images: int  # the horizon, as first aimed
    seconds: float | None  # the time box, where there is one
    precision: Precision
    accumulate: int
    seed: int
    rate: float | None = None  # images a second, as measured before the start
    checkups: int = 0  # evaluations along the way
    samples: int = 0  # that each of them draws


def recipe_of(name: str, data: Dataset, options: TrainOptions) -> Recipe:
    """A preset's recipe for these pictures, with what was asked for otherwise."""
    task = options.task.of(data.pictures)
    recipe = tasked(PRESETS[name](task.drawn(data.pictures), data.deviation(task.target)), task)
    if options.recipe is not None:
        recipe = overlaid(recipe, options.recipe)
    training = replace(recipe.training, flip=options.flip or recipe.training.flip)
    if options.batch is not None:
        training = replace(training, batch=options.batch)
    if options.lr is not None:
        training = replace(training, lr=options.lr)
    model = recipe.model
    if options.dropout is not None:
        model = replace(model, net=replace(model.net, dropout=options.dropout))
    return Recipe(model, training)


def seconds_per_image(recipe: Recipe, precision: Precision, device: torch.device, share: int, budget: float) -> float:
    """The time that a training step of `share` images takes, over `share`: the shortest of those that fit the budget.

    The shortest, because whatever else the machine does can only add to it; a time box is aimed anew as it runs.
    `budget`, in seconds, is overdrawn by two steps at the most.
    """
    model = PictureModel(recipe.model).to(device).train()
    objective = recipe.loss()
    optimizer = optimizer_of(model, recipe)
    x0 = torch.zeros(share, *recipe.model.pictures.shape, device=device)
    t, eps = torch.full((share,), 0.01, dtype=torch.float64), torch.randn_like(x0)
    net, wording = recipe.model.net, recipe.model.pictures.wording
    stacked = recipe.model.task.stacked(recipe.model.pictures)
    cond = Condition(
        image=torch.zeros(share, stacked, *x0.shape[2:], device=device) if stacked else None,
        label=torch.zeros(share, dtype=torch.int64, device=device) if net.classes else None,
        vector=torch.zeros(share, net.vector, device=device) if net.vector else None,
        tokens=None if wording is None else torch.zeros(share, wording.rows, wording.width, device=device),
    )

    def step() -> float:
        before = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = objective(model, x0, t, eps, cond).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - before

    start = time.perf_counter()
    step()  # the first one allocates
    times = [step()]
    while time.perf_counter() - start < budget and len(times) < 50:
        times.append(step())
    return min(times) / share


def precisions(asked: str, device: torch.device) -> tuple[Precision, ...]:
    """Which precisions to try."""
    if asked == "auto":
        # a processor without instructions for it computes bf16 by way of fp32, slowly
        native = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
        return ("fp32", "bf16") if native else ("fp32",)
    return ("bf16",) if asked == "bf16" else ("fp32",)


def share_of(batch: int, processes: int, parts: int) -> int:
    """Images of each part of a step, on each process. Raises InputError where some would be left over."""
    share, rest = divmod(batch, processes * parts)
    if rest or share < 1:
        raise InputError(
            f"a batch of {batch} cannot be shared by {processes} processes in {parts} parts: "
            f"use a multiple of {processes * parts}"
        )
    return share


def draw_up(data: Dataset, options: TrainOptions, device: torch.device, processes: int, left: float | None) -> Plan:
    """Choose preset, precision and horizon. `left`: the seconds of the time box that remain, where there is one."""
    budget = 1.0 if left is None else min(1.0, left / 100)  # seconds to measure a preset for
    names: Iterable[str] = WANTED if options.preset == "auto" else (options.preset,)
    best: Plan | None = None
    for name in names:  # from the smallest
        if best is not None and best.images < WANTED[name]:
            break  # a larger one would see fewer still
        recipe = recipe_of(name, data, options)
        share = share_of(recipe.training.batch, processes, options.accumulate)
        cost = {
            p: seconds_per_image(recipe, p, device, share, budget) / processes
            for p in precisions(options.precision, device)
        }
        precision = min(cost, key=lambda p: cost[p] * (1.1 if p == "bf16" else 1.0))  # it has to be worth it
        images = options.images if left is None else int(left / cost[precision])
        assert images is not None
        batches = max(1, -(-images // recipe.training.batch))
        plan = Plan(
            recipe, name, batches * recipe.training.batch, options.seconds, precision,
            options.accumulate, options.seed, 1 / cost[precision],
        )  # fmt: skip
        if best is not None and plan.images < WANTED[name]:
            break
        best = plan
    assert best is not None and best.rate is not None
    seconds = best.images / best.rate if left is None else left
    model = best.recipe.model  # one that is given a picture is not judged by what it draws out of noise
    asked = options.checkups if model.task.wanted(model.pictures) is None else 0
    times, samples = affordable(data, seconds, processes / best.rate, asked)  # one process draws
    return replace(best, checkups=times, samples=samples)
