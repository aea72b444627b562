"""The network of the sprites course (DeepLearning.AI's "How Diffusion Models Work"), in our own words.

Two levels down by maximum, one vector at the bottom, two levels up. On the way up, what the image is asked to be is
multiplied with the features and the time is added: h · context + time. A time is one number, k/T of step k.

Three things of the course's notebooks that are otherwise here:

- Where a residual block changes its width, the course draws a new random 1 × 1 convolution at every call as the way
  around: the same noise gives other pictures each time, and nothing can be drawn again. Here it is a layer that learns.
- Its DDIM goes wrong unless the number of steps divides 500; `noisette.sampler.DDIM` walks any grid.
- Its rows repeat every 1,788 pictures, so that a split of rows leaks; `noisette scan` splits by content.

Legend: b batch, c channels, h × w pixels, d entries of the context.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..condition import Condition
from ..errors import InputError
from ..shapes import PerImage
from .architecture import Architecture
from .stem import cropped, padded, stacked


@dataclass(frozen=True, kw_only=True)
class ContextUNetConfig(Architecture):
    """The context is one number a class and one an attribute; all zeros ask for nothing."""

    features: int = 64  # channels of the first level; the second has twice as many
    height: int = 16  # of the pictures: the bottom is one vector, which is spread over a quarter of both sides
    width: int = 16
    steps: int = 500  # T: the network is told the share k/T of the chain
    norm: Literal["group", "batch"] = "group"  # in the residual blocks. The course's is batch: for its weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "features", "steps")
        self.at_least(8, "height", "width")
        self.one_of("norm", "group", "batch")
        if self.features % 8:
            raise self.wrong("features", "it must be a multiple of 8, the groups of its norms")
        if self.dropout:
            raise self.wrong("dropout", "this network has none: it must be 0")

    @property
    def multiple(self) -> int:
        return 4

    @property
    def context(self) -> int:
        """Entries of the context."""
        return self.classes + self.vector

    def build(self) -> nn.Module:
        return ContextUNet(self)


class ConvBlock(nn.Module):
    """Two convolutions, each with norm and GELU; with a way around, half the sum's variance."""

    def __init__(self, cfg: ContextUNetConfig, ins: int, outs: int, around: bool = False) -> None:
        super().__init__()

        def layer(ins: int) -> nn.Sequential:
            norm = nn.BatchNorm2d(outs) if cfg.norm == "batch" else nn.GroupNorm(8, outs)
            return nn.Sequential(nn.Conv2d(ins, outs, 3, padding=1), norm, nn.GELU())

        self.conv1, self.conv2 = layer(ins), layer(outs)
        self.skip = nn.Conv2d(ins, outs, 1) if around else None

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h w"]:
        h = self.conv2(self.conv1(x))
        return h if self.skip is None else (h + self.skip(x)) / 1.414  # the course's √2


