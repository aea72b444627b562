"""The networks of other projects, built tiny and random by their own code."""

import sys
import types
import warnings
from typing import Any

import pytest
import torch
from torch import nn


def randomized(net: nn.Module, std: float = 0.08) -> nn.Module:
    """Every weight drawn: fresh networks end in zeros, and would agree whatever came before."""
    generator = torch.Generator().manual_seed(7)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=std, generator=generator)
    return net.eval()


def guided_diffusion() -> Any:
    """OpenAI's package, as it is on the index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of names that it has moved
        unet = pytest.importorskip("guided_diffusion.unet", reason="make test installs it")
        from guided_diffusion import gaussian_diffusion, respace
    return types.SimpleNamespace(unet=unet, gaussian=gaussian_diffusion, respace=respace)


def denoising_diffusion_pytorch() -> Any:
    """It imports torchvision for a trainer that is not used here: an empty stand-in will do, until it is imported."""
    parts = {name: types.ModuleType(f"torchvision.{name}") for name in ("transforms", "utils")}
    empty = types.ModuleType("torchvision")
    empty.__dict__.update(parts)
    named = {"torchvision": empty, **{f"torchvision.{name}": part for name, part in parts.items()}}
    stand_ins = {} if "torchvision" in sys.modules else named
    sys.modules.update(stand_ins)
    try:
        return pytest.importorskip(
            "denoising_diffusion_pytorch.denoising_diffusion_pytorch", reason="make test installs it"
        )
    finally:  # transformers asks whether it is installed
        for name in stand_ins:
            del sys.modules[name]
