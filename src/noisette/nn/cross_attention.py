"""Text in a network: cross-attention from pixels to text tokens.

Legend: b batch, c channels, h × w pixels, n tokens, d entries of a token, e embedding width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .architecture import UNetConfig
from .norm import GroupNorm


class TokenFeatures(NamedTuple):
    """The text tokens of a batch, padded to the longest text, and which of them are not padding."""

    features: Float[Tensor, "b n e"]
    mask: Bool[Tensor, "b n"]


class Conditioning(NamedTuple):
    """All that conditions a block: the embedding of time, label, vector and whole text, and the text's tokens."""

    emb: Float[Tensor, "b e"]
    tokens: TokenFeatures | None = None


class TokenEmbedding(nn.Module):
    """Projects the condition's tokens to the embedding's width; a null text becomes one learned token."""

    def __init__(self, cfg: UNetConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(cfg.tokens)
        self.linear = nn.Linear(cfg.tokens, cfg.embed_channels)
        self.null = nn.Parameter(torch.zeros(cfg.embed_channels))

    def forward(self, tokens: Float[Tensor, "b n d"] | None, batch_size: int) -> TokenFeatures:
        if tokens is None:
            return TokenFeatures(
                self.null.expand(batch_size, 1, -1), self.null.new_ones(batch_size, 1, dtype=torch.bool)
            )
        with torch.autocast(tokens.device.type, enabled=False):
            absent = tokens.isnan().all(2)
            null = absent.all(1, keepdim=True)
            features = self.linear(self.norm(tokens.masked_fill(absent[..., None], 0).to(self.null)))
            first = torch.arange(tokens.shape[1], device=tokens.device) == 0
            return TokenFeatures(torch.where(null[..., None], self.null, features), torch.where(null, first, ~absent))


class CrossAttention(nn.Module):
    """Attention from every pixel to the text's tokens, with a residual connection."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.heads = cfg.num_heads(channels)
        self.norm = GroupNorm(cfg.groups, channels, cfg.eps)
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(cfg.embed_channels, 2 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"], tokens: TokenFeatures) -> Float[Tensor, "b c h w"]:
        b, c, h, w = x.shape
        each = c // self.heads
        q = self.q(self.norm(x).flatten(2).transpose(1, 2)).reshape(b, h * w, self.heads, each).transpose(1, 2)
        k, v = self.kv(tokens.features).reshape(b, -1, 2, self.heads, each).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=tokens.mask[:, None, None])  # (b, heads, h w, each)
        y = self.out(y.transpose(1, 2).reshape(b, h * w, c))
        return x + y.transpose(1, 2).reshape(b, c, h, w)
