"""Names of our U-Net's tensors in improved- and guided-diffusion, and the layout of their attention weights.

The rows of q, k and v form one matrix: (heads, 3, width of a head) in the projects' legacy order, (3, heads, width) in
their new order and here. The orders differ by a permutation of the rows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from ..nn.architecture import UNetConfig

RESBLOCK = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "embed": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "skip": "skip_connection",
}  # fmt: skip
ATTENTION = {"norm": "norm", "qkv": "qkv", "out": "proj_out"}
STEM = {
    "embed.time.mlp.0": "time_embed.0", "embed.time.mlp.2": "time_embed.2", "embed.classes": "label_emb",
    "conv_in": "input_blocks.0.0",
}  # fmt: skip
UNET_NAMES = STEM | {"norm_out": "out.0", "conv_out": "out.2"}
CLASSIFIER_NAMES = {
    "attention": STEM | {"norm_out": "out.0", "pool.qkv": "out.2.qkv_proj", "pool.out": "out.2.c_proj"},
    "average": STEM | {"norm_out": "out.0", "pool.out": "out.3"},
}
POSITION_EMBEDDING = "out.2.positional_embedding"


def iter_encoder_names(net: UNetConfig) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """(our prefix, source prefix, names inside) of each block, attention and downsampler of encoder and middle."""
    k, last = 1, len(net.channels) - 1
    for i, attends in enumerate(net.attention):
        for j in range(net.blocks):
            yield f"down.{i}.blocks.{j}.res", f"input_blocks.{k}.0", RESBLOCK
            if attends:
                yield f"down.{i}.blocks.{j}.attn", f"input_blocks.{k}.1", ATTENTION
            k += 1
        if i != last:
            yield f"down.{i}.resample", f"input_blocks.{k}.0", RESBLOCK if net.resample == "block" else {"conv": "op"}
            k += 1
    yield "mid.first.res", "middle_block.0", RESBLOCK
    yield "mid.first.attn", "middle_block.1", ATTENTION
    yield "mid.last", "middle_block.2", RESBLOCK


def iter_decoder_names(net: UNetConfig) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The same for the decoder."""
    k, last = 0, len(net.channels) - 1
    for i, attends in enumerate(reversed(net.attention)):
        for j in range(net.blocks + 1):
            yield f"up.{i}.blocks.{j}.res", f"output_blocks.{k}.0", RESBLOCK
            if attends:
                yield f"up.{i}.blocks.{j}.attn", f"output_blocks.{k}.1", ATTENTION
            if j == net.blocks and i != last:
                inner = RESBLOCK if net.resample == "block" else {"conv": "conv"}
                yield f"up.{i}.resample", f"output_blocks.{k}.{1 + attends}", inner
            k += 1


def make_name_table(
    parts: Iterable[tuple[str, str, Mapping[str, str]]], top: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Our name → source names, for every tensor."""
    stems = dict(top) | {f"{a}.{x}": f"{b}.{y}" for a, b, inner in parts for x, y in inner.items()}
    return {f"{name}.{leaf}": (f"{source}.{leaf}",) for name, source in stems.items() for leaf in ("weight", "bias")}


def convert_layout(net: UNetConfig, is_legacy: bool, name: str, tensor: Tensor) -> Tensor:
    """Convert 1 × 1 convolutions to linear layers, and the rows of q, k and v to our order."""
    if re.search(r"(attn|pool)\.(qkv|out)\.", name):
        tensor = tensor.flatten(1) if tensor.ndim > 1 else tensor
        if is_legacy and ".attn.qkv." in name:
            width = len(tensor) // 3
            rows = tensor.reshape(net.num_heads(width), 3, -1, *tensor.shape[1:])
            tensor = rows.transpose(0, 1).reshape(tensor.shape)  # (heads, 3) → (3, heads)
    return tensor.t() if name == "pool.positions" else tensor
