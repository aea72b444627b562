"""Presets: a name, and the recipe that it makes of a data set.

A recipe is all that a run needs to be told beside its pictures and its horizon; it goes into the run's config.json.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from . import loss, parametrization, schedule
from .config import ModelConfig, Sampling
from .nn.architecture import UNetConfig
from .pictures import Pictures


@dataclass(frozen=True)
class Training:
    """How a model is trained. Shares are of the whole run, so that short and long runs end finished alike."""

    batch: int = 64  # images an optimizer step, over all processes and accumulation
    lr: float = 1e-3  # the highest learning rate
    warmup: float = 0.03  # share of the run in which the learning rate rises
    floor: float = 0.01  # what it decays to, by a cosine, as a share of lr
    weight_decay: float = 0.0
    beta2: float = 0.99
    clip: float = 1.0  # of the gradient's norm
    ema: float = 0.03  # half-life of the averaged weights, as a share of the run
    forget: float = 0.1  # the chance that an image is shown without its label
    flip: bool = False  # mirror half of the images
    weighting: loss.Weighting = loss.EDMWeight()
    times: loss.Times = loss.LogNormal()


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained."""

    model: ModelConfig
    training: Training


Preset = Callable[[Pictures, float], Recipe]


def laptop(width: int, multipliers: tuple[int, ...], batch: int, blocks: int = 2, dropout: float = 0.0) -> Preset:
    """EDM (Karras et al. 2022) with a U-Net whose levels end at about 4 pixels a side and which attends at 8."""

    def preset(pictures: Pictures, sigma_data: float) -> Recipe:
        side = min(pictures.height, pictures.width)
        levels = max(2, min(len(multipliers), round(math.log2(side)) - 1))
        net = UNetConfig(
            in_channels=pictures.channels,
            out_channels=pictures.channels,
            channels=tuple(width * m for m in multipliers[:levels]),
            blocks=blocks,
            attention=tuple(side // 2**i <= 8 and side // 2**i > 4 for i in range(levels)),
            mid_attention=True,
            dropout=dropout,
            classes=len(pictures.labels),
            vector=len(pictures.attributes),
            groups=8,
            time_channels=width,
            modulation="scale_shift",
        )
        model = ModelConfig(
            net=net,
            schedule=schedule.VarianceExploding(),
            parametrization=parametrization.EDM(sigma_data),
            pictures=pictures,
            sampling=Sampling(),
        )
        return Recipe(model, Training(batch=batch, weighting=loss.EDMWeight(sigma_data)))

    return preset


PRESETS: dict[str, Preset] = {
    "tiny": laptop(32, (1, 2, 2), batch=32),  # for minutes on a processor: many small steps
    "small": laptop(48, (1, 2, 2), batch=64),
    "base": laptop(64, (1, 2, 2), batch=64),
}

# What "auto" chooses from, smallest first: the images that a run should at least see for a preset to be worth its cost.
WANTED: dict[str, int] = {"tiny": 0, "small": 400_000, "base": 1_500_000}
