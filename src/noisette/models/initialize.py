"""Starting from a trained model: which of its weights a new model takes over, and where the rest starts.

As far as both take the same input, the new model computes at first what the old one does; what is new has no effect:

- Tensors of equal shapes are copied.
- Channels are matched in premultiplied model space: a gray picture is one with three equal colors, colors are averaged
  to gray, and pictures without alpha are opaque. The channels of a condition's image start at zero, unless both models
  have the same task.
- A label that both models have keeps its row of the embedding, or the weights of its channel; any other starts at the
  mean of the old ones.
- An attribute keeps its column, in its own unit; a new one starts at zero.
- Captions of the same encoder are kept; others start without effect.
- What a network computes without a label, attribute or caption moves into biases where the new one takes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.pictures import Mode
from ..nn.architecture import Architecture, UNetConfig
from ..nn.dit import DiTConfig
from .config import ModelConfig

State = Mapping[str, Tensor]

OPAQUE = 1.0  # alpha of an opaque pixel, as a network receives it: 1 in model space times an input scale of about 1
MODE_NAMES: dict[Mode, str] = {"L": "l", "LA": "la", "RGB": "rgb", "RGBA": "rgba"}  # one letter a channel

# By kind of network: the layer that reads x, the layer that writes the prediction, and whether the first one reads
# patches as channels (pixel unshuffle). Other kinds keep their tensors only where shapes are equal.
END_LAYERS: dict[type[Architecture], tuple[str, str, bool]] = {
    UNetConfig: ("conv_in", "conv_out", True),
    DiTConfig: ("patches", "out", False),
}
TIME_BIAS = "embed.time.mlp.2.bias"  # the last bias of the embedding that every block receives


@dataclass(frozen=True)
class Initialization:
    """The weights of a new model, and what they are made of."""

    state: dict[str, Tensor]
    copied: int  # weights that come from the old model
    total: int  # weights of the new model
    changes: tuple[str, ...]  # what was adapted, and what is new

    @property
    def share(self) -> float:
        """The share of the new model's weights that come from the old one, 0 to 1."""
        return self.copied / max(self.total, 1)


def adapt_network(old: ModelConfig, new: ModelConfig) -> Architecture:
    """The network of `old` with the inputs and outputs of that of `new`."""
    return replace(
        old.net,
        in_channels=new.net.in_channels,
        out_channels=new.net.out_channels,
        classes=new.net.classes,
        vector=new.net.vector,
        tokens=new.net.tokens,
        null_class=new.net.null_class,
        dropout=new.net.dropout,
    )


def initialize(old: State, old_config: ModelConfig, fresh: State, new_config: ModelConfig) -> Initialization:
    """The weights of a model of `new_config`, from those of one of `old_config` and, for the rest, `fresh` ones."""
    weights = NewWeights(old, fresh)
    if type(old_config.net) is type(new_config.net):
        adapt_channels(weights, old_config, new_config)
        adapt_labels(weights, old_config, new_config)
        adapt_attributes(weights, old_config, new_config)
        adapt_text(weights, old_config, new_config)
    weights.copy_rest()
    total = sum(t.numel() for t in fresh.values())
    return Initialization(weights.state, weights.copied, total, tuple(weights.changes))


class NewWeights:
    """The new model's tensors while they are collected."""

    def __init__(self, old: State, fresh: State) -> None:
        self.old, self.fresh = dict(old), fresh
        self.state: dict[str, Tensor] = {}
        self.copied = 0
        self.changes: list[str] = []

    def fits(self, name: str, dim: int) -> bool:
        """Whether both models have this tensor, with equal sizes of this dimension."""
        return name in self.old and name in self.fresh and self.old[name].shape[dim] == self.fresh[name].shape[dim]

    def set(self, name: str, tensor: Tensor, copied: int | None = None) -> None:
        """Set a tensor, of which `copied` entries (None: all) come from the old model."""
        self.state[name] = tensor.to(self.fresh[name]).reshape(self.fresh[name].shape).clone()
        self.copied += tensor.numel() if copied is None else copied

    def silence(self, *names: str) -> None:
        """Set tensors of the new model to zero."""
        for name in names:
            self.set(name, torch.zeros_like(self.fresh[name]), copied=0)

    def add_to_bias(self, name: str, shift: Tensor) -> None:
        """Add to a bias of the old model, before it is copied."""
        if name in self.old and self.old[name].shape == shift.shape:
            self.old[name] = self.old[name] + shift

    def copy_rest(self) -> None:
        """Copy what has the same shape in both models and is not set yet; the rest keeps its fresh weights."""
        number = 0
        for name, tensor in self.fresh.items():
            if name in self.state:
                continue
            if name in self.old and self.old[name].shape == tensor.shape:
                self.set(name, self.old[name])
            else:
                self.set(name, tensor, copied=0)
                number += tensor.numel()
        if number:
            self.changes.append(f"{number:,} weights of other shapes at random")


