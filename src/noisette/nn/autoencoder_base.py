"""What all kinds of autoencoders have in common: their configs and the two directions of their networks.

`models.registry.AUTOENCODERS` lists the kinds and their networks.

Legend: b batch, z latent channels, h2 × w2 latent pixels.
"""

import abc
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError, shorten
from ..shapes import Images

MAX_FACTOR, MAX_LATENT_CHANNELS, MAX_WIDTH, MAX_BLOCKS = 32, 64, 1024, 16
LOG_VARIANCE_RANGE = (-30.0, 20.0)

Latents = Float[Tensor, "b z h2 w2"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderArchitecture(abc.ABC):
    """A kind of autoencoder: plain numbers, stored in config.json."""

    channels: int = 4  # of the pictures
    latent_channels: int = 4

    def __post_init__(self) -> None:
        """InputError for a field that no network can be built with."""
        self.check("channels", 1 <= self.channels <= 4, "1 to 4")
        self.check("latent_channels", 1 <= self.latent_channels <= MAX_LATENT_CHANNELS, f"1 to {MAX_LATENT_CHANNELS}")

    @property
    @abc.abstractmethod
    def factor(self) -> int:
        """Pixels per latent pixel and side: a power of 2."""

    def check(self, field: str, good: bool, wanted: str) -> None:
        """InputError that names the field and its value, unless it is good."""
        if not good:
            got = shorten(repr(getattr(self, field)))
            raise InputError(f"{type(self).__name__}.{field} is {got}: it must be {wanted}")


class AutoencoderNetwork(nn.Module, abc.ABC):
    """Encoder and decoder. Pictures are in model space, [-1, 1]; latents have the encoder's own scale."""

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.cfg = cfg

    @abc.abstractmethod
    def encode(self, x: Images) -> tuple[Latents, Latents | None]:
        """Mean and log-variance of the latents; no log-variance where the encoder is deterministic. InputError unless
        height and width are multiples of the factor."""

    @abc.abstractmethod
    def decode(self, z: Latents) -> Images:
        """Pictures of latents; they may leave [-1, 1] a little."""

    def require_blocks(self, x: Images) -> None:
        """InputError unless height and width are multiples of the factor."""
        if x.shape[2] % self.cfg.factor or x.shape[3] % self.cfg.factor:
            raise InputError(f"{x.shape[3]}×{x.shape[2]} pixels are not whole blocks of {self.cfg.factor}")


def split_distribution(out: Float[Tensor, "b z_and_z h2 w2"]) -> tuple[Latents, Latents]:
    """The mean and the log-variance that an encoder has put out as channels."""
    mean, log_variance = out.chunk(2, dim=1)
    return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)
