"""The shape of a network, as plain numbers: what a model's config.json says of it.

An `Architecture` says what everything around a network needs to know, and builds it. Which kinds there are, and under
which names config.json knows them, says `config.CHOICES`.
"""

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from ..errors import InputError


@dataclass(frozen=True, kw_only=True)
class Architecture(abc.ABC):
    """A kind of network. What it builds is called with (x, label, cond): x (b, in_channels, h, w) of any size from
    8 pixels a side, its noise label (b,), and a `Condition` or None; and answers (b, out_channels, h, w)."""

    in_channels: int = 3  # of x, and of the condition's image where there is one
    out_channels: int = 3  # twice the picture's where the network answers logits of the variance, too
    classes: int = 0  # real classes; 0: the network takes no label
    null_class: bool = True  # one more row of the class embedding, for images that are asked to be nothing
    vector: int = 0  # entries of the condition's vector; 0: the network takes none
    tokens: int = 0  # entries of a row of the condition's tokens, which are text; 0: the network reads none
    dropout: float = 0.0

    reads: ClassVar[bool] = False  # whether this kind of network can be told a text

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        self.at_least(1, "in_channels", "out_channels")
        self.at_least(0, "classes", "vector", "tokens")
        if self.tokens and not self.reads:
            raise self.wrong("tokens", "this kind of network reads no text: choose a UNetConfig, as tiny and base have")
        if not 0 <= self.dropout < 1:
            raise self.wrong("dropout", "it is a probability, from 0 to below 1")

    @property
    @abc.abstractmethod
    def multiple(self) -> int:
        """What height and width are padded to a multiple of inside the network."""

    @abc.abstractmethod
    def build(self) -> nn.Module:
        """The network, as it is before any training."""

    def at_least(self, least: int, *names: str) -> None:
        """Refuse a field that is smaller."""
        for name in names:
            if getattr(self, name) < least:
                raise self.wrong(name, f"it must be at least {least}")

    def one_of(self, name: str, *allowed: str) -> None:
        """Refuse a word that does not exist."""
        if getattr(self, name) not in allowed:
            raise self.wrong(name, f"it must be {' or '.join(map(repr, allowed))}")

    def wrong(self, name: str, right: str) -> InputError:
        """The error of a field, and what would be right."""
        return InputError(f"{type(self).__name__}.{name} is {getattr(self, name)!r}: {right}")


@dataclass(frozen=True, kw_only=True)
class Timed(Architecture):
    """An architecture that is told the noise label by sinusoids of it; the defaults are guided-diffusion's."""

    time_channels: int = 128
    time_order: Literal["sin_cos", "cos_sin"] = "cos_sin"
    freq_shift: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_channels < 2 or self.time_channels % 2:
            raise self.wrong("time_channels", "it must be even and at least 2")
        if not 0 <= self.freq_shift < self.time_channels // 2:
            raise self.wrong("freq_shift", f"it must be from 0 to {self.time_channels // 2 - 1} here")
        self.one_of("time_order", "sin_cos", "cos_sin")

    @property
    def embed_channels(self) -> int:
        """Width of the embedding that time, label and vector are added up in."""
        return 4 * self.time_channels


@dataclass(frozen=True, kw_only=True)
class UNetConfig(Timed):
    """One U-Net of the family of Ho et al. 2020.

    The defaults of the last group are guided-diffusion's and diffusers'; `modulation`, `resample`, `pad`, `time_order`
    and `freq_shift` are the points in which that family's code bases differ.
    """

    channels: tuple[int, ...] = (128, 256, 256, 256)  # of each level, finest first
    blocks: int = 2  # residual blocks a level; one more on the way up
    attention: tuple[bool, ...] = (False, True, False, False)  # on each level
    head_channels: int | None = None  # None: one head
    heads: int | None = None  # instead of head_channels: as many heads at every width
    mid_attention: bool = True
    patch: int = 1  # pixels a side that become one: their channels are stacked before the network and spread after it

    modulation: Literal["shift", "scale_shift"] = "shift"  # how the embedding enters a block
    resample: Literal["conv", "block"] = "conv"  # how levels change resolution
    pad: Literal["both", "end"] = "both"  # zeros around a strided convolution's input
    groups: int = 32
    eps: float = 1e-5

    reads: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_numbers()
        self._check_widths()

    @property
    def multiple(self) -> int:
        """What height and width are padded to a multiple of: they are halved once between two levels."""
        return self.patch * 2 ** (len(self.channels) - 1)

    def build(self) -> nn.Module:
        from .unet import UNet  # which is made of blocks that know this class

        return UNet(self)

    def heads_of(self, channels: int) -> int:
        """Attention heads at that width."""
        return self.heads or channels // (self.head_channels or channels)

    def _check_numbers(self) -> None:
        self.at_least(1, "blocks", "groups", "patch")
        if not self.eps > 0:
            raise self.wrong("eps", "it must be above 0")
        self.one_of("modulation", "shift", "scale_shift")
        self.one_of("resample", "conv", "block")
        self.one_of("pad", "both", "end")

    def _check_widths(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise self.wrong("channels", "it needs one width of at least 1 for each level")
        if len(self.attention) != len(self.channels):
            raise InputError(
                f"UNetConfig.attention has {len(self.attention)} entries for {len(self.channels)} levels: give one each"
            )
        for width in self.channels:
            if width % self.groups:
                raise self.wrong("groups", f"it does not divide a level's {width} channels")
        if self.heads is not None and self.head_channels is not None:
            raise InputError("UNetConfig.heads and head_channels are both given: give one, or neither for one head")
        attending = [c for c, a in zip(self.channels, self.attention, strict=True) if a]
        attending += [self.channels[-1]] if self.mid_attention else []
        for width in attending:
            for name, value in (("heads", self.heads), ("head_channels", self.head_channels)):
                if value is not None and (value < 1 or width % value):
                    raise self.wrong(name, f"it does not divide {width}, an attention's width")