# ── channels ──────────────────────────────────────────────────────────────────────────────────────────────────────


def channel_matrix(wanted: Mode, given: Mode) -> Float[Tensor, "wanted given"]:
    """The channels of one mode from those of another, in premultiplied model space; an alpha that is missing is 0."""
    names = MODE_NAMES[given]
    rows = torch.zeros(len(MODE_NAMES[wanted]), len(names))
    for row, name in zip(rows, MODE_NAMES[wanted], strict=True):
        sources = name if name in names else {"l": "rgb", "a": ""}.get(name, "l")
        for source in sources:
            row[names.index(source)] = 1 / len(sources)
    return rows


def adapt_channels(weights: NewWeights, old_config: ModelConfig, new_config: ModelConfig) -> None:
    """The first and the last layer, for pictures of another mode and for another task."""
    old, new = old_config.pictures, new_config.pictures
    first, last, reads_patches = END_LAYERS.get(type(new_config.net), ("", "", False))
    area = getattr(old_config.net, "patch", 1) ** 2
    if area != getattr(new_config.net, "patch", 1) ** 2:
        return
    if weights.fits(f"{first}.weight", 0):
        kernel = weights.old[f"{first}.weight"]
        kernel = kernel.unflatten(1, (-1, area if reads_patches else 1))  # (width, channels, pixels of a patch, …)
        x = torch.einsum("wcp...,cn->wnp...", kernel[:, : old.channels], channel_matrix(old.mode, new.mode).to(kernel))
        if old.has_alpha and not new.has_alpha:
            weights.add_to_bias(f"{first}.bias", OPAQUE * kernel[:, old.channels - 1].flatten(1).sum(1))
        below = kernel[:, old.channels : old_config.net.in_channels]
        planes = adapt_planes(weights, kernel[:, old_config.net.in_channels :], old_config, new_config)
        added = new_config.net.in_channels - new.channels
        if old_config.task != new_config.task or below.shape[1] != added:
            below = kernel.new_zeros(len(kernel), added, *kernel.shape[2:])
            if added:
                weights.changes.append(f"{added} channels of the given picture at zero")
        copied = x.numel() + (below != 0).sum().item() + (planes != 0).sum().item()
        weights.set(f"{first}.weight", torch.cat([x, below, planes], 1), copied=copied)
    if weights.fits(f"{last}.weight", 1):
        for name in (f"{last}.weight", f"{last}.bias"):
            # (prediction and, if it is learned, variance; channels; pixels of a patch; …)
            kernel = weights.old[name].unflatten(0, (-1, old.channels, area))
            y = torch.einsum("vcp...,nc->vnp...", kernel, channel_matrix(new.mode, old.mode).to(kernel))
            parts = new_config.net.out_channels // new.channels
            if len(y) < parts:
                y = torch.cat([y, torch.zeros_like(y)])
            weights.set(name, y[:parts].flatten(0, 2))
    if old.mode != new.mode:
        weights.changes.append(f"{new.mode} channels from {old.mode}")


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────


def adapt_labels(weights: NewWeights, old_config: ModelConfig, new_config: ModelConfig) -> None:
    """The rows of the class embedding."""
    name, old, new = "embed.classes.weight", old_config.net, new_config.net
    if name not in weights.old:
        if name in weights.fresh:
            weights.silence(name)
            weights.changes.append(f"{new.classes} labels without effect")
        return
    rows = weights.old[name]
    mean = rows[: old.classes].mean(0)
    null = rows[-1] if old.null_class else mean
    if name not in weights.fresh:
        weights.add_to_bias(TIME_BIAS, null)
    elif weights.fits(name, 1):
        known = {label: rows[i] for i, label in enumerate(old_config.pictures.labels)}
        labels = new_config.pictures.labels
        fresh = [label for label in labels if label not in known]
        taken = [known.get(label, mean) for label in labels] + [null] * new.null_class
        weights.set(name, torch.stack(taken))
        if fresh:
            weights.changes.append(f"{len(fresh)} labels at the mean of {old.classes}")


