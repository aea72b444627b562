"""What other projects write: how it is read without running anything of it, and what is made of it.

Weights say much about the network that they belong to, and not everything. What they don't say is assumed, the
assumption is told, and `Said` corrects it.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from .. import parametrization
from ..classifier import ClassifierModelConfig
from ..config import ModelConfig
from ..errors import InputError
from ..files import read_bytes
from ..parametrization import Parametrization
from ..pictures import CHANNELS, Mode
from ..tensors import from_bytes

Prediction = Literal["epsilon", "x0", "v"]
PREDICTIONS: dict[Prediction, Parametrization] = {
    "epsilon": parametrization.Epsilon(), "x0": parametrization.X0(), "v": parametrization.V(),
}  # fmt: skip

WRAPPERS = ("state_dict", "model_state_dict")  # under which trainers put a network's tensors beside other things


@dataclass(frozen=True)
class Said:
    """What a person says of a checkpoint because its weights don't. None: assume what its project does."""

    heads: int | None = None  # attention heads, at every width
    head_channels: int | None = None  # or the width of each
    attention_order: Literal["legacy", "new"] | None = None  # of the rows of q, k and v
    schedule: Literal["linear", "cosine"] | None = None
    chain: int | None = None  # its steps
    rescale: bool | None = None  # show the network every chain as one of 1000 steps
    predicts: Prediction | None = None
    size: tuple[int, int] | None = None  # height and width of the pictures

    def over(self, others: "Said") -> "Said":
        """The same, and what `others` says where this says nothing."""
        mine = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if {"heads", "head_channels"} & mine.keys():  # the two say the same thing
            others = replace(others, heads=None, head_channels=None)
        return replace(others, **mine)

    def only(self, what: str, *names: str) -> None:
        """Refuse what cannot be said of `what`."""
        for f in fields(self):
            if getattr(self, f.name) is not None and f.name not in names:
                flag = "--" + f.name.replace("_", "-")
                raise InputError(f"{flag} cannot be said of {what}, which tells it itself: leave it out")


@dataclass(frozen=True)
class Converted:
    """A model of another project as one of ours."""

    family: str  # the project, and which of its networks
    config: ModelConfig | ClassifierModelConfig
    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()  # what was assumed or changed, a sentence each


def read_tensors(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a .pt, .pth, .bin or .safetensors file holds by name, and notes on what was changed; nothing is executed.

    Floats come out as float32, and names without the "module." of a parallel trainer.
    """
    data = from_bytes(read_bytes(path), path) if path.suffix == ".safetensors" else _unpickled(path)
    for name in WRAPPERS:
        if isinstance(data, Mapping) and isinstance(data.get(name), Mapping):
            data = data[name]
    if not isinstance(data, Mapping) or not data:
        raise InputError(f"{path} holds {_kind(data)}, not named tensors")
    found = {str(name).removeprefix("module."): value for name, value in data.items()}
    return in_float32(found)


def in_float32(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The same with every tensor of floats in float32; the note says what they were in."""
    others = {str(v.dtype).removeprefix("torch.") for v in data.values() if _other_float(v)}
    changed = {k: v.float() if _other_float(v) else v for k, v in data.items()}
    return changed, tuple(f"weights in {kind} were converted to float32" for kind in sorted(others))


def _other_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float32


def _unpickled(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} is no file: give a checkpoint, or a folder that diffusers wrote")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write: if they can be read, they are
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # a damaged or hostile file raises whatever it likes
        if name := re.search(r"(?:GLOBAL|class) '?([\w.]+)", str(error)):
            what = f"{name[1]}, which is code and no tensor"
            raise InputError(f"{path} asks for {what}: it was not opened; save its state_dict alone") from None
        reason = str(error).split("\n", 1)[0][:120] or type(error).__name__
        raise InputError(f"{path} is damaged, or is no checkpoint of PyTorch's ({reason})") from None


def _kind(data: object) -> str:
    return "nothing" if isinstance(data, Mapping) else f"a {type(data).__name__}"


def weights_of(data: Mapping[str, Any], where: Path) -> dict[str, Tensor]:
    """Tensors by name, and nothing else."""
    for name, value in data.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{where}: {name} is a {type(value).__name__}, not a tensor: it holds no network's weights"
            )
    return dict(data)


def mode_of(channels: int, where: Path) -> Mode:
    """Grey, RGB, …: pictures of so many channels."""
    for mode, number in CHANNELS.items():
        if number == channels:
            return mode
    raise InputError(f"{where} draws {channels} channels: pictures here have 1 to 4")


def names_of(classes: int) -> tuple[str, ...]:
    """Labels where no names are known: the numbers."""
    return tuple(map(str, range(classes)))
