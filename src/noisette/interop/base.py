"""Shared parts of the converters: what they produce, and renaming tensors.

Names and shapes of the weights determine most of a network's config. What they do not determine is assumed, and listed
in the notes of the conversion; `ConversionOverrides` replaces the assumptions.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ..diffusion import parametrization
from ..diffusion.parametrization import Parametrization
from ..errors import InputError, shorten
from ..models.classifier import ClassifierModelConfig
from ..models.config import ModelConfig
from ..models.picture_autoencoder import AutoencoderModelConfig

PredictionType = Literal["epsilon", "x0", "v"]
PARAMETRIZATIONS: dict[PredictionType, Parametrization] = {
    "epsilon": parametrization.Epsilon(), "x0": parametrization.X0(), "v": parametrization.V(),
}  # fmt: skip


@dataclass(frozen=True)
class ConversionOverrides:
    """Settings that cannot be read from weights. None: use the default of the checkpoint's project. Sizes in pixels."""

    heads: int | None = None  # attention heads, at every level
    head_channels: int | None = None  # channels of each head, instead of `heads`
    attention_order: Literal["legacy", "new"] | None = None  # of the rows of q, k and v
    schedule: Literal["linear", "cosine"] | None = None
    train_timesteps: int | None = None  # diffusion steps in training
    rescale_timesteps: bool | None = None  # the network gets timesteps scaled to 0 … 1000
    prediction_type: PredictionType | None = None
    size: tuple[int, int] | None = None  # height and width of the pictures

    def with_defaults(self, defaults: "ConversionOverrides") -> "ConversionOverrides":
        """These overrides, with `defaults` for every field that is None."""
        given = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if {"heads", "head_channels"} & given.keys():  # two ways to set the same
            defaults = replace(defaults, heads=None, head_channels=None)
        return replace(defaults, **given)

    def check_allowed(self, source: str, *names: str) -> None:
        """Raise InputError for a field that is set and not in `names`; `source` describes the file in the message."""
        for f in fields(self):
            if getattr(self, f.name) is not None and f.name not in names:
                flag = "--" + f.name.replace("_", "-")
                raise InputError(f"{flag} has no effect on {source}, which stores this setting itself: leave it out")


@dataclass(frozen=True)
class ConvertedModel:
    """The config and weights of a model of another project, in this library's terms."""

    family: str  # the project and the kind of network
    config: ModelConfig | ClassifierModelConfig | AutoencoderModelConfig
    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()  # assumptions and changes, a sentence each


def tensor_size(tensors: Mapping[str, Tensor], name: str, axis: int, where: str | Path) -> int:
    """The size of a tensor along an axis; InputError if it is missing or has fewer axes. `where` names the file."""
    if name not in tensors:
        raise InputError(f"{where} has no tensor {name}, which this kind of network has")
    shape = tuple(tensors[name].shape)
    if axis >= len(shape) or not shape[axis]:
        raise InputError(f"{where}: the tensor {name} has shape {shape}: it belongs to another network")
    return shape[axis]


def count_numbered(names: Iterable[str], pattern: str, where: str | Path) -> int:
    """How many numbered parts there are: 1 + the largest number that `pattern` captures; 0 without any."""
    numbers = [m[1] for name in names if (m := re.match(pattern, name))]
    if any(len(number) > 3 for number in numbers):
        raise InputError(f"{where} numbers its layers up to {shorten(max(numbers, key=len))}: the names are damaged")
    return 1 + max(map(int, numbers), default=-1)


def make_numbered_labels(classes: int) -> tuple[str, ...]:
    """Labels "0", "1", …, for classes without names."""
    return tuple(map(str, range(classes)))


NameMap = Callable[[str], tuple[str, ...]]  # our tensor name → source names; several are concatenated
TensorTransform = Callable[[str, Tensor], Tensor]  # (our name, tensor) → tensor: reshaped, permuted


def keep_tensor(name: str, tensor: Tensor) -> Tensor:
    """The transform that changes nothing."""
    return tensor


def convert_state_dict(
    source: Mapping[str, Tensor],
    name_map: NameMap,
    build_net: Callable[[], nn.Module],
    where: str,
    transform: TensorTransform = keep_tensor,
) -> dict[str, Tensor]:
    """`source` renamed and transformed to the state dict of the network that `build_net` makes.

    InputError for the first missing, extra or misshaped tensor, by its source name; `where` describes the network.
    """
    with torch.device("meta"):
        target = build_net().state_dict()
    tensors = {
        name: _convert_tensor(source, name_map(name), name, like, where, transform) for name, like in target.items()
    }
    used = {part for name in target for part in name_map(name)}
    if extra := next((name for name in source if name not in used), None):
        raise InputError(f"{where} has no tensor {extra}: the file belongs to another network")
    return tensors


def _convert_tensor(
    source: Mapping[str, Tensor],
    source_names: tuple[str, ...],
    name: str,
    like: Tensor,
    where: str,
    transform: TensorTransform,
) -> Tensor:
    for part in source_names:
        if part not in source:
            raise InputError(
                f"{where} needs the tensor {part}, which is not in the file: it belongs to another network"
            )
    values = [source[part] for part in source_names]
    can_concatenate = all(v.ndim == values[0].ndim and v.shape[1:] == values[0].shape[1:] for v in values)
    value = values[0] if len(source_names) == 1 or not can_concatenate else torch.cat(values)
    if value.numel() == like.numel():
        value = transform(name, value)
    if value.shape != like.shape:
        raise InputError(
            f"{where} needs the tensor {source_names[0]} with shape {tuple(like.shape)}, but in the file it has shape "
            f"{tuple(value.shape)}: it belongs to another network"
        )
    return value.to(like.dtype).contiguous()
