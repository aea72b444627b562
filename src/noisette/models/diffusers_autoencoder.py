"""Autoencoders that diffusers wrote: AutoencoderKL and AutoencoderTiny.

    config.json                                     its "_class_name" says which of the two
    diffusion_pytorch_model.safetensors (or .bin, or shards)

diffusers itself is not needed. The scale of the latents is left open: diffusers' `scaling_factor` is measured for unit
variance on other pictures, and here a run measures it on its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.pictures import find_mode
from ..errors import InputError, shorten
from ..io import checkpoint
from ..io.diffusers_folder import WEIGHTS_NAME, current_names, parse_known, read_config, read_weights
from ..nn.autoencoder_base import AutoencoderArchitecture
from ..nn.autoencoder_kl import AutoencoderKLConfig
from ..nn.autoencoder_tiny import AutoencoderTinyConfig
from .picture_autoencoder import (
    AutoencoderModelConfig,
    PictureAutoencoder,
    build_autoencoder,
    describe_autoencoder,
)

HUB_FILES = ("config.json", f"{WEIGHTS_NAME}.safetensors")
PIPELINE_PART = "vae"  # folder of the autoencoder in the folder of a pipeline
SCALE_NOTE = "the scale of its latents is not set: each run measures it on its own training pictures"


@dataclass(frozen=True)
class ForeignKLConfig:
    """The config of an AutoencoderKL: the keys that are read, with diffusers' defaults for absent ones."""

    in_channels: int = 3
    out_channels: int = 3
    down_block_types: tuple[str, ...] = ("DownEncoderBlock2D",)
    up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",)
    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    act_fn: str = "silu"
    latent_channels: int = 4
    norm_num_groups: int = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True


@dataclass(frozen=True)
class ForeignTinyConfig:
    """The config of an AutoencoderTiny: the keys that are read, with diffusers' defaults for absent ones."""

    in_channels: int = 3
    out_channels: int = 3
    encoder_block_out_channels: tuple[int, ...] = (64, 64, 64, 64)
    decoder_block_out_channels: tuple[int, ...] = (64, 64, 64, 64)
    act_fn: str = "relu"
    upsample_fn: str = "nearest"
    latent_channels: int = 4
    upsampling_scaling_factor: int = 2
    num_encoder_blocks: tuple[int, ...] = (1, 3, 3, 3)
    num_decoder_blocks: tuple[int, ...] = (3, 3, 3, 1)


def find_folder(path: Path) -> Path | None:
    """The folder of a network that diffusers wrote: `path`, or the autoencoder of a pipeline; None for others."""
    part = path / PIPELINE_PART
    folder = part if (path / "model_index.json").is_file() and part.is_dir() else path
    return folder if "_class_name" in read_config(folder) else None


def read(folder: Path) -> tuple[AutoencoderModelConfig, dict[str, Tensor], tuple[str, ...]]:
    """The config, the tensors in float32 under our names, and notes.

    Executes no code. Raises InputError for kinds, blocks and settings that are not supported, and for weights of
    another network.
    """
    where = str(folder / "config.json")
    config = make_config(read_config(folder), where)
    expected = describe_autoencoder(config)
    for path in folder.glob(f"{WEIGHTS_NAME}.safetensors"):
        checkpoint.check_size(path, expected)
    found, notes = read_weights(folder)
    tensors = current_names(found)
    checkpoint.check_tensors(tensors, expected, folder)
    return config, {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}, (*notes, SCALE_NOTE)


def make_config(config: Mapping[str, Any], where: str) -> AutoencoderModelConfig:
    """Our config for diffusers'. `where` is the file, for messages."""
    kind = str(config.get("_class_name"))
    if kind not in READERS:
        raise InputError(
            f"{where} describes the class {shorten(kind)}: supported autoencoders are {' and '.join(READERS)}"
        )
    try:
        net = READERS[kind](config, where)
    except InputError as error:
        raise error if where in str(error) else InputError(f"{where}: {error}") from error
    return AutoencoderModelConfig(net, find_mode(net.channels, where))


