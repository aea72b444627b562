"""The noisy classifier: p(y | x_t), the encoding half of a U-Net with a pool at its end (Dhariwal & Nichol 2021).

Legend: b batch, c channels, h × w pixels, k classes, n tokens.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import Images, PerImage
from .architecture import UNetConfig
from .blocks import Block, Downsample, Level, Middle, ResBlock
from .embedding import Embedding
from .norm import GroupNorm
from .text import Told


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """A U-Net's encoder and middle, and what makes one answer of its pixels."""

    encoder: UNetConfig  # of which the way up is not built
    classes: int
    pool: Literal["attention", "average"] = "attention"
    side: int = 64  # height and width of the pictures, which attention's learned positions are made for

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise InputError(f"ClassifierConfig.classes is {self.classes}: it must be at least 1")
        if self.encoder.classes or self.encoder.vector or self.encoder.tokens:
            raise InputError(
                "a classifier's encoder is told nothing but the noise: its classes, vector and tokens must be 0"
            )
        if self.side < 1 or self.side % self.encoder.multiple:
            raise InputError(
                f"ClassifierConfig.side is {self.side}: it must be a multiple of {self.encoder.multiple} here"
            )


class AttentionPool(nn.Module):
    """One query, the mean of all pixels, asks every pixel (Radford et al. 2021); its answer is the logits."""

    def __init__(self, channels: int, heads: int, tokens: int, outs: int) -> None:
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(tokens + 1, channels) / channels**0.5)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, outs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        b, c = x.shape[:2]
        pixels = x.flatten(2).transpose(1, 2)  # (b, n, c)
        tokens = torch.cat([pixels.mean(1, keepdim=True), pixels], dim=1) + self.positions
        q, k, v = self.qkv(tokens).reshape(b, -1, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q[:, :, :1], k, v)  # (b, heads, 1, c / heads)
        return self.out(y.transpose(1, 2).reshape(b, c))


class AveragePool(nn.Module):
    """The mean of all pixels, then a linear layer."""

    def __init__(self, channels: int, outs: int) -> None:
        super().__init__()
        self.out = nn.Linear(channels, outs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return self.out(x.mean((2, 3)))


class Classifier(nn.Module):
    """x_t and its noise label, to the logits of its class."""

    def __init__(self, cfg: ClassifierConfig) -> None:
        super().__init__()
        self.cfg, net = cfg, cfg.encoder
        self.embed = Embedding(net)
        self.conv_in = nn.Conv2d(net.in_channels, net.channels[0], 3, padding=1)
        width, last = net.channels[0], len(net.channels) - 1
        self.down = nn.ModuleList()
        for i, outs in enumerate(net.channels):
            blocks: list[Block] = []
            for _ in range(net.blocks):
                blocks.append(Block(net, width, outs, net.attention[i]))
                width = outs
            shrink: ResBlock | Downsample | None = None
            if i != last:
                shrink = ResBlock(net, width, width, "down") if net.resample == "block" else Downsample(net, width)
            self.down.append(Level(blocks, shrink))
        self.mid = Middle(net, width)
        self.norm_out = GroupNorm(net.groups, width, net.eps)
        tokens = (cfg.side // net.multiple) ** 2
        self.pool: nn.Module = (
            AttentionPool(width, net.heads_of(width), tokens, cfg.classes)
            if cfg.pool == "attention"
            else AveragePool(width, cfg.classes)
        )

    def forward(self, x: Images, label: PerImage) -> Float[Tensor, "b k"]:
        """x (b, c, side, side) and its noise label (b,) to logits (b, classes)."""
        side, channels = self.cfg.side, self.cfg.encoder.in_channels
        if x.shape[1:] != (channels, side, side):
            raise InputError(
                f"x has the shape {tuple(x.shape[1:])}: this classifier takes {channels} channels of {side}×{side}"
            )
        told = Told(self.embed(label, None))
        h = self.conv_in(x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x)
        for level in self.down:
            h = cast(Level, level).encode(h, told, [])
        return self.pool(self.norm_out(self.mid(h, told), silu=True))
