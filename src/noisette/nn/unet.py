"""The U-Net of Ho et al. 2020; guided-diffusion's and diffusers' U-Nets are special cases.

Legend: b batch, c channels, h × w pixels.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.condition import Condition
from ..shapes import PerImage
from .architecture import UNetConfig
from .blocks import Attention, Block, Downsample, Level, Middle, ResBlock, Upsample
from .conv import Conv3x3
from .cross_attention import Conditioning, CrossAttention, TokenEmbedding
from .embedding import ClassPlanes, ConditionEmbedding
from .norm import GroupNorm
from .padding import concat_cond_image, crop_padding, pad_to_multiple

__all__ = ["UNet", "UNetConfig"]


class UNet(nn.Module):
    """Maps x_t, its noise label and the condition to the parametrization's mixture of x0 and ε.

    `down`, `mid` and `up` are its three parts; the output of `mid`, or in small networks of `decoder`, is h-space.
    Height and width are free: x is padded with zeros to a multiple of `cfg.size_multiple`, and the output is cropped.
    """

    def __init__(self, cfg: UNetConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = ConditionEmbedding(cfg)
        self.words = TokenEmbedding(cfg) if cfg.tokens else None
        self.unshuffle = nn.PixelUnshuffle(cfg.patch) if cfg.patch > 1 else nn.Identity()
        self.shuffle = nn.PixelShuffle(cfg.patch) if cfg.patch > 1 else nn.Identity()
        self.planes = ClassPlanes(cfg) if cfg.class_planes else None
        self.conv_in = Conv3x3((cfg.in_channels + cfg.class_planes) * cfg.patch**2, cfg.channels[0])

        width, skips = cfg.channels[0], [cfg.channels[0]]
        last = len(cfg.channels) - 1
        self.down = nn.ModuleList()
        for i, outs in enumerate(cfg.channels):
            blocks: list[Block] = []
            for _ in range(cfg.blocks):
                blocks.append(Block(cfg, width, outs, cfg.attention[i]))
                width = outs
                skips.append(width)
            shrink: ResBlock | Downsample | None = None
            if i != last:
                shrink = ResBlock(cfg, width, width, "down") if cfg.resample == "block" else Downsample(cfg, width)
                skips.append(width)
            self.down.append(Level(blocks, shrink))

        self.mid = Middle(cfg, width)

        self.up = nn.ModuleList()
        for i, outs in reversed(list(enumerate(cfg.channels))):
            blocks = []
            for _ in range(cfg.blocks + 1):
                blocks.append(Block(cfg, width + skips.pop(), outs, cfg.attention[i]))
                width = outs
            grow: ResBlock | Upsample | None = None
            if i != 0:
                grow = ResBlock(cfg, width, width, "up") if cfg.resample == "block" else Upsample(width)
            self.up.append(Level(blocks, grow))

        self.norm_out = GroupNorm(cfg.groups, width, cfg.eps)
        self.conv_out = Conv3x3(width, cfg.out_channels * cfg.patch**2)
        self._initialize()

    def _initialize(self) -> None:
        """Ho et al. 2020: Xavier uniform, biases 0; the last layer of each residual branch and of the network is 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, ResBlock):
                nn.init.zeros_(module.conv2.weight)
            elif isinstance(module, Attention | CrossAttention):
                nn.init.zeros_(module.out.weight)
        nn.init.zeros_(self.conv_out.weight)

    @property
    def decoder(self) -> nn.Module:
        """The decoder's last block before the finest level: features of half the height and width."""
        level = cast(Level, self.up[-2]) if len(self.up) > 1 else None
        return self.mid if level is None else level.blocks[-1]

    def forward(
        self, x: Float[Tensor, "b c h w"], label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, h, w) and its noise label (b,) to (b, c_out, h, w)."""
        conditioning = Conditioning(self.embed(label, cond))
        if self.words is not None:
            conditioning = conditioning._replace(tokens=self.words(None if cond is None else cond.tokens, len(x)))
        height, width = x.shape[2:]
        h = concat_cond_image(x, cond, self.cfg.in_channels)
        if self.planes is not None:
            h = self.planes(h, None if cond is None else cond.label)
        h = self.unshuffle(pad_to_multiple(h, self.cfg.size_multiple))
        if h.device.type == "cpu":  # the memory format that CPUs convolve fastest
            h = h.contiguous(memory_format=torch.channels_last)
        h = self.conv_in(h)
        skips = [h]
        for level in self.down:
            h = cast(Level, level).encode(h, conditioning, skips)
        h = self.mid(h, conditioning)
        for level in self.up:
            h = cast(Level, level).decode(h, conditioning, skips)
        y = self.shuffle(self.conv_out(self.norm_out(h, silu=True)))
        return crop_padding(y, height, width, self.cfg.size_multiple).contiguous()
