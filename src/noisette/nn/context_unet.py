"""The network of the sprites course (DeepLearning.AI's "How Diffusion Models Work").

Two levels down by max pooling, one vector at the bottom, two levels up. On the way up the features are multiplied by
the embedded condition, and the embedded time is added: h · context + time. The time of step k is the number k/T.

Three bugs of the course's notebooks are absent here:

- Where a residual block changes its width, the course creates a new random 1 × 1 convolution at every call as the
  skip connection, so that the same noise gives other images each time. Here it is a trained layer.
- The course's DDIM is wrong unless the number of steps divides 500; `noisette.diffusion.sampler.DDIM` takes any grid.
- The course's rows repeat every 1,788 images, so that a split by rows leaks; `noisette scan` splits by content.

Legend: b batch, c channels, h × w pixels, d entries of the context.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.condition import Condition
from ..diffusion.schedule import MAX_CHAIN_STEPS
from ..errors import InputError
from ..shapes import MAX_SIDE, PerImage
from .architecture import MAX_WIDTH, Architecture
from .padding import concat_cond_image, crop_padding, pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class ContextUNetConfig(Architecture):
    """The context has one number for each class and attribute; all zeros mean unconditional."""

    features: int = 64  # channels of the first level; the second has twice as many
    height: int = 16  # of the images, in pixels: the vector at the bottom is spread over a quarter of height and width
    width: int = 16
    steps: int = 500  # T: the network's input for step k is k/T
    norm: Literal["group", "batch"] = "group"  # in the residual blocks; "batch" for the course's weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_between(1, MAX_WIDTH, "features")
        self.check_between(1, MAX_CHAIN_STEPS, "steps")
        self.check_between(8, MAX_SIDE, "height", "width")
        self.check_one_of("norm", "group", "batch")
        if self.features % 8:
            raise self.field_error("features", "it must be a multiple of 8, the groups of its norms")
        if self.dropout:
            raise self.field_error("dropout", "this network has none: it must be 0")

    @property
    def size_multiple(self) -> int:
        return 4

    @property
    def context_size(self) -> int:
        """Entries of the context."""
        return self.classes + self.vector


class ConvBlock(nn.Module):
    """Two convolutions, each with norm and GELU; with a skip connection, the sum is divided by √2."""

    def __init__(self, cfg: ContextUNetConfig, in_channels: int, out_channels: int, residual: bool = False) -> None:
        super().__init__()

        def layer(ins: int) -> nn.Sequential:
            norm = nn.BatchNorm2d(out_channels) if cfg.norm == "batch" else nn.GroupNorm(8, out_channels)
            return nn.Sequential(nn.Conv2d(ins, out_channels, 3, padding=1), norm, nn.GELU())

        self.conv1, self.conv2 = layer(in_channels), layer(out_channels)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if residual else None

    def forward(self, x: Float[Tensor, "b c1 h w"]) -> Float[Tensor, "b c2 h w"]:
        h = self.conv2(self.conv1(x))
        return h if self.skip is None else (h + self.skip(x)) / 1.414  # the course's √2


class EmbeddingMLP(nn.Module):
    """Two linear layers with GELU between them: one number for each channel."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_features, out_features), nn.GELU(), nn.Linear(out_features, out_features))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c 1 1"]:
        return self.mlp(x)[:, :, None, None]


