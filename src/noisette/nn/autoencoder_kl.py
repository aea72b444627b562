"""An autoencoder of residual blocks and attention: diffusers' AutoencoderKL (Rombach et al. 2022, appendix E).

Tensors have diffusers' names, so that the weights of its folders are loaded as they are.

Legend: b batch, c channels, z latent channels, h × w pixels.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Images
from .autoencoder_base import (
    MAX_BLOCKS,
    MAX_FACTOR,
    MAX_WIDTH,
    AutoencoderArchitecture,
    AutoencoderNetwork,
    Latents,
    split_distribution,
)
from .conv import Conv1x1, Conv3x3, StridedConv3x3
from .norm import GroupNorm

EPS = 1e-6  # of all group norms
MAX_LEVELS = MAX_FACTOR.bit_length()

Features = Float[Tensor, "b c h w"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderKLConfig(AutoencoderArchitecture):
    """All that is needed to build the network."""

    channels: int = 3
    widths: tuple[int, ...] = (128, 256, 512, 512)  # channels of each level, finest first
    blocks: int = 2  # residual blocks of each level of the encoder; the decoder has one more
    groups: int = 32  # of the group norms
    mid_attention: bool = True  # self-attention at the coarsest level
    quant_conv: bool = True  # a 1 × 1 convolution of the encoder's output
    post_quant_conv: bool = True  # a 1 × 1 convolution of the decoder's input

    def __post_init__(self) -> None:
        super().__post_init__()
        good = 1 <= len(self.widths) <= MAX_LEVELS and all(1 <= width <= MAX_WIDTH for width in self.widths)
        self.check("widths", good, f"1 to {MAX_LEVELS} numbers from 1 to {MAX_WIDTH}")
        self.check("blocks", 1 <= self.blocks <= MAX_BLOCKS, f"1 to {MAX_BLOCKS}")
        divides = self.groups >= 1 and all(width % self.groups == 0 for width in self.widths)
        self.check("groups", divides, f"a divisor of the widths {', '.join(map(str, self.widths))}")

    @property
    def factor(self) -> int:
        """Height and width are halved between two levels."""
        return 2 ** (len(self.widths) - 1)


class ResnetBlock(nn.Module):
    """Two normalized convolutions with a residual connection."""

    def __init__(self, groups: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(groups, in_channels, EPS), Conv3x3(in_channels, out_channels)
        self.norm2, self.conv2 = GroupNorm(groups, out_channels, EPS), Conv3x3(out_channels, out_channels)
        self.conv_shortcut = nn.Identity() if in_channels == out_channels else Conv1x1(in_channels, out_channels)

    def forward(self, x: Features) -> Float[Tensor, "b c2 h w"]:
        h = self.conv1(self.norm1(x, silu=True))
        return self.conv2(self.norm2(h, silu=True), residual=self.conv_shortcut(x))


class PixelAttention(nn.Module):
    """Self-attention over pixels with one head, and a residual connection."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(groups, channels, EPS)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in "qkv")
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Features) -> Features:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)  # (b, h w, c)
        y = F.scaled_dot_product_attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return x + self.to_out[0](y).transpose(1, 2).reshape(x.shape)


class MidBlock(nn.Module):
    """Two residual blocks at the coarsest level, with attention between them."""

    def __init__(self, cfg: AutoencoderKLConfig) -> None:
        super().__init__()
        width = cfg.widths[-1]
        self.resnets = nn.ModuleList([ResnetBlock(cfg.groups, width, width) for _ in range(2)])
        self.attentions = nn.ModuleList([PixelAttention(cfg.groups, width)] if cfg.mid_attention else [])

    def forward(self, x: Features) -> Features:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        return self.resnets[1](x)


class Downsample(nn.Module):
    """A strided convolution; zeros on the right and below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = StridedConv3x3(channels, channels, padding=0)

    def forward(self, x: Features) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbor upsampling by 2, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Features) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(x, upsample=True)


class Level(nn.Module):
    """Residual blocks of one resolution, and the layer that changes to the next one where there is one."""

    def __init__(self, resnets: list[ResnetBlock], down: Downsample | None = None, up: Upsample | None = None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.downsamplers = nn.ModuleList([] if down is None else [down])
        self.upsamplers = nn.ModuleList([] if up is None else [up])

    def forward(self, x: Features) -> Float[Tensor, "b c2 h2 w2"]:
        for layer in (*self.resnets, *self.downsamplers, *self.upsamplers):
            x = layer(x)
        return x


class Encoder(nn.Module):
    """(b, c, h, w) to mean and log-variance, (b, 2 z, h/factor, w/factor)."""

    def __init__(self, cfg: AutoencoderKLConfig) -> None:
        super().__init__()
        self.conv_in = Conv3x3(cfg.channels, cfg.widths[0])
        self.down_blocks, before = nn.ModuleList(), cfg.widths[0]
        for i, width in enumerate(cfg.widths):
            ins = (before, *(width,) * (cfg.blocks - 1))
            down = Downsample(width) if i + 1 < len(cfg.widths) else None
            self.down_blocks.append(Level([ResnetBlock(cfg.groups, c, width) for c in ins], down=down))
            before = width
        self.mid_block = MidBlock(cfg)
        self.conv_norm_out = GroupNorm(cfg.groups, before, EPS)
        self.conv_out = Conv3x3(before, 2 * cfg.latent_channels)

    def forward(self, x: Images) -> Float[Tensor, "b z_and_z h2 w2"]:
        x = self.conv_in(x)
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(self.conv_norm_out(self.mid_block(x), silu=True))


class Decoder(nn.Module):
    """(b, z, h, w) to (b, c, factor · h, factor · w)."""

    def __init__(self, cfg: AutoencoderKLConfig) -> None:
        super().__init__()
        before = cfg.widths[-1]
        self.conv_in = Conv3x3(cfg.latent_channels, before)
        self.mid_block = MidBlock(cfg)
        self.up_blocks = nn.ModuleList()
        for i, width in reversed(list(enumerate(cfg.widths))):
            ins = (before, *(width,) * cfg.blocks)
            up = Upsample(width) if i else None
            self.up_blocks.append(Level([ResnetBlock(cfg.groups, c, width) for c in ins], up=up))
            before = width
        self.conv_norm_out = GroupNorm(cfg.groups, before, EPS)
        self.conv_out = Conv3x3(before, cfg.channels)

    def forward(self, z: Latents) -> Images:
        x = self.mid_block(self.conv_in(z))
        for level in self.up_blocks:
            x = level(x)
        return self.conv_out(self.conv_norm_out(x, silu=True))


class AutoencoderKL(AutoencoderNetwork):
    """Encoder and decoder, and a 1 × 1 convolution on the latents' side of each."""

    def __init__(self, cfg: AutoencoderKLConfig) -> None:
        super().__init__(cfg)
        z = cfg.latent_channels
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)
        self.quant_conv = Conv1x1(2 * z, 2 * z) if cfg.quant_conv else nn.Identity()
        self.post_quant_conv = Conv1x1(z, z) if cfg.post_quant_conv else nn.Identity()

    def encode(self, x: Images) -> tuple[Latents, Latents | None]:
        self.require_blocks(x)
        return split_distribution(self.quant_conv(self.encoder(x)))

    def decode(self, z: Latents) -> Images:
        return self.decoder(self.post_quant_conv(z))
