"""Small models of every kind of process, with weights for which every input changes the output."""

from dataclasses import replace
from typing import Any

import torch

from noisette.data.pictures import Mode, Pictures
from noisette.diffusion.parametrization import EDM, Parametrization
from noisette.diffusion.schedule import Schedule, VarianceExploding
from noisette.models.config import ModelConfig, SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.nn.unet import UNetConfig

NET = UNetConfig(channels=(8, 16), blocks=1, attention=(False, True), groups=4, time_channels=8)
EXPLODING, HALF, FOUR = VarianceExploding(), EDM(0.5), SamplingDefaults(steps=4)


def small(
    schedule: Schedule = EXPLODING,
    parametrization: Parametrization = HALF,
    mode: Mode = "RGB",
    size: tuple[int, int] = (8, 8),
    labels: tuple[str, ...] = (),
    attributes: tuple[str, ...] = (),
    sampling: SamplingDefaults = FOUR,
    std: float = 0.2,
    binary_alpha: bool = False,
    **net: Any,
) -> PictureModel:
    """A model of 8 channels or so; `net` are fields of its network."""
    pictures = Pictures(mode, *size, labels, attributes, binary_alpha=binary_alpha)
    shape = {"in_channels": pictures.channels, "out_channels": pictures.channels}
    shape |= {"classes": len(labels), "vector": len(attributes)}
    config = ModelConfig(replace(NET, **(shape | net)), schedule, parametrization, pictures, sampling)
    model = PictureModel(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std, generator=generator)
    return model.eval().requires_grad_(False)
