"""The embedding of time and condition: one vector for each image.

Legend: b batch, e embedding width, d entries of the condition's vector.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..diffusion.condition import Condition
from ..errors import InputError
from ..shapes import PerImage
from .architecture import Architecture, TimeEmbeddedConfig


class SinusoidalEmbedding(nn.Module):
    """Sinusoids of the noise label (Vaswani et al. 2017)."""

    freqs: Tensor

    def __init__(self, cfg: TimeEmbeddedConfig) -> None:
        super().__init__()
        half = cfg.time_channels // 2
        self.order = cfg.time_order
        freqs = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / (half - cfg.freq_shift))
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, noise_label: PerImage) -> Float[Tensor, "b w"]:
        arg = noise_label[:, None].to(self.freqs) * self.freqs
        waves = (arg.sin(), arg.cos()) if self.order == "sin_cos" else (arg.cos(), arg.sin())
        return torch.cat(waves, dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoids, then two linear layers."""

    def __init__(self, cfg: TimeEmbeddedConfig) -> None:
        super().__init__()
        self.sinusoids = SinusoidalEmbedding(cfg)
        self.mlp = make_mlp(cfg.time_channels, cfg.embed_channels)

    def forward(self, noise_label: PerImage) -> Float[Tensor, "b e"]:
        return self.mlp(self.sinusoids(noise_label))


class ClassEmbedding(nn.Embedding):
    """One row for each class, and with a null class one more, the last, for unconditional images.

    Called with class numbers (b,), -1 for none, or with weights of a mixture (b, classes); returns (b, width).
    """

    def __init__(self, cfg: TimeEmbeddedConfig) -> None:
        super().__init__(cfg.classes + cfg.null_class, cfg.embed_channels)
        self.classes, self.has_null = cfg.classes, cfg.null_class
        if self.has_null:
            nn.init.zeros_(self.weight[-1].detach())

    def forward(self, label: Tensor | None) -> Float[Tensor, "*b e"]:
        """The rows (B, e) of class numbers (B,), or of mixtures with weights (B, classes); None: the null row (e,)."""
        if label is None:
            return self._null()
        check_label(label, self.classes, self.has_null)
        return self._mixture(label) if label.is_floating_point() else self._lookup(label)

    def _null(self) -> Float[Tensor, "e"]:
        if not self.has_null:
            raise _no_null_class(self.classes)
        return self.weight[-1]

    def _lookup(self, label: Tensor) -> Float[Tensor, "b e"]:
        return super().forward(torch.where(label < 0, self.classes, label) if self.has_null else label)

    def _mixture(self, weights: Tensor) -> Float[Tensor, "b e"]:
        null = _is_null(weights)
        mixed = weights.masked_fill(null, 0).to(self.weight) @ self.weight[: self.classes]
        return torch.where(null, self._null(), mixed) if self.has_null or bool(null.any()) else mixed


