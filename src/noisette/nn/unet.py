"""The U-Net of Ho et al. 2020 and of its descendants: guided-diffusion's and diffusers' are special cases.

Legend: b batch, c channels, h × w pixels.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..condition import Condition
from ..shapes import PerImage
from .architecture import UNetConfig
from .blocks import Attention, Block, Downsample, Level, Middle, ResBlock, Upsample
from .conv import Conv3x3
from .embedding import Embedding
from .norm import GroupNorm
from .stem import cropped, padded, stacked
from .text import CrossAttention, Told, WordEmbedding

__all__ = ["UNet", "UNetConfig"]


class UNet(nn.Module):
    """x_t, its noise label and what is asked for, to the mixture of x0 and ε that the parametrization names.

    `down`, `mid` and `up` are its three parts; the output of `mid`, or in small networks of `decoder`, is h-space.
    Height and width need not be multiples of anything: x is padded with zeros, as its convolutions pad, and the answer
    is cropped.
    """

    def __init__(self, cfg: UNetConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = Embedding(cfg)
        self.words = WordEmbedding(cfg) if cfg.tokens else None
        self.unshuffle = nn.PixelUnshuffle(cfg.patch) if cfg.patch > 1 else nn.Identity()
        self.shuffle = nn.PixelShuffle(cfg.patch) if cfg.patch > 1 else nn.Identity()
        self.conv_in = Conv3x3(cfg.in_channels * cfg.patch**2, cfg.channels[0])

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
        self._initialise()

    def _initialise(self) -> None:
        """Ho et al. 2020: uniform by fan average, biases 0; the last layer of a residual branch, and of all, is 0."""
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
        """What the decoder says before it turns to the finest level: features of half the height and width."""
        level = cast(Level, self.up[-2]) if len(self.up) > 1 else None
        return self.mid if level is None else level.blocks[-1]

    def forward(
        self, x: Float[Tensor, "b c h w"], label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, h, w) and its noise label (b,) to (b, c_out, h, w)."""
        told = Told(self.embed(label, cond))
        if self.words is not None:
            told = told._replace(words=self.words(None if cond is None else cond.tokens, len(x)))
        height, width = x.shape[2:]
        h = self.unshuffle(padded(stacked(x, cond, self.cfg.in_channels), self.cfg.multiple))
        if h.device.type == "cpu":  # the channels of a pixel together: what processors convolve fastest
            h = h.contiguous(memory_format=torch.channels_last)
        h = self.conv_in(h)
        skips = [h]
        for level in self.down:
            h = cast(Level, level).encode(h, told, skips)
        h = self.mid(h, told)
        for level in self.up:
            h = cast(Level, level).decode(h, told, skips)
        y = self.shuffle(self.conv_out(self.norm_out(h, silu=True)))
        return cropped(y, height, width, self.cfg.multiple).contiguous()