class Told(nn.Module):
    """Two linear layers with GELU between them: what there is to tell, as a number for each channel."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(ins, outs), nn.GELU(), nn.Linear(outs, outs))

    def forward(self, told: Float[Tensor, "b d"]) -> Float[Tensor, "b c 1 1"]:
        return self.mlp(told)[:, :, None, None]


class Up(nn.Module):
    """Twice the resolution, with what the way down has left at this one."""

    def __init__(self, cfg: ContextUNetConfig, ins: int, outs: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(ins, outs, 2, 2)
        self.blocks = nn.Sequential(ConvBlock(cfg, outs, outs), ConvBlock(cfg, outs, outs))

    def forward(self, x: Float[Tensor, "b c1 h w"], beside: Float[Tensor, "b c2 h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.blocks(self.grow(torch.cat([x, beside], dim=1)))


class Middle(nn.Module):
    """One vector for the whole picture, and back. Its output is h-space."""

    def __init__(self, cfg: ContextUNetConfig, channels: int) -> None:
        super().__init__()
        size = (-(-cfg.height // 4), -(-cfg.width // 4))
        self.spread = nn.ConvTranspose2d(channels, channels, size, size)
        self.norm = nn.GroupNorm(8, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(self.norm(self.spread(F.gelu(x.mean((2, 3), keepdim=True)))))


class ContextUNet(nn.Module):
    """x_t, its noise label and what is asked for, to what the parametrization names."""

    def __init__(self, cfg: ContextUNetConfig) -> None:
        super().__init__()
        self.cfg, n = cfg, cfg.features
        self.conv_in = ConvBlock(cfg, cfg.in_channels, n, around=True)
        self.down1 = nn.Sequential(ConvBlock(cfg, n, n), ConvBlock(cfg, n, n), nn.MaxPool2d(2))
        self.down2 = nn.Sequential(ConvBlock(cfg, n, 2 * n), ConvBlock(cfg, 2 * n, 2 * n), nn.MaxPool2d(2))
        self.mid = Middle(cfg, 2 * n)
        self.time1, self.time2 = Told(1, 2 * n), Told(1, n)
        self.context1 = Told(cfg.context, 2 * n) if cfg.context else None
        self.context2 = Told(cfg.context, n) if cfg.context else None
        self.up1, self.up2 = Up(cfg, 4 * n, n), Up(cfg, 2 * n, n)
        self.out = nn.Sequential(
            nn.Conv2d(2 * n, n, 3, padding=1), nn.GroupNorm(8, n), nn.ReLU(),
            nn.Conv2d(n, cfg.out_channels, 3, padding=1),
        )  # fmt: skip

    def forward(
        self, x: Float[Tensor, "b c h w"], label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, height, width) and its noise label (b,) to (b, c_out, height, width)."""
        size = self.cfg.height, self.cfg.width
        if x.shape[2:] != size:
            raise InputError(f"x is of {x.shape[2]}×{x.shape[3]}: this network is made for {size[0]}×{size[1]} alone")
        time, context = ((label + 1) / self.cfg.steps)[:, None].to(x), self._context(x, cond)
        x = self.conv_in(padded(stacked(x, cond, self.cfg.in_channels), 4))
        down1 = self.down1(x)
        down2 = self.down2(down1)
        h = self.mid(down2)
        h = self.up1((h if self.context1 is None else h * self.context1(context)) + self.time1(time), down2)
        h = self.up2((h if self.context2 is None else h * self.context2(context)) + self.time2(time), down1)
        return cropped(self.out(torch.cat([h, x], dim=1)), size[0], size[1], 4).contiguous()

    def _context(self, x: Tensor, cond: Condition | None) -> Float[Tensor, "b d"]:
        """What is asked for, in numbers; what is null is zeros."""
        cond = Condition() if cond is None else cond
        parts = []
        for name, size in (("label", self.cfg.classes), ("vector", self.cfg.vector), ("tokens", 0)):
            given = getattr(cond, name)
            if given is not None and not size:
                raise InputError(f"a {name} was given, but this network was built to take none")
            if size:
                parts.append(x.new_zeros(len(x), size) if given is None else self._numbers(name, given, size).to(x))
        return torch.cat(parts, dim=1) if parts else x.new_zeros(len(x), 0)

    def _numbers(self, name: str, given: Tensor, size: int) -> Tensor:
        if given.is_floating_point():
            if given.shape[1] != size:
                raise InputError(f"the condition's {name} has {given.shape[1]} entries: this network takes {size}")
            return given.masked_fill(given.isnan().all(dim=1, keepdim=True), 0)
        seen = not torch.compiler.is_compiling() and given.device.type == "cpu" and len(given)  # elsewhere it costs
        if seen and not -1 <= int(given.min()) <= int(given.max()) < size:
            low, high = int(given.min()), int(given.max())
            raise InputError(f"classes {low} to {high} were asked for: this network knows 0 to {size - 1}, or -1")
        return F.one_hot(given + 1, size + 1)[:, 1:]
