"""Configurations of networks: frozen dataclasses of plain numbers, stored in a model's config.json.

`Architecture` holds what the code around a network needs to know about it. `models.registry.CONFIG_CLASSES` lists the
kinds of network and the names by which config.json refers to them.
"""

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import InputError, shorten

# Bounds of the counts in configs: a network within them is described (models.config.describe_network) within a second,
# and its weights' size is compared with the file's before memory is taken. Published networks are far below.
MAX_WIDTH = 16384  # channels and widths
MAX_LEVELS = 10
MAX_BLOCKS = 32  # residual blocks of a level
MAX_DEPTH = 128  # transformer blocks
MAX_PATCH = 64
MAX_CLASSES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Architecture(abc.ABC):
    """A kind of network. The network is called with (x, noise_label, cond): x (b, in_channels, h, w) with sides of
    at least 8 pixels, noise labels (b,), and a `Condition` or None; it returns (b, out_channels, h, w)."""

    in_channels: int = 3  # of x, and of the condition's image where there is one
    out_channels: int = 3  # twice the image's where the network also returns logits of the variance
    classes: int = 0  # real classes; 0: the network takes no label
    null_class: bool = True  # one more row of the class embedding, for unconditional images
    vector: int = 0  # entries of the condition's vector; 0: the network takes none
    tokens: int = 0  # width of the condition's text tokens; 0: the network takes none
    dropout: float = 0.0

    supports_text: ClassVar[bool] = False  # whether this kind of network takes text tokens

    @property
    def class_planes(self) -> int:
        """Channels that the first layer reads besides `in_channels`: one for each class, or 0."""
        return 0

    def __post_init__(self) -> None:
        """InputError for a field that no network can be built with."""
        self.check_between(1, MAX_WIDTH, "in_channels", "out_channels")
        self.check_between(0, MAX_CLASSES, "classes")
        self.check_between(0, MAX_WIDTH, "vector", "tokens")
        if self.tokens and not self.supports_text:
            raise self.field_error(
                "tokens", "this kind of network reads no text: choose a UNetConfig, as tiny and base have"
            )
        if not 0 <= self.dropout < 1:
            raise self.field_error("dropout", "it is a probability, from 0 to below 1")

    @property
    @abc.abstractmethod
    def size_multiple(self) -> int:
        """Height and width are padded to multiples of this inside the network."""

    def check_between(self, minimum: int, maximum: int, *names: str) -> None:
        """InputError if one of the fields is below `minimum` or above `maximum`."""
        for name in names:
            if not minimum <= getattr(self, name) <= maximum:
                raise self.field_error(name, f"it must be {minimum} to {maximum}")

    def check_levels(self, *names: str) -> None:
        """InputError unless `channels` has 1 to MAX_LEVELS widths, and each of the fields `names` as many entries."""
        channels: tuple[int, ...] = getattr(self, "channels")  # noqa: B009, of the classes that have levels
        if not 1 <= len(channels) <= MAX_LEVELS or not all(1 <= width <= MAX_WIDTH for width in channels):
            raise self.field_error("channels", f"it needs 1 to {MAX_LEVELS} widths of 1 to {MAX_WIDTH}, one a level")
        for name in names:
            if len(getattr(self, name)) != len(channels):
                raise self.field_error(name, f"it needs one entry for each of the {len(channels)} levels")

    def check_one_of(self, name: str, *allowed: str) -> None:
        """InputError if the field is not one of `allowed`."""
        if getattr(self, name) not in allowed:
            raise self.field_error(name, f"it must be {' or '.join(map(repr, allowed))}")

    def field_error(self, name: str, hint: str) -> InputError:
        """An InputError that names the field, its value, and in `hint` what would be right."""
        return InputError(f"{type(self).__name__}.{name} is {shorten(repr(getattr(self, name)))}: {hint}")


@dataclass(frozen=True, kw_only=True)
class TimeEmbeddedConfig(Architecture):
    """An architecture with a sinusoidal embedding of the noise label; the defaults are guided-diffusion's."""

    time_channels: int = 128
    time_order: Literal["sin_cos", "cos_sin"] = "cos_sin"
    freq_shift: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_between(2, MAX_WIDTH, "time_channels")
        if self.time_channels % 2:
            raise self.field_error("time_channels", "it must be even")
        if not 0 <= self.freq_shift < self.time_channels // 2:
            raise self.field_error("freq_shift", f"it must be from 0 to {self.time_channels // 2 - 1} here")
        self.check_one_of("time_order", "sin_cos", "cos_sin")

    @property
    def embed_channels(self) -> int:
        """Width of the sum of the embeddings of time, label, vector and text."""
        return 4 * self.time_channels


@dataclass(frozen=True, kw_only=True)
class UNetConfig(TimeEmbeddedConfig):
    """One U-Net of the family of Ho et al. 2020.

    The defaults of the last group of fields are guided-diffusion's and diffusers'. The code bases of this family
    differ in `modulation`, `resample`, `pad`, `time_order` and `freq_shift`.
    """

    channels: tuple[int, ...] = (128, 256, 256, 256)  # of each level, finest first
    blocks: int = 2  # residual blocks a level; one more on the way up
    attention: tuple[bool, ...] = (False, True, False, False)  # on each level
    head_channels: int | None = None  # None: one head
    heads: int | None = None  # instead of head_channels: as many heads at every width
    mid_attention: bool = True
    patch: int = 1  # side of the patches that become one pixel (pixel unshuffle before the network, shuffle after it)

    modulation: Literal["shift", "scale_shift"] = "shift"  # how the embedding enters a block
    label_input: Literal["embedding", "planes"] = "embedding"  # planes: one-hot channels, concatenated to x
    resample: Literal["conv", "block"] = "conv"  # how levels change resolution
    pad: Literal["both", "end"] = "both"  # zeros around a strided convolution's input
    groups: int = 32
    eps: float = 1e-5

    supports_text: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_numbers()
        self._check_widths()

    @property
    def size_multiple(self) -> int:
        """Height and width are padded to multiples of this: they are halved between two levels."""
        return self.patch * 2 ** (len(self.channels) - 1)

    @property
    def class_planes(self) -> int:
        """One channel for each class where labels are concatenated to x, else 0."""
        return self.classes if self.label_input == "planes" else 0

    def num_heads(self, channels: int) -> int:
        """The number of attention heads at this width."""
        return self.heads or channels // (self.head_channels or channels)

    def _check_numbers(self) -> None:
        self.check_between(1, MAX_BLOCKS, "blocks")
        self.check_between(1, MAX_WIDTH, "groups")
        self.check_between(1, MAX_PATCH, "patch")
        if not self.eps > 0:
            raise self.field_error("eps", "it must be above 0")
        self.check_one_of("modulation", "shift", "scale_shift")
        self.check_one_of("label_input", "embedding", "planes")
        self.check_one_of("resample", "conv", "block")
        self.check_one_of("pad", "both", "end")

    def _check_widths(self) -> None:
        self.check_levels("attention")
        for width in self.channels:
            if width % self.groups:
                raise self.field_error("groups", f"it does not divide a level's {width} channels")
        if self.heads is not None and self.head_channels is not None:
            raise InputError("UNetConfig.heads and head_channels are both given: give one, or neither for one head")
        attending = [c for c, a in zip(self.channels, self.attention, strict=True) if a]
        attending += [self.channels[-1]] if self.mid_attention else []
        for width in attending:
            for name, value in (("heads", self.heads), ("head_channels", self.head_channels)):
                if value is not None and (value < 1 or width % value):
                    raise self.field_error(name, f"it does not divide {width}, an attention's width")
