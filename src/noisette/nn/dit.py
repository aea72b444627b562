"""A small diffusion transformer (Peebles & Xie 2023): patches as tokens, and layer norms whose scale, shift and gate
come from the embedding and start at zero (adaLN-Zero).

Legend: b batch, c channels, h × w pixels, n tokens, d width, e embedding width.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..condition import Condition
from ..shapes import PerImage
from .architecture import Timed
from .embedding import Embedding
from .stem import cropped, padded, stacked


@dataclass(frozen=True, kw_only=True)
class DiTConfig(Timed):
    """The defaults are a quarter of the paper's smallest, DiT-S."""

    patch: int = 2  # pixels a side that are one token
    width: int = 192
    depth: int = 6
    heads: int = 3
    widening: int = 4  # of the layers within a block

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "patch", "width", "depth", "heads", "widening")
        if self.width % self.heads:
            raise self.wrong("heads", f"it does not divide the width, {self.width}")
        if self.width % 4:
            raise self.wrong("width", "it must be a multiple of 4: a sine and a cosine for each of two directions")

    @property
    def multiple(self) -> int:
        return self.patch

    def build(self) -> nn.Module:
        return DiT(self)


class Block(nn.Module):
    """Attention and two linear layers, each behind a norm that is told, each through a gate."""

    def __init__(self, cfg: DiTConfig) -> None:
        super().__init__()
        d, self.heads = cfg.width, cfg.heads
        self.norm1 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        wide = cfg.widening * d
        self.mlp = nn.Sequential(
            nn.Linear(d, wide), nn.GELU(approximate="tanh"), nn.Dropout(cfg.dropout), nn.Linear(wide, d)
        )
        self.told = nn.Linear(cfg.embed_channels, 6 * d)

    def forward(self, x: Float[Tensor, "b n d"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b n d"]:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.told(emb)[:, None].chunk(6, dim=2)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)

    def attention(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class DiT(nn.Module):
    """x_t, its noise label and what is asked for, to what the parametrization names. Of any size: positions are
    sinusoids of rows and columns."""

    def __init__(self, cfg: DiTConfig) -> None:
        super().__init__()
        self.cfg, d = cfg, cfg.width
        self.embed = Embedding(cfg)
        self.patches = nn.Conv2d(cfg.in_channels, d, cfg.patch, cfg.patch)
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.depth))
        self.norm_out = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.told = nn.Linear(cfg.embed_channels, 2 * d)
        self.out = nn.Linear(d, cfg.out_channels * cfg.patch**2)
        self._initialise()

    def _initialise(self) -> None:
        """Peebles & Xie: uniform by fan average, biases 0; what tells the norms, and the last layer, is 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patches.weight.flatten(1))
        for layer in (*(block.told for block in self.blocks), self.told, self.out):
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)

    def forward(
        self, x: Float[Tensor, "b c h w"], label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, h, w) and its noise label (b,) to (b, c_out, h, w)."""
        emb, (height, width), patch = self.embed(label, cond), x.shape[2:], self.cfg.patch
        h = self.patches(padded(stacked(x, cond, self.cfg.in_channels), patch))
        rows, columns = h.shape[2:]
        tokens = h.flatten(2).transpose(1, 2) + positions(rows, columns, self.cfg.width).to(h)
        for block in self.blocks:
            tokens = block(tokens, emb)
        scale, shift = self.told(emb)[:, None].chunk(2, dim=2)
        y = self.out(self.norm_out(tokens) * (1 + scale) + shift)  # (b, n, c_out · patch²)
        y = F.pixel_shuffle(y.transpose(1, 2).unflatten(2, (rows, columns)), patch)
        return cropped(y, height, width, patch).contiguous()


def positions(rows: int, columns: int, width: int) -> Float[Tensor, "n d"]:
    """Sinusoids of the column in one half of the channels and of the row in the other."""
    freqs = torch.exp(-math.log(10000) * torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    waves = [wave(place.reshape(-1, 1) * freqs) for place in (column, row) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, dim=1)
