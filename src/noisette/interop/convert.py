"""Convert a checkpoint of another project to a model folder: recognize, rename, check, write."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..diffusion.condition import Condition
from ..errors import InputError, shorten
from ..io.checkpoint_file import read_tensors
from ..models import diffusers_autoencoder
from ..models.classifier import PictureClassifier
from ..models.config import ModelConfig
from ..models.picture_autoencoder import AutoencoderModelConfig, PictureAutoencoder
from ..models.picture_model import PictureModel
from . import context_unet, diffusers, guided_diffusion
from . import denoising_diffusion_pytorch as ddpm_pytorch
from .base import ConversionOverrides, ConvertedModel

READERS = (guided_diffusion, ddpm_pytorch, context_unet)  # modules with is_supported() and read(), tried in this order


def convert_source(source: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """The model in `source`, a checkpoint file or a diffusers folder. Executes no code and writes nothing.

    InputError for unknown or damaged sources.
    """
    if source.is_dir():
        if networks := diffusers.find_networks(source) if not (source / "model_index.json").is_file() else []:
            raise InputError(
                f"{source} is a checkpoint of a training script of diffusers: give {' or '.join(map(str, networks))}"
            )
        if diffusers.is_supported(source):
            return diffusers.read(source, overrides)
        if diffusers_autoencoder.find_folder(source) is not None:
            return read_autoencoder(source, overrides)
        raise InputError(f"{source} is not a folder written by diffusers: it has no model_index.json")
    data, notes = read_tensors(source)
    for project in READERS:
        if project.is_supported(data):
            model = project.read(data, source, overrides)
            return ConvertedModel(model.family, model.config, model.tensors, notes + model.notes)
    if diffusers.has_network_names(data):
        raise InputError(
            f"{source} holds the weights of a diffusers network, whose settings are in its config.json: give the "
            "folder with both"
        )
    names = ", ".join(map(shorten, list(data)[:3]))
    raise InputError(
        f"{source} belongs to no supported network (its first tensors are {names}): supported are improved- and "
        "guided-diffusion, denoising-diffusion-pytorch, the sprites course and folders of diffusers"
    )


def read_autoencoder(folder: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """The autoencoder in a folder that diffusers wrote.

    Raises InputError for overrides, which it takes none of, and for an unsupported or damaged autoencoder.
    """
    overrides.check_allowed(f"{folder}, a diffusers autoencoder")
    config, tensors, notes = diffusers_autoencoder.read(folder)
    kind = type(config.net).__name__.removesuffix("Config")
    return ConvertedModel(f"diffusers' {kind}", config, tensors, notes)


def build_model(converted: ConvertedModel) -> PictureModel | PictureClassifier | PictureAutoencoder:
    """The model with its weights, in eval mode. InputError if a forward pass is not finite."""
    model: PictureModel | PictureClassifier | PictureAutoencoder
    if isinstance(converted.config, ModelConfig):
        model = PictureModel(converted.config)
    elif isinstance(converted.config, AutoencoderModelConfig):
        model = PictureAutoencoder(converted.config)
    else:
        model = PictureClassifier(converted.config)
    model.net.load_state_dict(converted.tensors)
    model.eval().requires_grad_(False)
    if isinstance(model, PictureAutoencoder):
        diffusers_autoencoder.require_finite(model)
    else:
        _check_output(model)
    return model


@torch.no_grad()
def _check_output(model: PictureModel | PictureClassifier) -> None:
    """Check shape and finiteness of one forward pass at t = 0.5."""
    config, t = model.config, torch.tensor(0.5, dtype=torch.float64)
    if isinstance(config, ModelConfig):
        assert isinstance(model, PictureModel)
        height, width = model.pictures.height, model.pictures.width
        x = torch.randn(1, model.pictures.channels, height, width, generator=torch.Generator().manual_seed(0))
        extra = config.net.in_channels - model.pictures.channels
        cond = Condition(
            label=torch.zeros(1, dtype=torch.int64) if config.net.classes else None,
            image=x[:, :1].repeat(1, extra, 1, 1) if extra else None,
        )
        output, shape = model(x, t, cond), [1, config.net.out_channels, height, width]
    else:
        side = config.net.side
        x = torch.randn(1, config.net.encoder.in_channels, side, side, generator=torch.Generator().manual_seed(0))
        output, shape = model(x, t), [1, config.net.classes]
    if list(output.shape) != shape or not output.isfinite().all():
        raise InputError("the output of the converted network is not finite: its weights are damaged")


@dataclass(frozen=True)
class ConversionReport:
    """What was converted, and how."""

    family: str  # the project and the kind of network
    parameters: int  # number of weights
    config: object  # ModelConfig, ClassifierModelConfig or AutoencoderModelConfig
    notes: tuple[str, ...]  # assumptions and changes, a sentence each


def convert_model(source: Path, out: Path, overrides: ConversionOverrides) -> ConversionReport:
    """Convert `source` and write it as the model folder `out`. Nothing is written if it fails with InputError."""
    if out.exists():
        raise InputError(f"{out} exists: give a new folder")
    converted = convert_source(source, overrides)
    model = build_model(converted)
    model.save_pretrained(out)
    return ConversionReport(converted.family, count_parameters(model), converted.config, converted.notes)


def count_parameters(model: nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())
