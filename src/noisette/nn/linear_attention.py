"""A U-Net with linear attention at every level (Shen et al. 2021; Katharopoulos et al. 2020), as in
denoising-diffusion-pytorch: RMS norms after the convolutions, a 7 × 7 convolution first, downsampling by pixel
unshuffle, learned memory keys and values in attention, and the first features concatenated before the last block.

Legend: b batch, c channels, h × w pixels, e embedding width, n tokens.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.condition import Condition
from ..errors import InputError
from ..shapes import PerImage
from .architecture import MAX_WIDTH, TimeEmbeddedConfig
from .conv import Conv1x1, Conv3x3
from .embedding import SinusoidalEmbedding
from .padding import concat_cond_image, crop_padding, pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class LinearAttentionUNetConfig(TimeEmbeddedConfig):
    """Every level has two blocks and one attention; it takes no labels."""

    stem: int = 64  # channels of the first features
    channels: tuple[int, ...] = (64, 128, 256, 512)  # output of each level, finest first
    full: tuple[bool, ...] = (False, False, False, True)  # whether a level has the usual, quadratic attention
    heads: tuple[int, ...] = (4, 4, 4, 4)
    head_channels: tuple[int, ...] = (32, 32, 32, 32)
    memory: int = 4  # number of learned keys and values that attention has besides the pixels'

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_between(1, MAX_WIDTH, "stem", "memory")
        if self.classes or self.vector:
            raise InputError("LinearAttentionUNetConfig takes no labels and no vectors: classes and vector must be 0")
        self.check_levels("full", "heads", "head_channels")
        for name in ("heads", "head_channels"):
            if not all(1 <= value <= MAX_WIDTH for value in getattr(self, name)):
                raise self.field_error(name, f"its entries must be 1 to {MAX_WIDTH}")

    @property
    def size_multiple(self) -> int:
        return 2 ** (len(self.channels) - 1)


class RMSNorm(nn.Module):
    """Divides each pixel's channels by their root mean square, and multiplies by a learned gain."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.normalize(x, dim=1) * (self.gain * x.shape[1] ** 0.5)


