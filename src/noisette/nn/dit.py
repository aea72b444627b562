"""A small diffusion transformer (Peebles & Xie 2023). Patches are tokens; the embedding gives scale, shift and gate of
the layer norms, which start at zero (adaLN-Zero).

Legend: b batch, c channels, h × w pixels, n tokens, d width, e embedding width.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.condition import Condition
from ..shapes import PerImage
from .architecture import MAX_DEPTH, MAX_PATCH, MAX_WIDTH, TimeEmbeddedConfig
from .embedding import ConditionEmbedding
from .padding import concat_cond_image, crop_padding, pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class DiTConfig(TimeEmbeddedConfig):
    """A transformer on patches (Peebles & Xie 2023). The defaults are a quarter of the paper's smallest, DiT-S."""

    patch: int = 2  # side in pixels of the patch that is one token
    width: int = 192
    depth: int = 6
    heads: int = 3
    mlp_ratio: int = 4  # hidden width of the MLP in a block, in multiples of width

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_between(1, MAX_PATCH, "patch", "mlp_ratio")
        self.check_between(1, MAX_WIDTH, "width", "heads")
        self.check_between(1, MAX_DEPTH, "depth")
        if self.width % self.heads:
            raise self.field_error("heads", f"it does not divide the width, {self.width}")
        if self.width % 4:
            raise self.field_error(
                "width", "it must be a multiple of 4: a sine and a cosine for each of two directions"
            )

    @property
    def size_multiple(self) -> int:
        return self.patch


class DiTBlock(nn.Module):
    """Attention and an MLP, each after a modulated layer norm and multiplied by a gate."""

    def __init__(self, cfg: DiTConfig) -> None:
        super().__init__()
        d, self.heads = cfg.width, cfg.heads
        self.norm1 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        wide = cfg.mlp_ratio * d
        self.mlp = nn.Sequential(
            nn.Linear(d, wide), nn.GELU(approximate="tanh"), nn.Dropout(cfg.dropout), nn.Linear(wide, d)
        )
        self.modulation = nn.Linear(cfg.embed_channels, 6 * d)

    def forward(self, x: Float[Tensor, "b n d"], emb: Float[Tensor, "b e"]) -> Float[Tensor, "b n d"]:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(emb)[:, None].chunk(6, dim=2)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)

    def attention(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class DiT(nn.Module):
    """Maps x_t, its noise label and the condition to the parametrization's mixture of x0 and ε.

    Images may have any size: positions are sinusoids of rows and columns."""

    def __init__(self, cfg: DiTConfig) -> None:
        super().__init__()
        self.cfg, d = cfg, cfg.width
        self.embed = ConditionEmbedding(cfg)
        self.patches = nn.Conv2d(cfg.in_channels, d, cfg.patch, cfg.patch)
        self.blocks = nn.ModuleList(DiTBlock(cfg) for _ in range(cfg.depth))
        self.norm_out = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Linear(cfg.embed_channels, 2 * d)
        self.out = nn.Linear(d, cfg.out_channels * cfg.patch**2)
        self._initialize()

    def _initialize(self) -> None:
        """Peebles & Xie: Xavier uniform, biases 0; the layers that modulate the norms, and the last layer, are 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patches.weight.flatten(1))
        for layer in (*(block.modulation for block in self.blocks), self.modulation, self.out):
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)

    def forward(
        self, x: Float[Tensor, "b c h w"], noise_label: PerImage, cond: Condition | None = None
    ) -> Float[Tensor, "b c_out h w"]:
        """x (b, c, h, w) and its noise label (b,) to (b, c_out, h, w)."""
        emb, (height, width), patch = self.embed(noise_label, cond), x.shape[2:], self.cfg.patch
        h = self.patches(pad_to_multiple(concat_cond_image(x, cond, self.cfg.in_channels), patch))
        rows, columns = h.shape[2:]
        tokens = h.flatten(2).transpose(1, 2) + position_embedding(rows, columns, self.cfg.width, h.device).to(h)
        for block in self.blocks:
            tokens = block(tokens, emb)
        scale, shift = self.modulation(emb)[:, None].chunk(2, dim=2)
        y = self.out(self.norm_out(tokens) * (1 + scale) + shift)  # (b, n, c_out · patch²)
        y = F.pixel_shuffle(y.transpose(1, 2).unflatten(2, (rows, columns)), patch)
        return crop_padding(y, height, width, patch).contiguous()


def position_embedding(rows: int, columns: int, width: int, device: torch.device | None = None) -> Float[Tensor, "n d"]:
    """Sinusoids (rows · columns, width) in fp32: of the column in the first half of the channels, then of the row."""

    def count(n: int) -> Tensor:
        return torch.arange(n, dtype=torch.float32, device=device)

    freqs = torch.exp(-math.log(10000) * count(width // 4) / (width // 4))
    row, column = torch.meshgrid(count(rows), count(columns), indexing="ij")
    waves = [wave(place.reshape(-1, 1) * freqs) for place in (column, row) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, dim=1)
