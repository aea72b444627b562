"""Named tensors of networks and optimizers as safetensors, a format that cannot execute code."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..errors import InputError

MAX_TENSORS = 20_000  # in a file; large networks have about 2,000
# Tensors of a DiT in files of version 0.1.0; those of an optimizer are exp_avg/NAME.
FORMER_NAME = re.compile(r"^((?:\w+/)?(?:blocks\.\d+\.)?)told(?=\.(?:weight|bias)$)")


def prepare_tensors(tensors: Mapping[str, Tensor], target: str) -> dict[str, Tensor]:
    """Tensors ready for safetensors: on the CPU, contiguous, without shared memory (tied weights are copied).

    `InputError`, which names `target`, if a value is NaN or infinite.
    """
    result: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        prepared = tensor.detach().cpu().contiguous()
        if not _is_finite(prepared):
            raise InputError(
                f"cannot write {target}: the tensor {name} has values that are not finite; nothing was written"
            )
        storage = prepared.untyped_storage().data_ptr()
        result[name] = prepared.clone() if storage in storages else prepared
        storages.add(storage)
    return result


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    low, high = torch.aminmax(tensor)  # both are NaN if a value is; seven times as fast as isfinite().all()
    return math.isfinite(low) and math.isfinite(high)


def tensors_from_bytes(data: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file; `path` is named in the `InputError` if they are not one."""
    if (count := data.count(b'"data_offsets"', 8, 8 + int.from_bytes(data[:8], "little"))) > MAX_TENSORS:
        raise InputError(f"{path} holds {count:,} tensors, the maximum is {MAX_TENSORS:,}: it is no network")
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(f"{path} is not a safetensors file: {error}") from error


def current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by their names of today, where a file has names of an earlier version."""
    return {FORMER_NAME.sub(r"\1modulation", name): tensor for name, tensor in tensors.items()}


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str | Path) -> None:
    """Raise `InputError` unless `tensors` has the names and shapes of `expected`; `source` is named in the message."""
    for name, tensor in expected.items():
        if name not in tensors:
            raise InputError(f"{source} has no tensor {name}: it belongs to another network")
        if tensors[name].shape != tensor.shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise InputError(f"{source}: the tensor {name} has shape {shapes}: it belongs to another network")
    if extra := next((name for name in tensors if name not in expected), None):
        raise InputError(
            f"{source} has a tensor {extra} that this network does not have: it belongs to another network"
        )


def optimizer_tensors(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of an optimizer by parameter name, as `exp_avg/NAME`."""
    state = optimizer.state
    return {f"{key}/{name}": value for name, p in parameters.items() for key, value in state.get(p, {}).items()}


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Restore the state of an optimizer, bit for bit; its options (lr, betas, …) are not changed.

    All parameters of a group must have the same state keys. `InputError` if a tensor is missing or has another shape.
    """
    names = {id(p): name for name, p in parameters.items()}
    stored = [tuple(name.split("/", 1)) for name in tensors]
    known = {name for _, name in stored}  # a parameter that never had a gradient has no state
    expected: dict[str, Tensor] = {}
    slots: list[tuple[int, str, str]] = []
    first = 0
    for group in optimizer.param_groups:
        numbers = {names[id(p)]: i for i, p in enumerate(group["params"], first)}
        first += len(numbers)
        for key in dict.fromkeys(key for key, name in stored if name in numbers):
            with_state = [name for name in numbers if name in known]
            expected |= {f"{key}/{name}": torch.zeros(()) if key == "step" else parameters[name] for name in with_state}
            slots += [(numbers[name], key, f"{key}/{name}") for name in with_state]
    check_tensors(tensors, expected, "the optimizer's part of the checkpoint")
    state: dict[int, dict[str, Tensor]] = {}
    for number, key, name in slots:
        # in the memory format of the parameter: updates that mix two formats are slower
        value = torch.empty_like(expected[name], dtype=tensors[name].dtype).copy_(tensors[name])
        state.setdefault(number, {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
