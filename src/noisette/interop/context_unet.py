"""The ContextUnet of the course "How Diffusion Models Work" (16×16 sprites, DeepLearning.AI), from its state dict.

The course trains with 500 steps and β from 1e-4 to 0.02, but its table of betas has 501 entries, so its first step adds
the noise of two. Its shortcut convolution around the first block is created with random weights in every forward pass
and has no stored weights: here it is zero, which is the mean.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..data.pictures import Pictures, find_mode
from ..diffusion.parametrization import Epsilon
from ..diffusion.schedule import GivenBetas
from ..io.checkpoint_file import require_tensors
from ..models.config import ModelConfig, SamplingDefaults, build
from ..nn.context_unet import ContextUNetConfig
from .base import ConversionOverrides, ConvertedModel, convert_state_dict, make_numbered_labels, tensor_size

RENAMES: tuple[tuple[str, str], ...] = (  # our names → source names
    (r"^conv_in\.", "init_conv."),
    (r"\.skip\.", ".shortcut."),
    (r"^(down[12])\.([01])\.", r"\1.model.\2."),
    (r"^(up[12])\.grow\.", r"\1.model.0."),
    (r"^(up[12])\.blocks\.0\.", r"\1.model.1."),
    (r"^(up[12])\.blocks\.1\.", r"\1.model.2."),
    (r"^mid\.spread\.", "up0.0."),
    (r"^mid\.norm\.", "up0.1."),
    (r"^(time|context)([12])\.mlp\.", r"\1embed\2.model."),
)
LABELS = ("hero", "non-hero", "food", "spell", "side-facing")  # of the course's five classes, in order
SHORTCUT_PREFIX = "init_conv.shortcut."


def is_supported(names: Mapping[str, Any]) -> bool:
    """Whether a state dict with these names is a ContextUnet."""
    return {"init_conv.conv1.0.weight", "timeembed1.model.0.weight", "up0.0.weight"} <= names.keys()


def read(data: Mapping[str, Any], path: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert the state dict of a ContextUnet. InputError if it is damaged, or for overrides without effect."""
    overrides.check_allowed(f"{path}, a ContextUnet of the sprites course", "train_timesteps", "size")
    source = require_tensors(data, path)
    features, channels = (tensor_size(source, "init_conv.conv1.0.weight", axis, path) for axis in (0, 1))
    sides = tuple(4 * tensor_size(source, "up0.0.weight", axis, path) for axis in (2, 3))
    height, width = overrides.size or sides
    context = "contextembed1.model.0.weight"
    classes = tensor_size(source, context, 1, path) if context in source else 0
    steps = overrides.train_timesteps or 500
    net = ContextUNetConfig(
        in_channels=channels, out_channels=channels, classes=classes, features=features, height=height, width=width,
        steps=steps, norm="batch",
    )  # fmt: skip
    notes: tuple[str, ...] = (
        ()
        if overrides.train_timesteps
        else ("not determined by the weights, so assumed: 500 diffusion steps (--train-timesteps)",)
    )
    if SHORTCUT_PREFIX + "weight" not in source:
        source |= {
            SHORTCUT_PREFIX + "weight": torch.zeros(features, channels, 1, 1),
            SHORTCUT_PREFIX + "bias": torch.zeros(features),
        }
        notes += (
            "the course's shortcut around the first block is random in every forward pass: it is set to its mean, zero",
        )
    tensors = convert_state_dict(source, to_source_name, lambda: build(net), "the sprites course's ContextUnet")
    labels = LABELS if classes == len(LABELS) else make_numbered_labels(classes)
    pictures = Pictures(find_mode(channels, path), height, width, labels)
    config = ModelConfig(net, make_schedule(steps), Epsilon(), pictures, SamplingDefaults("ddpm", "trailing", steps))
    return ConvertedModel("the sprites course's ContextUnet", config, tensors, notes)


def to_source_name(name: str) -> tuple[str]:
    """The ContextUnet's name of one of our tensors."""
    for pattern, to in RENAMES:
        name = re.sub(pattern, to, name)
    return (name,)


def make_schedule(steps: int) -> GivenBetas:
    """The course's schedule: β_k = 1e-4 + (0.02 − 1e-4) k / T for k = 0 … T; the first two entries make one step."""
    betas = torch.linspace(1e-4, 0.02, steps + 1, dtype=torch.float64)
    first = 1 - (1 - betas[0]) * (1 - betas[1])
    return GivenBetas(steps, (first.item(), *betas[2:].tolist()))
