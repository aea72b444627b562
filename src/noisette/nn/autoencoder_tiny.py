"""A small deterministic autoencoder of plain convolutions: diffusers' AutoencoderTiny, of which TAESD is one.

Tensors have diffusers' names, so that the weights of its folders are loaded as they are.

Legend: b batch, c channels, z latent channels, h × w pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
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
)
from .conv import Conv3x3

MAX_LEVELS = MAX_FACTOR.bit_length()
LATENT_RANGE = 3.0  # latents are squashed into ± this before they are decoded
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "silu": nn.SiLU, "mish": nn.Mish, "gelu": nn.GELU,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AutoencoderTinyConfig(AutoencoderArchitecture):
    """All that is needed to build the network."""

    channels: int = 3
    encoder_width: int = 64  # channels of all levels
    decoder_width: int = 64
    encoder_blocks: tuple[int, ...] = (1, 3, 3, 3)  # residual blocks of each level, finest first
    decoder_blocks: tuple[int, ...] = (3, 3, 3, 1)  # of each level, coarsest first
    activation: Literal["relu", "silu", "mish", "gelu"] = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("encoder_width", "decoder_width"):
            self.check(name, 1 <= getattr(self, name) <= MAX_WIDTH, f"1 to {MAX_WIDTH}")
        for name in ("encoder_blocks", "decoder_blocks"):
            blocks = getattr(self, name)
            good = 1 <= len(blocks) <= MAX_LEVELS and all(0 <= count <= MAX_BLOCKS for count in blocks)
            self.check(name, good, f"1 to {MAX_LEVELS} numbers from 0 to {MAX_BLOCKS}")
        levels = len(self.encoder_blocks)
        self.check("decoder_blocks", len(self.decoder_blocks) == levels, f"{levels} numbers, as encoder_blocks has")
        self.check("activation", self.activation in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}")

    @property
    def factor(self) -> int:
        """Height and width are halved between two levels."""
        return 2 ** (len(self.encoder_blocks) - 1)


class TinyBlock(nn.Module):
    """Three convolutions with a residual connection."""

    def __init__(self, channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            Conv3x3(channels, channels), activation(), Conv3x3(channels, channels), activation(),
            Conv3x3(channels, channels),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return torch.relu(self.conv(x) + x)


class Encoder(nn.Module):
    """Pictures in [0, 1], (b, c, h, w), to (b, z, h/factor, w/factor)."""

    def __init__(self, cfg: AutoencoderTinyConfig) -> None:
        super().__init__()
        width, activation = cfg.encoder_width, ACTIVATIONS[cfg.activation]
        layers: list[nn.Module] = []
        for i, blocks in enumerate(cfg.encoder_blocks):
            halve = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)
            layers.append(halve if i else Conv3x3(cfg.channels, width))
            layers += [TinyBlock(width, activation) for _ in range(blocks)]
        layers.append(Conv3x3(width, cfg.latent_channels))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Images) -> Latents:
        return self.layers(x)


class Decoder(nn.Module):
    """(b, z, h, w) to pictures in [0, 1], (b, c, factor · h, factor · w)."""

    def __init__(self, cfg: AutoencoderTinyConfig) -> None:
        super().__init__()
        width, activation = cfg.decoder_width, ACTIVATIONS[cfg.activation]
        layers: list[nn.Module] = [Conv3x3(cfg.latent_channels, width), activation()]
        for i, blocks in enumerate(cfg.decoder_blocks):
            layers += [TinyBlock(width, activation) for _ in range(blocks)]
            if i + 1 < len(cfg.decoder_blocks):
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]
        layers.append(Conv3x3(width, cfg.channels))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Latents) -> Images:
        return self.layers(z)


class AutoencoderTiny(AutoencoderNetwork):
    """Encoder and decoder, which work on pictures in [0, 1]."""

    def __init__(self, cfg: AutoencoderTinyConfig) -> None:
        super().__init__(cfg)
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)

    def encode(self, x: Images) -> tuple[Latents, Latents | None]:
        self.require_blocks(x)
        return self.encoder((x + 1) / 2), None

    def decode(self, z: Latents) -> Images:
        return 2 * self.decoder(LATENT_RANGE * torch.tanh(z / LATENT_RANGE)) - 1
