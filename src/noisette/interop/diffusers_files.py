"""The files of a folder that diffusers wrote: configs read against types, and weights in one file or in shards."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from ..errors import InputError, shorten
from ..io.json_files import read_object
from ..io.json_types import get_field, parse_object
from .checkpoint_file import read_tensors, require_tensors

T = TypeVar("T")

WEIGHTS_NAME = "diffusion_pytorch_model"
WEIGHTS_FILE = re.compile(rf"{WEIGHTS_NAME}(\.(?P<variant>\w+))?\.(safetensors|bin)")
INDEX_FILE = re.compile(rf"{WEIGHTS_NAME}\.(safetensors|bin)\.index(\.(?P<variant>\w+))?\.json")
SHARD_FILE = re.compile(rf"{WEIGHTS_NAME}[\w.-]*\.(safetensors|bin)")


@dataclass(frozen=True)
class UNet2DConfig:
    """The config of a UNet2DModel: the keys that are read, with diffusers' defaults for absent ones."""

    sample_size: int | tuple[int, int] | None = None
    in_channels: int = 3
    out_channels: int = 3
    freq_shift: int = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[str, ...] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    up_block_types: tuple[str, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    block_out_channels: tuple[int, ...] = (224, 448, 672, 896)
    layers_per_block: int = 2
    downsample_padding: int = 1
    downsample_type: str = "conv"
    upsample_type: str = "conv"
    dropout: float = 0.0
    attention_head_dim: int | None = 8  # None: one head
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    resnet_time_scale_shift: str = "default"
    num_class_embeds: int | None = None
    add_attention: bool = True
    attn_norm_num_groups: int | None = None


@dataclass(frozen=True)
class SchedulerConfig:
    """The config of a scheduler: the keys that are read, with diffusers' defaults for absent ones."""

    _class_name: str = "DDPMScheduler"
    prediction_type: str = "epsilon"
    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False
    variance_type: str | None = None
    timestep_spacing: str = "leading"
    clip_sample: bool = True
    shift: float | None = 1.0
    use_dynamic_shifting: bool | None = False
    sigma_max: float = 80.0
    sigma_data: float = 0.5

    @property
    def kind(self) -> str:
        """The scheduler's class in diffusers."""
        return self._class_name


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