class ResBlock(nn.Module):
    """Two convolutions, each followed by its norm; the embedding scales and shifts the first."""

    def __init__(self, cfg: LinearAttentionUNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(cfg.embed_channels, 2 * out_channels)
        self.conv1, self.norm1 = Conv3x3(in_channels, out_channels), RMSNorm(out_channels)
        self.conv2, self.norm2 = Conv3x3(out_channels, out_channels), RMSNorm(out_channels)
        self.dropout = nn.Dropout(cfg.dropout)
        self.skip = nn.Identity() if in_channels == out_channels else Conv1x1(in_channels, out_channels)

    def forward(self, x: Float[Tensor, "b c1 h w"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b c2 h w"]:
        scale, shift = self.embed(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.dropout(F.silu(self.norm1(self.conv1(x)) * (1 + scale) + shift))
        return F.silu(self.norm2(self.conv2(h))) + self.skip(x)


class LinearAttention(nn.Module):
    """Keys and values are summed over all pixels once; each pixel's query multiplies the sum."""

    def __init__(self, cfg: LinearAttentionUNetConfig, level: int, channels: int) -> None:
        super().__init__()
        self.heads, self.head_channels = cfg.heads[level], cfg.head_channels[level]
        inner = self.heads * self.head_channels
        self.norm = RMSNorm(channels)
        self.memory = nn.Parameter(torch.randn(2, self.heads, self.head_channels, cfg.memory))
        self.qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.out = nn.Sequential(nn.Conv2d(inner, channels, 1), RMSNorm(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        b, _, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, self.head_channels, h * w).unbind(1)
        k, v = (torch.cat([m.expand(b, -1, -1, -1), kv], dim=3) for m, kv in zip(self.memory, (k, v), strict=True))
        read = (k.softmax(3) @ v.transpose(2, 3)).transpose(2, 3)  # (b, heads, width, width)
        y = read @ (q.softmax(2) * self.head_channels**-0.5)
        return x + self.out(y.reshape(b, -1, h, w))


class FullAttention(nn.Module):
    """The usual attention, over all pixels and the memory."""

    def __init__(self, cfg: LinearAttentionUNetConfig, level: int, channels: int) -> None:
        super().__init__()
        self.heads, self.head_channels = cfg.heads[level], cfg.head_channels[level]
        inner = self.heads * self.head_channels
        self.norm = RMSNorm(channels)
        self.memory = nn.Parameter(torch.randn(2, self.heads, cfg.memory, self.head_channels))
        self.qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        b, _, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, self.head_channels, h * w).transpose(3, 4).unbind(1)
        k, v = (torch.cat([m.expand(b, -1, -1, -1), kv], dim=2) for m, kv in zip(self.memory, (k, v), strict=True))
        y = F.scaled_dot_product_attention(q, k, v)  # (b, heads, h w, width)
        return x + self.out(y.transpose(2, 3).reshape(b, -1, h, w))


class Level(nn.Module):
    """Two blocks, attention, and the layer that changes to the next level."""

    def __init__(
        self,
        cfg: LinearAttentionUNetConfig,
        level: int,
        in_channels: int,
        width: int,
        out_channels: int,
        resample: nn.Module,
    ) -> None:
        super().__init__()
        self.first = ResBlock(cfg, in_channels, width)
        self.last = ResBlock(cfg, in_channels, width)
        self.attn = (FullAttention if cfg.full[level] else LinearAttention)(cfg, level, width)
        self.resample = resample

    def encode(self, x: Tensor, emb: Tensor, skips: list[Tensor]) -> Float[Tensor, "b c2 h2 w2"]:
        """Run the encoder's level, and append two feature maps to `skips`."""
        x = self.first(x, emb)
        skips.append(x)
        x = self.attn(self.last(x, emb))
        skips.append(x)
        return self.resample(x)

    def decode(self, x: Tensor, emb: Tensor, skips: list[Tensor]) -> Float[Tensor, "b c2 h2 w2"]:
        """Run the decoder's level, and take two feature maps from the end of `skips`."""
        x = self.first(torch.cat([x, skips.pop()], dim=1), emb)
        x = self.attn(self.last(torch.cat([x, skips.pop()], dim=1), emb))
        return self.resample(x)


class Middle(nn.Module):
    """The bottleneck. Its output is h-space."""

    def __init__(self, cfg: LinearAttentionUNetConfig, channels: int) -> None:
        super().__init__()
        self.first = ResBlock(cfg, channels, channels)
        self.attn = FullAttention(cfg, len(cfg.channels) - 1, channels)
        self.last = ResBlock(cfg, channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b c h w"]:
        return self.last(self.attn(self.first(x, emb)), emb)


class GELUTimeEmbedding(nn.Module):
    """Sinusoids and two linear layers with GELU between them."""

    def __init__(self, cfg: LinearAttentionUNetConfig) -> None:
        super().__init__()
        self.sinusoids = SinusoidalEmbedding(cfg)
        wide = cfg.embed_channels
        self.mlp = nn.Sequential(nn.Linear(cfg.time_channels, wide), nn.GELU(), nn.Linear(wide, wide))

    def forward(self, noise_label: PerImage) -> Float[Tensor, "b e"]:
        return F.silu(self.mlp(self.sinusoids(noise_label)))


class LinearAttentionUNet(nn.Module):
    """Maps x_t and its noise label to the parametrization's mixture of x0 and ε. Of conditions it takes images only."""

    def __init__(self, cfg: LinearAttentionUNetConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.time = GELUTimeEmbedding(cfg)
        self.conv_in = nn.Conv2d(cfg.in_channels, cfg.stem, 7, padding=3)
        widths, last = (cfg.stem, *cfg.channels), len(cfg.channels) - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, outs in enumerate(cfg.channels):
            width = widths[i]
            shrink = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * width, outs, 1))
            self.down.append(Level(cfg, i, width, width, outs, Conv3x3(width, outs) if i == last else shrink))
        self.mid = Middle(cfg, widths[-1])
        for i in range(last, -1, -1):
            outs, width = widths[i], widths[i + 1]
            grow = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), Conv3x3(width, outs))
            self.up.append(Level(cfg, i, width + outs, width, outs, Conv3x3(width, outs) if i == 0 else grow))
        self.final = ResBlock(cfg, 2 * cfg.stem, cfg.stem)
        self.conv_out = nn.Conv2d(cfg.stem, cfg.out_channels, 1)

    def forward(
        self, x: Float[Tensor, "b c h w"], noise_label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, h, w) and its noise label (b,) to (b, c_out, h, w)."""
        if cond is not None and (cond.label is not None or cond.vector is not None or cond.tokens is not None):
            raise InputError("a label, vector or tokens were given, but this network was built to take none")
        emb, (height, width) = self.time(noise_label), x.shape[2:]
        h = self.conv_in(pad_to_multiple(concat_cond_image(x, cond, self.cfg.in_channels), self.cfg.size_multiple))
        skips, first = list[Tensor](), h
        for level in self.down:
            h = cast(Level, level).encode(h, emb, skips)
        h = self.mid(h, emb)
        for level in self.up:
            h = cast(Level, level).decode(h, emb, skips)
        y = self.conv_out(self.final(torch.cat([h, first], dim=1), emb))
        return crop_padding(y, height, width, self.cfg.size_multiple).contiguous()
