"""Folders that diffusers wrote: configs read against types, and weights in one file or in shards."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ..errors import InputError, shorten
from .checkpoint_file import read_tensors, require_tensors
from .json_files import read_object
from .json_types import get_field, parse_object

T = TypeVar("T")

WEIGHTS_NAME = "diffusion_pytorch_model"
WEIGHTS_FILE = re.compile(rf"{WEIGHTS_NAME}(\.(?P<variant>\w+))?\.(safetensors|bin)")
INDEX_FILE = re.compile(rf"{WEIGHTS_NAME}\.(safetensors|bin)\.index(\.(?P<variant>\w+))?\.json")
SHARD_FILE = re.compile(rf"{WEIGHTS_NAME}[\w.-]*\.(safetensors|bin)")
OLD_NAMES: tuple[tuple[str, str], ...] = (  # names before 2023 → current names
    (".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0."),
    (".Conv2d_0.", ".conv."),
)  # fmt: skip


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The content of a config; {} if there is none."""
    return read_object(folder / name) if (folder / name).is_file() else {}


def parse_known(cls: type[T], config: Mapping[str, Any], where: str) -> T:
    """The keys of a config that are fields of `cls`, with their types."""
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    return parse_object(cls, {key: value for key, value in config.items() if key in names}, where)


def read_weights(unet: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of the network, and notes: of a variant if there are no others. InputError if there are no weights.

    They are in one file, or in several (shards) that an index lists.
    """
    found: dict[str, Path] = {}  # variant → file
    for path in sorted(unet.iterdir(), key=lambda path: (".bin" in path.name, path.suffix == ".json", path.name)):
        if match := WEIGHTS_FILE.fullmatch(path.name) or INDEX_FILE.fullmatch(path.name):
            found.setdefault(match["variant"] or "", path)
    if not found:
        raise InputError(f"{unet} has no weights: it needs {WEIGHTS_NAME}.safetensors or .bin, or shards with an index")
    variant = min(found, key=lambda name: (name != "", name != "ema", name))
    weights = found.pop(variant)
    tensors, notes = _read_shards(weights) if weights.suffix == ".json" else read_tensors(weights)
    if variant:
        notes += (f"the weights of the variant {variant!r} are used",)
    elif found:
        notes += (f"there are also weights of the variant {' and '.join(map(repr, found))}, which are not used",)
    return require_tensors(tensors, weights), notes


def _read_shards(index: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The tensors of several files. The index names them; it cannot lead out of its folder."""
    places = get_field(read_object(index), "weight_map", dict, index)
    files = list(dict.fromkeys(places.values()))
    tensors: dict[str, Any] = {}
    notes: dict[str, None] = {}
    for file in files:
        if not isinstance(file, str) or Path(file).name != file or not SHARD_FILE.fullmatch(file):
            raise InputError(f"{index} names {shorten(repr(file))} as a file of weights: it must be in its own folder")
        part, part_notes = read_tensors(index.with_name(file))
        tensors |= part
        notes |= dict.fromkeys(part_notes)
    if missing := next((name for name in places if name not in tensors), None):
        raise InputError(f"{index} lists the tensor {shorten(missing)}, which is in none of its {len(files)} files")
    return tensors, tuple(notes)


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by diffusers' names of today; weights of linear layers of attentions that were stored as 1 × 1
    convolutions as matrices."""
    current: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        new = name
        for old, replacement in OLD_NAMES:
            new = new.replace(old, replacement)
        if new == name or new not in weights:  # a convolution may be stored under both names
            current[new] = tensor.flatten(1) if re.search(r"attentions\.\d+\.to_", new) and tensor.ndim > 1 else tensor
    return current
