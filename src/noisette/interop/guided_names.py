"""What improved- and guided-diffusion call the tensors of our U-Net, and how theirs are turned into ours.

The rows of q, k and v lie in one matrix as (heads, 3, width of a head) in the order that they call legacy, and as
(3, heads, width) in their new one and here; so a permutation of rows is all the difference.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from ..nn.architecture import UNetConfig

RES = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "embed": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "skip": "skip_connection",
}  # fmt: skip
ATTENTION = {"norm": "norm", "qkv": "qkv", "out": "proj_out"}
TOP = {
    "embed.time.mlp.0": "time_embed.0", "embed.time.mlp.2": "time_embed.2", "embed.classes": "label_emb",
    "conv_in": "input_blocks.0.0",
}  # fmt: skip
DRAWS = TOP | {"norm_out": "out.0", "conv_out": "out.2"}
POOLS = {
    "attention": TOP | {"norm_out": "out.0", "pool.qkv": "out.2.qkv_proj", "pool.out": "out.2.c_proj"},
    "average": TOP | {"norm_out": "out.0", "pool.out": "out.3"},
}
POSITIONS = "out.2.positional_embedding"


def encoder(net: UNetConfig) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The residual blocks, attentions and resizers of the way down and of the middle: our prefix, theirs, the names."""
    k, last = 1, len(net.channels) - 1
    for i, attends in enumerate(net.attention):
        for j in range(net.blocks):
            yield f"down.{i}.blocks.{j}.res", f"input_blocks.{k}.0", RES
            if attends:
                yield f"down.{i}.blocks.{j}.attn", f"input_blocks.{k}.1", ATTENTION
            k += 1
        if i != last:
            yield f"down.{i}.resample", f"input_blocks.{k}.0", RES if net.resample == "block" else {"conv": "op"}
            k += 1
    yield "mid.first.res", "middle_block.0", RES
    yield "mid.first.attn", "middle_block.1", ATTENTION
    yield "mid.last", "middle_block.2", RES


def decoder(net: UNetConfig) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The same of the way up."""
    k, last = 0, len(net.channels) - 1
    for i, attends in enumerate(reversed(net.attention)):
        for j in range(net.blocks + 1):
            yield f"up.{i}.blocks.{j}.res", f"output_blocks.{k}.0", RES
            if attends:
                yield f"up.{i}.blocks.{j}.attn", f"output_blocks.{k}.1", ATTENTION
            if j == net.blocks and i != last:
                inner = RES if net.resample == "block" else {"conv": "conv"}
                yield f"up.{i}.resample", f"output_blocks.{k}.{1 + attends}", inner
            k += 1


def names(parts: Iterable[tuple[str, str, Mapping[str, str]]], top: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Our name of every tensor, and theirs."""
    stems = dict(top) | {f"{a}.{x}": f"{b}.{y}" for a, b, inner in parts for x, y in inner.items()}
    return {f"{ours}.{leaf}": (f"{their}.{leaf}",) for ours, their in stems.items() for leaf in ("weight", "bias")}


def turned(net: UNetConfig, legacy: bool, name: str, tensor: Tensor) -> Tensor:
    """Their 1 × 1 convolutions as linear layers, the rows of q, k and v in our order."""
    if re.search(r"(attn|pool)\.(qkv|out)\.", name):
        tensor = tensor.flatten(1) if tensor.ndim > 1 else tensor
        if legacy and ".attn.qkv." in name:
            width = len(tensor) // 3
            rows = tensor.reshape(net.heads_of(width), 3, -1, *tensor.shape[1:])
            tensor = rows.transpose(0, 1).reshape(tensor.shape)  # (heads, 3) → (3, heads)
    return tensor.t() if name == "pool.positions" else tensor