class UpBlock(nn.Module):
    """Upsamples by 2, with the encoder's features concatenated to the input."""

    def __init__(self, cfg: ContextUNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(in_channels, out_channels, 2, 2)
        self.blocks = nn.Sequential(
            ConvBlock(cfg, out_channels, out_channels), ConvBlock(cfg, out_channels, out_channels)
        )

    def forward(self, x: Float[Tensor, "b c1 h w"], skip: Float[Tensor, "b c2 h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.blocks(self.grow(torch.cat([x, skip], dim=1)))


class Middle(nn.Module):
    """The mean over all pixels as one vector, spread over the pixels again. Its output is h-space."""

    def __init__(self, cfg: ContextUNetConfig, channels: int) -> None:
        super().__init__()
        size = (-(-cfg.height // 4), -(-cfg.width // 4))
        self.spread = nn.ConvTranspose2d(channels, channels, size, size)
        self.norm = nn.GroupNorm(8, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(self.norm(self.spread(F.gelu(x.mean((2, 3), keepdim=True)))))


class ContextUNet(nn.Module):
    """Maps x_t, its noise label and the condition to the parametrization's mixture of x0 and ε."""

    def __init__(self, cfg: ContextUNetConfig) -> None:
        super().__init__()
        self.cfg, n = cfg, cfg.features
        self.conv_in = ConvBlock(cfg, cfg.in_channels, n, residual=True)
        self.down1 = nn.Sequential(ConvBlock(cfg, n, n), ConvBlock(cfg, n, n), nn.MaxPool2d(2))
        self.down2 = nn.Sequential(ConvBlock(cfg, n, 2 * n), ConvBlock(cfg, 2 * n, 2 * n), nn.MaxPool2d(2))
        self.mid = Middle(cfg, 2 * n)
        self.time1, self.time2 = EmbeddingMLP(1, 2 * n), EmbeddingMLP(1, n)
        self.context1 = EmbeddingMLP(cfg.context_size, 2 * n) if cfg.context_size else None
        self.context2 = EmbeddingMLP(cfg.context_size, n) if cfg.context_size else None
        self.up1, self.up2 = UpBlock(cfg, 4 * n, n), UpBlock(cfg, 2 * n, n)
        self.out = nn.Sequential(
            nn.Conv2d(2 * n, n, 3, padding=1), nn.GroupNorm(8, n), nn.ReLU(),
            nn.Conv2d(n, cfg.out_channels, 3, padding=1),
        )  # fmt: skip

    def forward(
        self, x: Float[Tensor, "b c h w"], noise_label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, height, width) and its noise label (b,) to (b, c_out, height, width)."""
        size = self.cfg.height, self.cfg.width
        if x.shape[2:] != size:
            raise InputError(f"x must be {size[0]}×{size[1]} for this network, got {x.shape[2]}×{x.shape[3]}")
        time, context = ((noise_label + 1) / self.cfg.steps)[:, None].to(x), self._context_vector(x, cond)
        x = self.conv_in(pad_to_multiple(concat_cond_image(x, cond, self.cfg.in_channels), 4))
        down1 = self.down1(x)
        down2 = self.down2(down1)
        h = self.mid(down2)
        h = self.up1((h if self.context1 is None else h * self.context1(context)) + self.time1(time), down2)
        h = self.up2((h if self.context2 is None else h * self.context2(context)) + self.time2(time), down1)
        return crop_padding(self.out(torch.cat([h, x], dim=1)), size[0], size[1], 4).contiguous()

    def _context_vector(self, x: Tensor, cond: Condition | None) -> Float[Tensor, "b d"]:
        """Label and vector of the condition as one vector for each image; zeros where they are null."""
        cond = Condition() if cond is None else cond
        parts = []
        for name, size in (("label", self.cfg.classes), ("vector", self.cfg.vector), ("tokens", 0)):
            given = getattr(cond, name)
            if given is not None and not size:
                raise InputError(f"a {name} was given, but this network was built to take none")
            if size:
                parts.append(x.new_zeros(len(x), size) if given is None else self._encode_part(name, given, size).to(x))
        return torch.cat(parts, dim=1) if parts else x.new_zeros(len(x), 0)

    def _encode_part(self, name: str, value: Tensor, size: int) -> Tensor:
        if value.is_floating_point():
            if value.shape[1] != size:
                raise InputError(f"the condition's {name} has {value.shape[1]} entries: this network takes {size}")
            return value.masked_fill(value.isnan().all(dim=1, keepdim=True), 0)
        seen = (
            not torch.compiler.is_compiling() and value.device.type == "cpu" and len(value)
        )  # elsewhere it would wait
        if seen and not -1 <= int(value.min()) <= int(value.max()) < size:
            low, high = int(value.min()), int(value.max())
            raise InputError(f"class numbers must be 0 to {size - 1}, or -1 for none, got {low} to {high}")
        return F.one_hot(value + 1, size + 1)[:, 1:]
