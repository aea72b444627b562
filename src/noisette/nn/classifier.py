"""The noisy classifier p(y | x_t): the encoder of a U-Net with pooling at its end (Dhariwal & Nichol 2021).

Legend: b batch, c channels, h × w pixels, k classes, n tokens.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import MAX_SIDE, Images, PerImage
from .architecture import MAX_CLASSES, UNetConfig
from .blocks import Block, Downsample, Level, Middle, ResBlock
from .cross_attention import Conditioning
from .embedding import ConditionEmbedding
from .norm import GroupNorm


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """A U-Net's encoder and middle, and the head that turns their pixels into logits."""

    encoder: UNetConfig  # its decoder is not built
    classes: int
    pool: Literal["attention", "average"] = "attention"
    side: int = (
        64  # height and width of the images in pixels; fixes the number of learned positions of the attention head
    )

    def __post_init__(self) -> None:
        if not 1 <= self.classes <= MAX_CLASSES:
            raise InputError(f"ClassifierConfig.classes is {self.classes}: it must be 1 to {MAX_CLASSES}")
        if self.encoder.classes or self.encoder.vector or self.encoder.tokens:
            raise InputError(
                "ClassifierConfig.encoder must take no condition: its classes, vector and tokens must be 0"
            )
        if not 1 <= self.side <= MAX_SIDE or self.side % self.encoder.size_multiple:
            raise InputError(
                f"ClassifierConfig.side is {self.side}: it must be at most {MAX_SIDE} and, here, a multiple of "
                f"{self.encoder.size_multiple}"
            )


class AttentionPoolHead(nn.Module):
    """Attention from the mean of all pixels to every pixel (Radford et al. 2021), then a linear layer to logits."""

    def __init__(self, channels: int, heads: int, num_tokens: int, out_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(num_tokens + 1, channels) / channels**0.5)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, out_channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        b, c = x.shape[:2]
        pixels = x.flatten(2).transpose(1, 2)  # (b, n, c)
        tokens = torch.cat([pixels.mean(1, keepdim=True), pixels], dim=1) + self.positions
        q, k, v = self.qkv(tokens).reshape(b, -1, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q[:, :, :1], k, v)  # (b, heads, 1, c / heads)
        return self.out(y.transpose(1, 2).reshape(b, c))


class AveragePoolHead(nn.Module):
    """The mean of all pixels, then a linear layer."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.out = nn.Linear(channels, out_channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return self.out(x.mean((2, 3)))


class Classifier(nn.Module):
    """Maps x_t and its noise label to the logits of its class."""

    def __init__(self, cfg: ClassifierConfig) -> None:
        super().__init__()
        self.cfg, net = cfg, cfg.encoder
        self.embed = ConditionEmbedding(net)
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
        tokens = (cfg.side // net.size_multiple) ** 2
        self.pool: nn.Module = (
            AttentionPoolHead(width, net.num_heads(width), tokens, cfg.classes)
            if cfg.pool == "attention"
            else AveragePoolHead(width, cfg.classes)
        )

    def forward(self, x: Images, noise_label: PerImage) -> Float[Tensor, "b k"]:
        """x (b, c, side, side) and its noise label (b,) to logits (b, classes)."""
        side, channels = self.cfg.side, self.cfg.encoder.in_channels
        if x.shape[1:] != (channels, side, side):
            raise InputError(
                f"x must have the shape (batch, {channels}, {side}, {side}) for this classifier, got {tuple(x.shape)}"
            )
        conditioning = Conditioning(self.embed(noise_label, None))
        h = self.conv_in(x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x)
        for level in self.down:
            h = cast(Level, level).encode(h, conditioning, [])
        return self.pool(self.norm_out(self.mid(h, conditioning), silu=True))
