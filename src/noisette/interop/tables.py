"""Tensors from one set of names to another."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError

Names = Callable[[str], tuple[str, ...]]  # our name → theirs; of several, ours is their concatenation
Change = Callable[[str, Tensor], Tensor]  # (our name, tensor) → tensor: reshaped, permuted


def as_it_is(name: str, tensor: Tensor) -> Tensor:
    return tensor


def fitted(
    theirs: Mapping[str, Tensor], names: Names, build: Callable[[], nn.Module], where: str, change: Change = as_it_is
) -> dict[str, Tensor]:
    """Their tensors as the state dict of what `build` builds. The first one that differs is refused, by their name."""
    with torch.device("meta"):
        wanted = build().state_dict()
    ours = {name: _one(theirs, names(name), name, like, where, change) for name, like in wanted.items()}
    used = {part for name in wanted for part in names(name)}
    if extra := next((name for name in theirs if name not in used), None):
        raise InputError(f"{where} has no place for the tensor {extra}: the file is of another network")
    return ours


def _one(
    theirs: Mapping[str, Tensor], parts: tuple[str, ...], name: str, like: Tensor, where: str, change: Change
) -> Tensor:
    for part in parts:
        if part not in theirs:
            raise InputError(f"{where} needs a tensor {part}, which the file lacks: it is of another network")
    values = [theirs[part] for part in parts]
    same = all(v.ndim == values[0].ndim and v.shape[1:] == values[0].shape[1:] for v in values)
    value = values[0] if len(parts) == 1 or not same else torch.cat(values)
    if value.numel() == like.numel():
        value = change(name, value)
    if value.shape != like.shape:
        shapes = f"the shape {tuple(like.shape)}, and in the file it is {tuple(value.shape)}"
        raise InputError(f"{where} has the tensor {parts[0]} in {shapes}: it is of another network")
    return value.to(like.dtype).contiguous()