def adapt_planes(
    weights: NewWeights, planes: Float[Tensor, "w old ..."], old_config: ModelConfig, new_config: ModelConfig
) -> Float[Tensor, "w new ..."]:
    """The first layer's weights for labels that are channels of their own; without a label these channels are 0."""
    wanted = new_config.net.class_planes
    if not wanted:
        return planes[:, :0]
    if not planes.shape[1]:
        weights.changes.append(f"{wanted} labels without effect")
        return planes.new_zeros(len(planes), wanted, *planes.shape[2:])
    known = {label: planes[:, i] for i, label in enumerate(old_config.pictures.labels)}
    labels = new_config.pictures.labels
    if added := sum(label not in known for label in labels):
        weights.changes.append(f"{added} labels at the mean of {planes.shape[1]}")
    return torch.stack([known.get(label, planes.mean(1)) for label in labels], 1)


def adapt_attributes(weights: NewWeights, old_config: ModelConfig, new_config: ModelConfig) -> None:
    """The columns of the layer that reads the vector of attributes."""
    prefix, old, new = "embed.vector", old_config.pictures, new_config.pictures
    if not old_config.net.vector:
        if new_config.net.vector:
            weights.silence(f"{prefix}.mlp.2.weight", f"{prefix}.mlp.2.bias", f"{prefix}.null")
            weights.changes.append(f"{new_config.net.vector} attributes without effect")
        return
    if not new_config.net.vector:
        weights.add_to_bias(TIME_BIAS, weights.old[f"{prefix}.null"])
        return
    if not weights.fits(f"{prefix}.mlp.0.weight", 0):
        return
    columns = weights.old[f"{prefix}.mlp.0.weight"]
    known = {attribute: i for i, attribute in enumerate(old.attributes)}
    taken = columns.new_zeros(len(columns), len(new.attributes))
    shift = torch.zeros_like(weights.old[f"{prefix}.mlp.0.bias"])
    for j, attribute in enumerate(new.attributes):
        if attribute not in known:
            continue
        i = known[attribute]
        ratio = new.scales[j] / old.scales[i] if old.scales and new.scales else 1.0
        taken[:, j] = columns[:, i] * ratio
        if old.scales and new.scales:  # the zero of a standardized value is the mean of its own data
            shift += columns[:, i] * ((new.means[j] - old.means[i]) / old.scales[i])
    added = sum(attribute not in known for attribute in new.attributes)
    weights.set(f"{prefix}.mlp.0.weight", taken, copied=len(columns) * (len(new.attributes) - added))
    weights.add_to_bias(f"{prefix}.mlp.0.bias", shift)
    if added:
        weights.changes.append(f"{added} attributes at zero")


def adapt_text(weights: NewWeights, old_config: ModelConfig, new_config: ModelConfig) -> None:
    """Captions of another encoder, or none: what the old network computes without a caption moves into biases."""
    old, new = old_config.pictures.text_encoder, new_config.pictures.text_encoder
    if old is not None and new is not None and old.is_same_encoder(new) and old.width == new.width:
        return
    if old_config.net.tokens:
        weights.add_to_bias(TIME_BIAS, weights.old["embed.text.null"])
        null = weights.old.get("words.null")
        for name in [n for n in weights.old if n.endswith(".cross.kv.weight")]:
            block = name.removesuffix(".cross.kv.weight")
            kv, out = (f"{block}.cross.{layer}" for layer in ("kv", "out"))
            assert null is not None, "cross-attention without tokens"
            value = (weights.old[f"{kv}.weight"] @ null + weights.old[f"{kv}.bias"]).chunk(2)[1]
            constant = weights.old[f"{out}.weight"] @ value + weights.old[f"{out}.bias"]
            weights.add_to_bias(f"{block}.attn.out.bias", constant)
        for name in list(weights.old):
            if name.startswith(("embed.text.", "words.")) or ".cross." in name:
                del weights.old[name]
    if new_config.net.tokens:
        weights.silence("embed.text.mlp.2.weight", "embed.text.mlp.2.bias", "embed.text.null")
        weights.silence(*(n for n in weights.fresh if ".cross.out." in n))
        weights.changes.append("captions without effect")
