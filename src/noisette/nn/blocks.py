"""The blocks of U-Nets of the DDPM family.

Legend: b batch, c channels, h × w pixels, e embedding width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from . import fused
from .architecture import UNetConfig
from .conv import Conv1x1, Conv3x3, StridedConv3x3
from .cross_attention import Conditioning, CrossAttention
from .norm import GroupNorm

Embeddings = Float[Tensor, "b e"]


class ResBlock(nn.Module):
    """Two convolutions with the embedding between them, and a residual connection; optionally resamples by 2.

    (b, c, h, w) → (b, c2, h2, w2); as in Ho et al. 2020 and, with its resampling, Dhariwal & Nichol 2021.
    """

    def __init__(
        self, cfg: UNetConfig, in_channels: int, out_channels: int, resample: Literal["down", "up"] | None = None
    ) -> None:
        super().__init__()
        self.modulation, self.resample = cfg.modulation, resample
        self.norm1 = GroupNorm(cfg.groups, in_channels, cfg.eps)
        self.conv1 = Conv3x3(in_channels, out_channels)
        self.embed = nn.Linear(cfg.embed_channels, out_channels * (2 if cfg.modulation == "scale_shift" else 1))
        self.norm2 = GroupNorm(cfg.groups, out_channels, cfg.eps)
        self.dropout = nn.Dropout(cfg.dropout)
        self.conv2 = Conv3x3(out_channels, out_channels)
        self.skip = nn.Identity() if in_channels == out_channels else Conv1x1(in_channels, out_channels)

    def resize(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return x

    def forward(
        self, x: Float[Tensor, "b c1 h1 w1"], emb: Embeddings, skip: Float[Tensor, "b c3 h1 w1"] | None = None
    ) -> Float[Tensor, "b c2 h2 w2"]:
        """x, with `skip` from the encoder concatenated to it if given, to the block's output."""
        inputs = (x,) if skip is None else (x, skip)
        layers = (self.norm1, self.conv1, self.norm2, self.conv2, self.skip, self.embed)
        backend = None if self.resample is not None else fused.resblock_backend(*layers, inputs, emb)
        if backend is not None:
            dropout = self.dropout.p if self.training else 0.0
            return fused.fused_resblock(backend, *layers, inputs, emb, dropout)
        x = torch.cat(inputs, dim=1) if skip is not None else x
        h = self.conv1(self.resize(self.norm1(x, silu=True)))
        h = self.dropout(self.norm2(h, self.embed(emb), silu=True))
        return self.conv2(h, residual=self.skip(self.resize(x)))


class Attention(nn.Module):
    """Self-attention over pixels, with a residual connection: (b, c, h, w) → (b, c, h, w)."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.heads = cfg.num_heads(channels)
        self.norm = GroupNorm(cfg.groups, channels, cfg.eps)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        layers = (self.norm, self.qkv, self.out)
        if (backend := fused.attention_backend(*layers, self.heads, x)) is not None:
            return fused.fused_attention(backend, *layers, self.heads, x)
        b, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (b, h w, c)
        q, k, v = self.qkv(tokens).reshape(b, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)  # (b, heads, h w, c / heads)
        y = self.out(y.transpose(1, 2).reshape(b, h * w, c))
        return x + y.transpose(1, 2).reshape(b, c, h, w)


class Block(nn.Module):
    """A residual block, then self-attention and cross-attention to the text's tokens where the level has attention."""

    def __init__(self, cfg: UNetConfig, in_channels: int, out_channels: int, attention: bool) -> None:
        super().__init__()
        self.res = ResBlock(cfg, in_channels, out_channels)
        self.attn = Attention(cfg, out_channels) if attention else nn.Identity()
        self.cross = CrossAttention(cfg, out_channels) if attention and cfg.tokens else None

    def forward(
        self, x: Float[Tensor, "b c1 h w"], conditioning: Conditioning, skip: Float[Tensor, "b c3 h w"] | None = None
    ) -> Float[Tensor, "b c2 h w"]:
        h = self.attn(self.res(x, conditioning.emb, skip))
        return h if self.cross is None or conditioning.tokens is None else self.cross(h, conditioning.tokens)


class Downsample(nn.Module):
    """A strided convolution."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.pad = cfg.pad
        self.conv = StridedConv3x3(channels, channels, padding=1 if cfg.pad == "both" else 0)

    def forward(self, x: Float[Tensor, "b c h1 w1"], emb: Embeddings) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x if self.pad == "both" else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbor upsampling by 2, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Float[Tensor, "b c h1 w1"], emb: Embeddings) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x, upsample=True)


class Level(nn.Module):
    """The blocks of one resolution, and the layer that changes to the next one."""

    def __init__(self, blocks: list[Block], resample: ResBlock | Downsample | Upsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.resample = resample

    def encode(
        self, h: Float[Tensor, "b c1 h1 w1"], conditioning: Conditioning, skips: list[Tensor]
    ) -> Float[Tensor, "b c2 h2 w2"]:
        """Run the encoder's level, and append the feature maps that the decoder takes to `skips`."""
        for block in self.blocks:
            h = block(h, conditioning)
            skips.append(h)
        if self.resample is not None:
            h = self.resample(h, conditioning.emb)
            skips.append(h)
        return h

    def decode(
        self, h: Float[Tensor, "b c1 h1 w1"], conditioning: Conditioning, skips: list[Tensor]
    ) -> Float[Tensor, "b c2 h2 w2"]:
        """Run the decoder's level, and take its feature maps from the end of `skips`."""
        for block in self.blocks:
            h = block(h, conditioning, skips.pop())
        return h if self.resample is None else self.resample(h, conditioning.emb)


class Middle(nn.Module):
    """The bottleneck. Its output is h-space in large networks (Kwon et al. 2023)."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.first = Block(cfg, channels, channels, cfg.mid_attention)
        self.last = ResBlock(cfg, channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"], conditioning: Conditioning) -> Float[Tensor, "b c h w"]:
        return self.last(self.first(x, conditioning), conditioning.emb)
