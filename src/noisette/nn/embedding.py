"""Time and condition, as one vector an image.

Legend: b batch, e embedding width, d entries of the condition's vector.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..condition import Condition
from ..errors import InputError
from ..shapes import PerImage
from .architecture import Timed


class Waves(nn.Module):
    """Sinusoids of the noise label (Vaswani et al. 2017)."""

    freqs: Tensor

    def __init__(self, cfg: Timed) -> None:
        super().__init__()
        half = cfg.time_channels // 2
        self.order = cfg.time_order
        freqs = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / (half - cfg.freq_shift))
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, label: PerImage) -> Float[Tensor, "b w"]:
        arg = label[:, None].to(self.freqs) * self.freqs
        waves = (arg.sin(), arg.cos()) if self.order == "sin_cos" else (arg.cos(), arg.sin())
        return torch.cat(waves, dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoids, then two linear layers."""

    def __init__(self, cfg: Timed) -> None:
        super().__init__()
        self.waves = Waves(cfg)
        self.mlp = mlp(cfg.time_channels, cfg.embed_channels)

    def forward(self, label: PerImage) -> Float[Tensor, "b e"]:
        return self.mlp(self.waves(label))


class ClassEmbedding(nn.Embedding):
    """A row for each class, and one, the last, for images that are asked to be nothing."""

    def __init__(self, cfg: Timed) -> None:
        super().__init__(cfg.classes + cfg.null_class, cfg.embed_channels)
        self.classes, self.has_null = cfg.classes, cfg.null_class
        if self.has_null:
            nn.init.zeros_(self.weight[-1].detach())

    def forward(self, label: Tensor | None) -> Float[Tensor, "*b e"]:
        """(B,) class numbers, or (B, classes) weights of a mixture; None stands for a null that is the same for all."""
        if label is None:
            return self._null()
        return self._mixture(label) if label.is_floating_point() else self._lookup(label)

    def _null(self) -> Float[Tensor, "e"]:
        if not self.has_null:
            raise InputError(f"this network has no null class: give each image one of its {self.classes} classes")
        return self.weight[-1]

    def _lookup(self, label: Tensor) -> Float[Tensor, "b e"]:
        if label.ndim != 1:
            raise InputError(f"class numbers come as one an image, not in the shape {tuple(label.shape)}")
        # elsewhere looking is not free
        if label.device.type == "cpu" and not torch.compiler.is_compiling() and len(label):
            low, high = (int(x) for x in label.aminmax())
            if low < -self.has_null or high >= self.classes:
                last, null = self.classes - 1, ", or -1 for none" if self.has_null else ""
                raise InputError(f"classes {low} to {high} were asked for: this network knows 0 to {last}{null}")
        return super().forward(torch.where(label < 0, self.classes, label) if self.has_null else label)

    def _mixture(self, weights: Tensor) -> Float[Tensor, "b e"]:
        if weights.shape[1:] != (self.classes,):
            raise InputError(
                f"a mixture has {self.classes} weights an image here, not the shape {tuple(weights.shape)}"
            )
        null = _nothing(weights)
        mixed = weights.masked_fill(null, 0).to(self.weight) @ self.weight[: self.classes]
        return torch.where(null, self._null(), mixed) if self.has_null or bool(null.any()) else mixed


class VectorEmbedding(nn.Module):
    """Two linear layers for a vector of attributes, or of a whole text, and a learned place for none."""

    def __init__(self, size: int, cfg: Timed) -> None:
        super().__init__()
        self.size = size
        self.mlp = mlp(size, cfg.embed_channels)
        self.null = nn.Parameter(torch.zeros(cfg.embed_channels))

    def forward(self, vector: Float[Tensor, "b d"] | None) -> Float[Tensor, "*b e"]:
        if vector is None:
            return self.null
        if vector.shape[1] != self.size:
            raise InputError(f"the condition's vector has {vector.shape[1]} entries: this network takes {self.size}")
        null = _nothing(vector)
        return torch.where(null, self.null, self.mlp(vector.masked_fill(null, 0).to(self.null)))


class Embedding(nn.Module):
    """What a block is told, before its own linear layer: SiLU of time + label + vector + text as a whole."""

    def __init__(self, cfg: Timed) -> None:
        super().__init__()
        self.time = TimeEmbedding(cfg)
        self.classes = ClassEmbedding(cfg) if cfg.classes else None
        self.vector = VectorEmbedding(cfg.vector, cfg) if cfg.vector else None
        self.text = VectorEmbedding(cfg.tokens, cfg) if cfg.tokens else None

    def forward(self, label: PerImage, cond: Condition | None) -> Float[Tensor, "b e"]:
        cond = Condition() if cond is None else cond
        for name, part in (("label", self.classes), ("vector", self.vector), ("tokens", self.text)):
            if part is None and getattr(cond, name) is not None:
                raise InputError(f"a {name} was given, but this network was built to take none")
        if torch.is_autocast_enabled("cpu"):  # a vector an image: rounding it would gain nothing
            with torch.autocast("cpu", enabled=False):
                return self._sum(label, cond)
        return self._sum(label, cond)

    def _sum(self, label: PerImage, cond: Condition) -> Float[Tensor, "b e"]:
        emb = self.time(label)
        if self.classes is not None:
            emb = emb + self.classes(cond.label)
        if self.vector is not None:
            emb = emb + self.vector(cond.vector)
        if self.text is not None:
            # a whole text is of length 1: its entries become about 1
            emb = emb + self.text(None if cond.tokens is None else cond.tokens[:, 0] * self.text.size**0.5)
        return nn.functional.silu(emb)


def mlp(ins: int, outs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(ins, outs), nn.SiLU(), nn.Linear(outs, outs))


def _nothing(rows: Float[Tensor, "b d"]) -> Bool[Tensor, "b 1"]:
    """Rows that are NaN throughout. A NaN among numbers is no null: it stays, and spoils what it touches."""
    return rows.isnan().all(dim=1, keepdim=True)
