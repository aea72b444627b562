"""From what another project wrote to a model folder: recognise, rename, check, write."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..classifier import PictureClassifier
from ..condition import Condition
from ..config import ModelConfig
from ..errors import InputError
from ..model import PictureModel
from . import context_unet, ddpm_pytorch, diffusers, guided_diffusion
from .foreign import Converted, Said, read_tensors

FILES = (guided_diffusion, ddpm_pytorch, context_unet)  # who is asked, in this order, whether it knows a file's names


def recognised(source: Path, said: Said) -> Converted:
    """What `source` holds, as one of ours; nothing of it is executed, nothing is written."""
    if source.is_dir():
        if not diffusers.knows(source):
            raise InputError(f"{source} is no folder that diffusers wrote: it holds no model_index.json")
        return diffusers.read(source, said)
    data, notes = read_tensors(source)
    for project in FILES:
        if project.knows(data):
            found = project.read(data, source, said)
            return Converted(found.family, found.config, found.tensors, notes + found.notes)
    listed = ", ".join(list(data)[:3])
    raise InputError(
        f"{source} is of no network that is known here (its first tensors are {listed}): improved- and "
        "guided-diffusion, denoising-diffusion-pytorch, the sprites course and diffusers' UNet2DModel are"
    )


def built(found: Converted) -> PictureModel | PictureClassifier:
    """The model, with its weights, after a look at what it answers."""
    model: PictureModel | PictureClassifier
    if isinstance(found.config, ModelConfig):
        model = PictureModel(found.config)
    else:
        model = PictureClassifier(found.config)
    model.net.load_state_dict(found.tensors)
    model.eval().requires_grad_(False)
    _look(model)
    return model


@torch.no_grad()
def _look(model: PictureModel | PictureClassifier) -> None:
    """One forward pass in the middle of the process: of the right shape, and finite."""
    config, t = model.config, torch.tensor(0.5, dtype=torch.float64)
    if isinstance(config, ModelConfig):
        assert isinstance(model, PictureModel)
        height, width = model.pictures.height, model.pictures.width
        x = torch.randn(1, model.pictures.channels, height, width, generator=torch.Generator().manual_seed(0))
        extra = config.net.in_channels - model.pictures.channels
        asked = Condition(
            label=torch.zeros(1, dtype=torch.int64) if config.net.classes else None,
            image=x[:, :1].repeat(1, extra, 1, 1) if extra else None,
        )
        answer, shape = model(x, t, asked), [1, config.net.out_channels, height, width]
    else:
        side = config.net.side
        x = torch.randn(1, config.net.encoder.in_channels, side, side, generator=torch.Generator().manual_seed(0))
        answer, shape = model(x, t), [1, config.net.classes]
    if list(answer.shape) != shape or not answer.isfinite().all():
        raise InputError("the converted network's answer is not finite: the weights are damaged")


@dataclass(frozen=True)
class Report:
    """What was converted."""

    family: str
    parameters: int
    config: object
    notes: tuple[str, ...]


def convert(source: Path, out: Path, said: Said) -> Report:
    """Write `source` as a model folder; nothing is written unless all went well."""
    if out.exists():
        raise InputError(f"{out} exists: give a new folder")
    found = recognised(source, said)
    model = built(found)
    model.save_pretrained(out)
    return Report(found.family, parameters(model), found.config, found.notes)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
