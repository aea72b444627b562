"""The shape of a U-Net, as plain numbers: what a checkpoint's config.json says of its network."""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError


@dataclass(frozen=True)
class UNetConfig:
    """One U-Net of the family of Ho et al. 2020.

    The defaults of the last group are guided-diffusion's and diffusers'; `modulation`, `resample`, `pad`, `time_order`
    and `freq_shift` are the points in which that family's code bases differ.
    """

    in_channels: int = 3  # of x, and of the condition's image where there is one
    out_channels: int = 3
    channels: tuple[int, ...] = (128, 256, 256, 256)  # of each level, finest first
    blocks: int = 2  # residual blocks a level; one more on the way up
    attention: tuple[bool, ...] = (False, True, False, False)  # on each level
    head_channels: int | None = None  # None: one head
    heads: int | None = None  # instead of head_channels: as many heads at every width
    mid_attention: bool = True
    dropout: float = 0.0
    classes: int = 0  # real classes; 0: the network takes no label
    null_class: bool = True  # one more row of the class embedding, for images that are asked to be nothing
    vector: int = 0  # entries of the condition's vector; 0: the network takes none

    modulation: Literal["shift", "scale_shift"] = "shift"  # how the embedding enters a block
    resample: Literal["conv", "block"] = "conv"  # how levels change resolution
    pad: Literal["both", "end"] = "both"  # zeros around a strided convolution's input
    groups: int = 32
    eps: float = 1e-5
    time_channels: int = 128
    time_order: Literal["sin_cos", "cos_sin"] = "cos_sin"
    freq_shift: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_widths()

    @property
    def embed_channels(self) -> int:
        """Width of the embedding that time, label and vector are added up in."""
        return 4 * self.time_channels

    @property
    def multiple(self) -> int:
        """What height and width are padded to a multiple of: they are halved once between two levels."""
        return 2 ** (len(self.channels) - 1)

    def heads_of(self, channels: int) -> int:
        """Attention heads at that width."""
        return self.heads or channels // (self.head_channels or channels)

    def _check_numbers(self) -> None:
        for name in ("in_channels", "out_channels", "blocks", "groups", "classes", "vector"):
            least = 0 if name in ("classes", "vector") else 1
            if (value := getattr(self, name)) < least:
                raise InputError(f"UNetConfig.{name} is {value}: it must be at least {least}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"UNetConfig.dropout is {self.dropout}: it is a probability, from 0 to below 1")
        if not self.eps > 0:
            raise InputError(f"UNetConfig.eps is {self.eps}: it must be above 0")
        if self.time_channels < 2 or self.time_channels % 2:
            raise InputError(f"UNetConfig.time_channels is {self.time_channels}: it must be even and at least 2")
        if not 0 <= self.freq_shift < self.time_channels // 2:
            most = self.time_channels // 2 - 1
            raise InputError(f"UNetConfig.freq_shift is {self.freq_shift}: it must be from 0 to {most} here")
        for name, allowed in (
            ("modulation", ("shift", "scale_shift")),
            ("resample", ("conv", "block")),
            ("pad", ("both", "end")),
            ("time_order", ("sin_cos", "cos_sin")),
        ):
            if (value := getattr(self, name)) not in allowed:
                raise InputError(f"UNetConfig.{name} is {value!r}: it must be {' or '.join(map(repr, allowed))}")

    def _check_widths(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"UNetConfig.channels is {self.channels}: it needs one width of at least 1 for each level")
        if len(self.attention) != len(self.channels):
            raise InputError(
                f"UNetConfig.attention has {len(self.attention)} entries for {len(self.channels)} levels: give one each"
            )
        for width in self.channels:
            if width % self.groups:
                raise InputError(
                    f"UNetConfig.groups is {self.groups}, which does not divide a level's {width} channels"
                )
        if self.heads is not None and self.head_channels is not None:
            raise InputError("UNetConfig.heads and head_channels are both given: give one, or neither for one head")
        attending = [c for c, a in zip(self.channels, self.attention, strict=True) if a]
        attending += [self.channels[-1]] if self.mid_attention else []
        for width in attending:
            for name, value in (("heads", self.heads), ("head_channels", self.head_channels)):
                if value is not None and (value < 1 or width % value):
                    raise InputError(
                        f"UNetConfig.{name} is {value}, which does not divide {width}, an attention's width"
                    )
