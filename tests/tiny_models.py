"""A model that is quick to draw with, and drew nothing of value: random weights, real behavior."""

from dataclasses import replace
from typing import Literal

import torch

from noisette.data.pictures import Mode, Pictures, TextEncoderInfo
from noisette.diffusion.parametrization import EDM
from noisette.diffusion.schedule import VarianceExploding
from noisette.models.classifier import ClassifierModelConfig, PictureClassifier
from noisette.models.config import ModelConfig, SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.models.task import Draw, Task
from noisette.nn.architecture import UNetConfig
from noisette.nn.classifier import ClassifierConfig

LABELS = ("bread", "health potion", "sword")


def tiny(
    mode: Mode = "RGBA",
    labels: tuple[str, ...] = LABELS,
    height: int = 8,
    width: int = 8,
    seed: int = 0,
    attributes: tuple[str, ...] = (),
    means: tuple[float, ...] = (),
    scales: tuple[float, ...] = (),
    wording: TextEncoderInfo | None = None,
    channels: tuple[int, int] = (8, 8),
    task: Task = Draw(),  # noqa: B008, a value
    label_input: Literal["embedding", "planes"] = "embedding",
) -> PictureModel:
    pictures = Pictures(mode, height, width, labels, attributes, means=means, scales=scales, text_encoder=wording)
    net = UNetConfig(
        in_channels=pictures.channels + task.cond_channels(pictures),
        out_channels=pictures.channels,
        channels=channels,
        blocks=1,
        attention=(False, True),
        classes=len(labels),
        label_input=label_input,
        vector=len(attributes),
        tokens=pictures.token_dim,
        groups=4,
        time_channels=8,
    )
    config = ModelConfig(net, VarianceExploding(), EDM(0.5), pictures, SamplingDefaults(steps=4), task=task)
    model = PictureModel(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():  # the last layer starts at 0: the model would ignore its inputs
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return model.eval().requires_grad_(False)


def make_classifier(model: PictureModel, labels: tuple[str, ...] | None = None) -> PictureClassifier:
    """A classifier of random weights that reads a model's pictures."""
    pictures = replace(model.pictures, labels=model.pictures.labels if labels is None else labels)
    encoder = UNetConfig(
        in_channels=pictures.channels,
        out_channels=pictures.channels,
        channels=(8, 8),
        blocks=1,
        attention=(False, True),
        groups=4,
        time_channels=8,
    )
    net = ClassifierConfig(encoder=encoder, classes=len(pictures.labels), side=pictures.height)
    made = PictureClassifier(ClassifierModelConfig(net, model.schedule, pictures))
    generator = torch.Generator().manual_seed(5)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return made.eval().requires_grad_(False)
