"""diffusers' UNet2DModel, built tiny and random, and its weights under our names."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor

from noisette.nn import UNet, UNetConfig

RENAMES = (
    (r"^time_embedding\.linear_1", "embed.time.mlp.0"),
    (r"^time_embedding\.linear_2", "embed.time.mlp.2"),
    (r"^class_embedding", "embed.classes"),
    (r"^conv_norm_out", "norm_out"),
    (r"^mid_block\.resnets\.0", "mid.first.res"),
    (r"^mid_block\.attentions\.0", "mid.first.attn"),
    (r"^mid_block\.resnets\.1", "mid.last"),
    (r"^(down|up)_blocks\.(\d+)\.resnets\.(\d+)", r"\1.\2.blocks.\3.res"),
    (r"^(down|up)_blocks\.(\d+)\.attentions\.(\d+)", r"\1.\2.blocks.\3.attn"),
    (r"^(down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0", r"\1.\2.resample"),
    (r"\.time_emb_proj\.", ".embed."),
    (r"\.conv_shortcut\.", ".skip."),
    (r"\.group_norm\.", ".norm."),
    (r"\.to_out\.0\.", ".out."),
)


def rename(key: str) -> str:
    for pattern, to in RENAMES:
        key = re.sub(pattern, to, key)
    return key


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names changed; q, k and v put together."""
    ours = {rename(k): v for k, v in theirs.items() if ".Conv2d_0." not in k}
    for key in [k for k in ours if ".to_q." in k]:
        parts = [ours.pop(key.replace(".to_q.", f".to_{n}.")) for n in "qkv"]
        ours[key.replace(".to_q.", ".qkv.")] = torch.cat(parts)
    return ours


def network(cfg: Mapping[str, Any]) -> UNetConfig:
    return UNetConfig(
        in_channels=cfg["in_channels"],
        out_channels=cfg["out_channels"],
        channels=tuple(cfg["block_out_channels"]),
        blocks=cfg["layers_per_block"],
        attention=tuple(name.startswith("Attn") for name in cfg["down_block_types"]),
        head_channels=cfg["attention_head_dim"],
        mid_attention=cfg["add_attention"],
        modulation="shift" if cfg["resnet_time_scale_shift"] == "default" else "scale_shift",
        resample="conv" if cfg["downsample_type"] == "conv" else "block",
        pad="both" if cfg["downsample_padding"] else "end",
        groups=cfg["norm_num_groups"],
        eps=cfg["norm_eps"],
        time_channels=cfg["block_out_channels"][0],
        time_order="cos_sin" if cfg["flip_sin_to_cos"] else "sin_cos",
        freq_shift=cfg["freq_shift"],
        classes=cfg["num_class_embeds"] or 0,
        null_class=False,
    )


def pair(**kw: Any) -> tuple[UNet2DModel, UNet]:
    """A tiny network of theirs, and ours with its weights."""
    base = {
        "sample_size": 16,
        "layers_per_block": 2,
        "block_out_channels": (32, 64, 64),
        "norm_num_groups": 8,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    }
    theirs = UNet2DModel(**(base | kw)).eval()
    ours = UNet(network(theirs.config)).eval()
    ours.load_state_dict(convert(theirs.state_dict()))
    return theirs, ours