def _make_kl(config: Mapping[str, Any], where: str) -> AutoencoderKLConfig:
    cfg = parse_known(ForeignKLConfig, config, where)
    levels = len(cfg.block_out_channels)
    _require_same_channels(cfg.in_channels, cfg.out_channels, where)
    for field, block in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        types = getattr(cfg, field)
        if other := next((name for name in types if name != block), None):
            raise InputError(f"{where}: blocks of type {shorten(other)} are not supported; supported: {block}")
        if len(types) != levels:
            raise InputError(f"{where}: {field} has {len(types)} entries and block_out_channels {levels}")
    if cfg.act_fn not in ("silu", "swish"):
        raise InputError(f"{where}: act_fn is {shorten(repr(cfg.act_fn))}, which is not supported; supported: 'silu'")
    return AutoencoderKLConfig(
        channels=cfg.in_channels, latent_channels=cfg.latent_channels, widths=cfg.block_out_channels,
        blocks=cfg.layers_per_block, groups=cfg.norm_num_groups, mid_attention=cfg.mid_block_add_attention,
        quant_conv=cfg.use_quant_conv, post_quant_conv=cfg.use_post_quant_conv,
    )  # fmt: skip


def _make_tiny(config: Mapping[str, Any], where: str) -> AutoencoderTinyConfig:
    cfg = parse_known(ForeignTinyConfig, config, where)
    _require_same_channels(cfg.in_channels, cfg.out_channels, where)
    widths: dict[str, int] = {}
    for part, blocks in (("encoder", cfg.num_encoder_blocks), ("decoder", cfg.num_decoder_blocks)):
        given: tuple[int, ...] = getattr(cfg, f"{part}_block_out_channels")
        if len(set(given)) != 1 or len(given) != len(blocks):
            raise InputError(
                f"{where}: {part}_block_out_channels is {shorten(list(given))}: it needs {len(blocks)} equal widths, "
                f"as num_{part}_blocks has {len(blocks)} levels"
            )
        widths[f"{part}_width"] = given[0]
    for field, wanted in (("upsample_fn", "nearest"), ("upsampling_scaling_factor", 2)):
        if getattr(cfg, field) != wanted:
            got = shorten(repr(getattr(cfg, field)))
            raise InputError(f"{where}: {field} is {got}, which is not supported; supported: {wanted!r}")
    activation: Any = "silu" if cfg.act_fn == "swish" else cfg.act_fn
    return AutoencoderTinyConfig(
        channels=cfg.in_channels, latent_channels=cfg.latent_channels, encoder_blocks=cfg.num_encoder_blocks,
        decoder_blocks=cfg.num_decoder_blocks, activation=activation, **widths,
    )  # fmt: skip


def _require_same_channels(ins: int, outs: int, where: str) -> None:
    if ins != outs:
        raise InputError(f"{where}: in_channels is {ins} and out_channels {outs}: they must be equal")


def open_folder(folder: Path) -> PictureAutoencoder:
    """The autoencoder in a folder that diffusers wrote, on the CPU, in evaluation mode; without a scale of its latents.
    Its hash is that of the folder that `noisette convert` would make of it.

    Raises InputError as `read` does, and for weights that are not finite.
    """
    config, tensors, _ = read(folder)
    made = build_autoencoder(config)
    made.net.load_state_dict(tensors)
    require_finite(made)
    made.hash, made.folder = checkpoint.content_hash(made.config_json(), made.net.state_dict(), str(folder)), folder
    return made


@torch.no_grad()
def require_finite(autoencoder: PictureAutoencoder) -> None:
    """Raise InputError if a picture that is encoded and decoded again is not finite."""
    net = autoencoder.config.net
    x = torch.rand(1, net.channels, net.factor, net.factor, generator=torch.Generator().manual_seed(0))
    mean, log_variance = autoencoder.net.encode(2 * x - 1)
    outputs = (mean, autoencoder.net.decode(mean), mean if log_variance is None else log_variance)
    if not all(output.isfinite().all() for output in outputs):
        raise InputError("the output of the autoencoder is not finite: its weights are damaged")


READERS: dict[str, Callable[[Mapping[str, Any], str], AutoencoderArchitecture]] = {
    "AutoencoderKL": _make_kl,
    "AutoencoderTiny": _make_tiny,
}
