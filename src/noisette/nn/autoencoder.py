"""A small convolutional autoencoder: pictures to a latent image with fewer pixels, and back (Rombach et al. 2022, 3.1).

Blocks of pixels become channels first and last (pixel unshuffle and shuffle by 2), so that no convolution runs at full
resolution; there are no norms and no attention, so a latent pixel depends on its neighborhood alone, at any size.

Legend: b batch, c channels, z latent channels, h × w pixels.
"""

import math
from dataclasses import dataclass

import torch
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
from .conv import Conv3x3, StridedConv3x3


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(AutoencoderArchitecture):
    """All that is needed to build the network."""

    factor: int = 4  # pixels per latent pixel and side: a power of 2
    widths: tuple[int, ...] = (32, 64)  # channels at half the resolution, a quarter, …: log2(factor) numbers
    blocks: int = 2  # residual blocks of each level of the decoder; the encoder has one of each level
    variational: bool = True  # KL-regularized: the encoder predicts a mean and a variance (Kingma & Welling 2014)

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = int(math.log2(self.factor)) if self.factor > 0 else 0
        power = 2 <= self.factor <= MAX_FACTOR and 2**levels == self.factor
        self.check("factor", power, f"2, 4, 8, 16 or {MAX_FACTOR}")
        self.check("widths", len(self.widths) == levels, f"{levels} numbers for the factor {self.factor}")
        self.check("widths", all(1 <= width <= MAX_WIDTH for width in self.widths), f"1 to {MAX_WIDTH} each")
        self.check("blocks", 1 <= self.blocks <= MAX_BLOCKS, f"1 to {MAX_BLOCKS}")


class ConvBlock(nn.Module):
    """Two convolutions with a residual connection; the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv3x3(channels, channels), Conv3x3(channels, channels)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.conv2(F.silu(self.conv1(F.silu(x))), residual=x)


class Encoder(nn.Module):
    """(b, c, h, w) to (b, z, h/factor, w/factor), or twice as many channels for mean and log-variance."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        parameters = 2 if cfg.variational else 1
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), Conv3x3(4 * cfg.channels, cfg.widths[0])]
        for i, width in enumerate(cfg.widths):
            layers.append(ConvBlock(width))
            if i + 1 < len(cfg.widths):
                layers.append(StridedConv3x3(width, cfg.widths[i + 1], padding=1))
        layers += [nn.SiLU(), Conv3x3(cfg.widths[-1], parameters * cfg.latent_channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Images) -> Float[Tensor, "b parameters h2 w2"]:
        return self.layers(x)


class Decoder(nn.Module):
    """(b, z, h, w) to (b, c, factor · h, factor · w)."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        widths = cfg.widths[::-1]
        layers: list[nn.Module] = [Conv3x3(cfg.latent_channels, widths[0])]
        for i, width in enumerate(widths):
            layers += [ConvBlock(width) for _ in range(cfg.blocks)]
            if i + 1 < len(widths):
                layers += [Conv3x3(width, 4 * widths[i + 1]), nn.PixelShuffle(2)]
        layers += [nn.SiLU(), Conv3x3(widths[-1], 4 * cfg.channels), nn.PixelShuffle(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Latents) -> Images:
        return self.layers(z)


class Autoencoder(AutoencoderNetwork):
    """Encoder and decoder."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__(cfg)
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)

    def encode(self, x: Images) -> tuple[Latents, Latents | None]:
        self.require_blocks(x)
        out = self.encoder(x)
        return split_distribution(out) if self.cfg.variational else (out, None)

    def decode(self, z: Latents) -> Images:
        return self.decoder(z)


def kl_divergence(mean: Latents, log_variance: Latents) -> Float[Tensor, ""]:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)), mean over all latent values (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def gradient_difference(a: Images, b: Images, scales: int = 3) -> Float[Tensor, ""]:
    """Mean absolute difference of the horizontal and vertical differences of neighboring pixels, at full resolution
    and halved `scales` - 1 times by averaging: blurred and shifted edges cost more than in L1 (Mathieu et al. 2016)."""
    total, d = a.new_zeros(()), a - b
    for scale in range(scales):
        d = F.avg_pool2d(d, 2) if scale else d
        if min(d.shape[2:]) < 2:
            break
        total = total + d.diff(dim=2).abs().mean() + d.diff(dim=3).abs().mean()
    return total / scales


def sample_latents(mean: Latents, log_variance: Latents | None, noise: Latents) -> Latents:
    """The reparametrized sample mean + σ · noise; the mean itself without a variance."""
    return mean if log_variance is None else mean + (0.5 * log_variance).exp() * noise


def count_parameters(cfg: AutoencoderConfig) -> int:
    """Number of weights of a network of this config."""
    with torch.device("meta"):
        return sum(p.numel() for p in Autoencoder(cfg).parameters())