class ClassPlanes(nn.Module):
    """Concatenates one constant channel for each class: 1 in that of the label, its weight in a mixture, else 0.

    Without a label all are 0. Apart from the borders, where a convolution pads with zeros, this adds a learned vector
    for each class to the output of the first convolution, and only there.
    """

    def __init__(self, cfg: Architecture) -> None:
        super().__init__()
        self.classes, self.has_null = cfg.classes, cfg.null_class

    def forward(self, x: Float[Tensor, "b c h w"], label: Tensor | None) -> Float[Tensor, "b c_in h w"]:
        """x (B, C, H, W) and class numbers (B,), mixtures (B, classes) or None, to (B, C + classes, H, W)."""
        if label is None:
            if not self.has_null:
                raise _no_null_class(self.classes)
            weights = x.new_zeros(len(x), self.classes)
        else:
            check_label(label, self.classes, self.has_null)
            if label.is_floating_point():
                null = _is_null(label)
                if not self.has_null and bool(null.any()):
                    raise _no_null_class(self.classes)
                weights = label.masked_fill(null, 0).to(x)
            else:
                weights = (label[:, None] == torch.arange(self.classes, device=label.device)).to(x)
        return torch.cat([x, weights[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)


def check_label(label: Tensor, classes: int, has_null: bool) -> None:
    """Raise InputError unless these are class numbers (B,), -1 for none if `has_null`, or mixtures (B, classes)."""
    if label.is_floating_point():
        if label.shape[1:] != (classes,):
            raise InputError(f"mixtures of classes must have the shape (batch, {classes}), got {tuple(label.shape)}")
        return
    if label.ndim != 1:
        raise InputError(f"class numbers must have the shape (batch,), got {tuple(label.shape)}")
    # on other devices reading the values would wait for them
    if label.device.type == "cpu" and not torch.compiler.is_compiling() and len(label):
        low, high = (int(x) for x in label.aminmax())
        if low < -has_null or high >= classes:
            last, null = classes - 1, ", or -1 for none" if has_null else ""
            raise InputError(f"class numbers must be 0 to {last}{null}, got {low} to {high}")


def _no_null_class(classes: int) -> InputError:
    return InputError(f"this network has no null class: give each image one of its {classes} classes")


class VectorEmbedding(nn.Module):
    """Two linear layers for a vector of attributes or of a whole text; a learned vector stands for a null one."""

    def __init__(self, size: int, cfg: TimeEmbeddedConfig) -> None:
        super().__init__()
        self.size = size
        self.mlp = make_mlp(size, cfg.embed_channels)
        self.null = nn.Parameter(torch.zeros(cfg.embed_channels))

    def forward(self, vector: Float[Tensor, "b d"] | None) -> Float[Tensor, "*b e"]:
        if vector is None:
            return self.null
        if vector.shape[1] != self.size:
            raise InputError(f"the condition's vector has {vector.shape[1]} entries: this network takes {self.size}")
        null = _is_null(vector)
        return torch.where(null, self.null, self.mlp(vector.masked_fill(null, 0).to(self.null)))


class ConditionEmbedding(nn.Module):
    """The input of each block's own embedding layer: SiLU(time + label + vector + text)."""

    def __init__(self, cfg: TimeEmbeddedConfig) -> None:
        super().__init__()
        self.time = TimeEmbedding(cfg)
        self.takes_label = bool(cfg.classes)
        self.classes = ClassEmbedding(cfg) if cfg.classes and not cfg.class_planes else None
        self.vector = VectorEmbedding(cfg.vector, cfg) if cfg.vector else None
        self.text = VectorEmbedding(cfg.tokens, cfg) if cfg.tokens else None

    def forward(self, noise_label: PerImage, cond: Condition | None) -> Float[Tensor, "b e"]:
        cond = Condition() if cond is None else cond
        for name, taken in (("label", self.takes_label), ("vector", self.vector), ("tokens", self.text)):
            if not taken and getattr(cond, name) is not None:
                raise InputError(f"a {name} was given, but this network was built to take none")
        if torch.is_autocast_enabled("cpu"):  # a vector for each image: bf16 would not be faster
            with torch.autocast("cpu", enabled=False):
                return self._sum(noise_label, cond)
        return self._sum(noise_label, cond)

    def _sum(self, noise_label: PerImage, cond: Condition) -> Float[Tensor, "b e"]:
        emb = self.time(noise_label)
        if self.classes is not None:
            emb = emb + self.classes(cond.label)
        if self.vector is not None:
            emb = emb + self.vector(cond.vector)
        if self.text is not None:
            # the vector of a whole text has norm 1: scale its entries to about 1
            emb = emb + self.text(None if cond.tokens is None else cond.tokens[:, 0] * self.text.size**0.5)
        return nn.functional.silu(emb)


def make_mlp(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.SiLU(), nn.Linear(out_features, out_features))


def _is_null(rows: Float[Tensor, "b d"]) -> Bool[Tensor, "b 1"]:
    """Which rows are null: NaN in every entry. A NaN among numbers does not make a row null."""
    return rows.isnan().all(dim=1, keepdim=True)
