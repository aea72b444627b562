"""The sprites course's ContextUnet, as its notebooks save it: a state dict alone.

The course trains on a chain of 500 steps with β from 1e-4 to 0.02, whose table has one entry more than it has steps, so
that its first step adds what two would; and it draws the way around its first block anew at every call. That has no
weights to convert: its mean is nothing, and nothing is what the way around answers here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..config import ModelConfig, Sampling
from ..nn.context_unet import ContextUNetConfig
from ..parametrization import Epsilon
from ..pictures import Pictures
from ..schedule import GivenBetas
from .foreign import Converted, Said, mode_of, names_of, weights_of
from .tables import fitted

RENAMES: tuple[tuple[str, str], ...] = (  # ours → theirs
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
LABELS = ("hero", "non-hero", "food", "spell", "side-facing")  # of its five classes, in their order
SHORTCUT = "init_conv.shortcut."


def knows(names: Mapping[str, Any]) -> bool:
    """Whether these are its names."""
    return {"init_conv.conv1.0.weight", "timeembed1.model.0.weight", "up0.0.weight"} <= names.keys()


def read(data: Mapping[str, Any], path: Path, said: Said) -> Converted:
    """The state dict of a ContextUnet."""
    said.only(f"{path}, a ContextUnet of the sprites course", "chain", "size")
    theirs = weights_of(data, path)
    first, spread = theirs["init_conv.conv1.0.weight"], theirs["up0.0.weight"]
    features, channels = first.shape[0], first.shape[1]
    height, width = said.size or (4 * spread.shape[2], 4 * spread.shape[3])
    classes = theirs["contextembed1.model.0.weight"].shape[1] if "contextembed1.model.0.weight" in theirs else 0
    steps = said.chain or 500
    net = ContextUNetConfig(
        in_channels=channels, out_channels=channels, classes=classes, features=features, height=height, width=width,
        steps=steps, norm="batch",
    )  # fmt: skip
    notes: tuple[str, ...] = (
        () if said.chain else ("the weights don't say, so assumed: a chain of 500 steps (--chain)",)
    )
    if SHORTCUT + "weight" not in theirs:
        theirs |= {
            SHORTCUT + "weight": torch.zeros(features, channels, 1, 1),
            SHORTCUT + "bias": torch.zeros(features),
        }
        notes += (
            "the course draws the way around its first block anew at every call: its mean is taken, which is nothing",
        )
    tensors = fitted(theirs, name_of, net.build, "the sprites course's ContextUnet")
    labels = LABELS if classes == len(LABELS) else names_of(classes)
    pictures = Pictures(mode_of(channels, path), height, width, labels)
    config = ModelConfig(net, chain_of(steps), Epsilon(), pictures, Sampling("ddpm", "trailing", steps))
    return Converted("the sprites course's ContextUnet", config, tensors, notes)


def name_of(ours: str) -> tuple[str]:
    """Their name of one of our tensors."""
    for pattern, to in RENAMES:
        ours = re.sub(pattern, to, ours)
    return (ours,)


def chain_of(steps: int) -> GivenBetas:
    """β_k = 1e-4 + (0.02 − 1e-4) k / T for k = 0 … T, of which the first two make one step."""
    betas = torch.linspace(1e-4, 0.02, steps + 1, dtype=torch.float64)
    first = 1 - (1 - betas[0]) * (1 - betas[1])
    return GivenBetas(steps, (first.item(), *betas[2:].tolist()))
