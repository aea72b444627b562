"""Presets: a name → the recipe that it gives for a data set."""

import math

from ...data.pictures import Pictures
from ...diffusion import loss, parametrization, schedule
from ...models.config import ModelConfig, SamplingDefaults
from ...nn.architecture import UNetConfig
from .papers import PAPER_PRESETS
from .recipe import Preset, Recipe, TrainingConfig


def unet_preset(width: int, multipliers: tuple[int, ...], batch: int, patch: int = 1) -> Preset:
    """EDM (Karras et al. 2022) with a U-Net whose lowest level has about 4 pixels a side, with attention at 8 pixels.

    `width`: channels of the first level; `multipliers`: of it, for each level. With a `patch` above 1, pixels are
    patches of so many pixels a side.
    """

    def preset(pictures: Pictures, sigma_data: float) -> Recipe:
        side = min(pictures.model_shape[1:]) // patch
        levels = max(2, min(len(multipliers), round(math.log2(side)) - 1))
        net = UNetConfig(
            in_channels=pictures.model_channels,
            out_channels=pictures.model_channels,
            channels=tuple(width * m for m in multipliers[:levels]),
            attention=tuple(side // 2**i <= 8 and side // 2**i > 4 for i in range(levels)),
            patch=patch,
            classes=len(pictures.labels),
            vector=len(pictures.attributes),
            tokens=pictures.token_dim,
            groups=8,
            time_channels=width,
            modulation="scale_shift",
        )
        model = ModelConfig(
            net=net,
            schedule=schedule.VarianceExploding(),
            parametrization=parametrization.EDM(sigma_data),
            pictures=pictures,
            sampling=SamplingDefaults(),
        )
        weighting = loss.EDMWeight(sigma_data)
        training = TrainingConfig(
            batch, "muon", 5e-3, weighting=weighting, grid_fit_share=0.02, gaussian_prior=True, autoguidance=2.0
        )
        return Recipe(model, training)

    return preset


PRESETS: dict[str, Preset] = {
    "tiny": unet_preset(32, (1, 2, 2), batch=32),  # for minutes on a CPU: many small steps
    "small": unet_preset(48, (1, 2, 2), batch=64),
    "base": unet_preset(64, (1, 2, 2), batch=64),
    "patch": unet_preset(
        48, (1, 2, 2), batch=64, patch=2
    ),  # for 32 pixels and more: a quarter of the computation of "small"
    **PAPER_PRESETS,
}

# The presets that "auto" chooses from, smallest first, and how many training images a run needs to profit from each.
MIN_IMAGES: dict[str, int] = {"tiny": 0, "small": 400_000, "base": 1_500_000}
