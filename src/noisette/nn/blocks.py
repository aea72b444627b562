"""The parts that U-Nets of the DDPM family are made of.

Legend: b batch, c channels, h × w pixels, e embedding width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from . import attended, fused
from .architecture import UNetConfig
from .conv import Conv1x1, Conv3x3
from .norm import GroupNorm
from .text import CrossAttention, Told

Emb = Float[Tensor, "b e"]


class ResBlock(nn.Module):
    """Two convolutions, the embedding between them, and a way around; optionally halves or doubles height and width."""

    def __init__(self, cfg: UNetConfig, ins: int, outs: int, resample: Literal["down", "up"] | None = None) -> None:
        super().__init__()
        self.modulation, self.resample = cfg.modulation, resample
        self.norm1 = GroupNorm(cfg.groups, ins, cfg.eps)
        self.conv1 = Conv3x3(ins, outs)
        self.embed = nn.Linear(cfg.embed_channels, outs * (2 if cfg.modulation == "scale_shift" else 1))
        self.norm2 = GroupNorm(cfg.groups, outs, cfg.eps)
        self.dropout = nn.Dropout(cfg.dropout)
        self.conv2 = Conv3x3(outs, outs)
        self.skip = nn.Identity() if ins == outs else Conv1x1(ins, outs)

    def resize(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return x

    def forward(
        self, x: Float[Tensor, "b c1 h1 w1"], emb: Emb, beside: Float[Tensor, "b c3 h1 w1"] | None = None
    ) -> Float[Tensor, "b c2 h2 w2"]:
        """`beside` is a skip connection: its channels follow those of x."""
        inputs = (x,) if beside is None else (x, beside)
        by = fused.suited(self.norm1, self.conv1, self.conv2, self.skip, inputs, emb)
        if self.resample is None and by is not None:
            dropout = self.dropout.p if self.training else 0.0
            layers = (self.norm1, self.conv1, self.norm2, self.conv2, self.skip, self.embed)
            return fused.residual(by, *layers, inputs, emb, dropout)
        x = torch.cat(inputs, dim=1) if beside is not None else x
        h = self.conv1(self.resize(self.norm1(x, silu=True)))
        h = self.dropout(self.norm2(h, self.embed(emb), silu=True))
        return self.conv2(h, onto=self.skip(self.resize(x)))


class Attention(nn.Module):
    """Self-attention over pixels, around a residual connection."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.heads = cfg.heads_of(channels)
        self.norm = GroupNorm(cfg.groups, channels, cfg.eps)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if (by := attended.suited(self.norm, self.heads, x)) is not None:
            return attended.attended(by, self.norm, self.qkv, self.out, self.heads, x)
        b, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (b, h w, c)
        q, k, v = self.qkv(tokens).reshape(b, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)  # (b, heads, h w, c / heads)
        y = self.out(y.transpose(1, 2).reshape(b, h * w, c))
        return x + y.transpose(1, 2).reshape(b, c, h, w)


class Block(nn.Module):
    """A residual block, and attention after it where the level has it: to its own pixels, and to the text's words."""

    def __init__(self, cfg: UNetConfig, ins: int, outs: int, attention: bool) -> None:
        super().__init__()
        self.res = ResBlock(cfg, ins, outs)
        self.attn = Attention(cfg, outs) if attention else nn.Identity()
        self.cross = CrossAttention(cfg, outs) if attention and cfg.tokens else None

    def forward(
        self, x: Float[Tensor, "b c1 h w"], told: Told, beside: Float[Tensor, "b c3 h w"] | None = None
    ) -> Float[Tensor, "b c2 h w"]:
        h = self.attn(self.res(x, told.emb, beside))
        return h if self.cross is None or told.words is None else self.cross(h, told.words)


class Downsample(nn.Module):
    """A strided convolution."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.pad = cfg.pad
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if cfg.pad == "both" else 0)

    def forward(self, x: Float[Tensor, "b c h1 w1"], emb: Emb) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x if self.pad == "both" else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Each pixel four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Float[Tensor, "b c h1 w1"], emb: Emb) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x, up=True)


class Level(nn.Module):
    """The blocks of one resolution, and the way to the next."""

    def __init__(self, blocks: list[Block], resample: ResBlock | Downsample | Upsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.resample = resample

    def encode(self, h: Float[Tensor, "b c1 h1 w1"], told: Told, skips: list[Tensor]) -> Float[Tensor, "b c2 h2 w2"]:
        """Go down, leaving every feature map that the decoder will want on `skips`."""
        for block in self.blocks:
            h = block(h, told)
            skips.append(h)
        if self.resample is not None:
            h = self.resample(h, told.emb)
            skips.append(h)
        return h

    def decode(self, h: Float[Tensor, "b c1 h1 w1"], told: Told, skips: list[Tensor]) -> Float[Tensor, "b c2 h2 w2"]:
        """Go up, taking feature maps off `skips`."""
        for block in self.blocks:
            h = block(h, told, skips.pop())
        return h if self.resample is None else self.resample(h, told.emb)


class Middle(nn.Module):
    """The bottleneck. In large networks its output is h-space (Kwon et al. 2023)."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.first = Block(cfg, channels, channels, cfg.mid_attention)
        self.last = ResBlock(cfg, channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"], told: Told) -> Float[Tensor, "b c h w"]:
        return self.last(self.first(x, told), told.emb)
