"""Presets: a name, and the recipe that it makes of a data set."""

import math

from . import loss, parametrization, schedule
from .config import ModelConfig, Sampling
from .nn.architecture import UNetConfig
from .papers import PAPERS
from .pictures import Pictures
from .recipe import Preset, Recipe, Training


def laptop(width: int, multipliers: tuple[int, ...], batch: int, patch: int = 1) -> Preset:
    """EDM (Karras et al. 2022) with a U-Net whose levels end at about 4 pixels a side and which attends at 8.

    With a patch, pixels are those that the U-Net sees.
    """

    def preset(pictures: Pictures, sigma_data: float) -> Recipe:
        side = min(pictures.height, pictures.width) // patch
        levels = max(2, min(len(multipliers), round(math.log2(side)) - 1))
        net = UNetConfig(
            in_channels=pictures.channels,
            out_channels=pictures.channels,
            channels=tuple(width * m for m in multipliers[:levels]),
            attention=tuple(side // 2**i <= 8 and side // 2**i > 4 for i in range(levels)),
            patch=patch,
            classes=len(pictures.labels),
            vector=len(pictures.attributes),
            tokens=pictures.tokens,
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
        training = Training(batch, "muon", 5e-3, weighting=loss.EDMWeight(sigma_data), fit=0.02)
        return Recipe(model, training)

    return preset


PRESETS: dict[str, Preset] = {
    "tiny": laptop(32, (1, 2, 2), batch=32),  # for minutes on a processor: many small steps
    "small": laptop(48, (1, 2, 2), batch=64),
    "base": laptop(64, (1, 2, 2), batch=64),
    "patch": laptop(48, (1, 2, 2), batch=64, patch=2),  # for 32 pixels and more: a quarter of the work of "small"
    **PAPERS,
}

# What "auto" chooses from, smallest first: the images that a run should at least see for a preset to be worth its cost.
WANTED: dict[str, int] = {"tiny": 0, "small": 400_000, "base": 1_500_000}
