"""Text in a network: words that pixels ask.

Legend: b batch, c channels, h × w pixels, n words, d entries of a token, e embedding width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .architecture import UNetConfig
from .norm import GroupNorm


class Words(NamedTuple):
    """A text an image, as long as the longest: what it says, and which of it is there."""

    said: Float[Tensor, "b n e"]
    there: Bool[Tensor, "b n"]


class Told(NamedTuple):
    """All that a block is told: time, label, vector and whole text as one vector; and the text's words."""

    emb: Float[Tensor, "b e"]
    words: Words | None = None


class WordEmbedding(nn.Module):
    """The rows of the condition's tokens as wide as the embedding; where a text is null, one learned word."""

    def __init__(self, cfg: UNetConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(cfg.tokens)
        self.linear = nn.Linear(cfg.tokens, cfg.embed_channels)
        self.null = nn.Parameter(torch.zeros(cfg.embed_channels))

    def forward(self, tokens: Float[Tensor, "b n d"] | None, batch: int) -> Words:
        if tokens is None:
            return Words(self.null.expand(batch, 1, -1), self.null.new_ones(batch, 1, dtype=torch.bool))
        with torch.autocast(tokens.device.type, enabled=False):
            absent = tokens.isnan().all(2)
            null = absent.all(1, keepdim=True)
            said = self.linear(self.norm(tokens.masked_fill(absent[..., None], 0).to(self.null)))
            first = torch.arange(tokens.shape[1], device=tokens.device) == 0
            return Words(torch.where(null[..., None], self.null, said), torch.where(null, first, ~absent))


class CrossAttention(nn.Module):
    """Every pixel asks the words, around a residual connection."""

    def __init__(self, cfg: UNetConfig, channels: int) -> None:
        super().__init__()
        self.heads = cfg.heads_of(channels)
        self.norm = GroupNorm(cfg.groups, channels, cfg.eps)
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(cfg.embed_channels, 2 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"], words: Words) -> Float[Tensor, "b c h w"]:
        b, c, h, w = x.shape
        each = c // self.heads
        q = self.q(self.norm(x).flatten(2).transpose(1, 2)).reshape(b, h * w, self.heads, each).transpose(1, 2)
        k, v = self.kv(words.said).reshape(b, -1, 2, self.heads, each).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=words.there[:, None, None])  # (b, heads, h w, each)
        y = self.out(y.transpose(1, 2).reshape(b, h * w, c))
        return x + y.transpose(1, 2).reshape(b, c, h, w)
