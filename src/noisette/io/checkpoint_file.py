"""Files of tensors by name: .safetensors, and the pickles of PyTorch, from which no code is executed.

What a file costs is in proportion to its size: compressed archives, tensors that are larger than what is stored of
them, and objects that a pickle makes out of a number alone are refused.
"""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, shorten
from .files import read_bytes
from .tensors import tensors_from_bytes

STATE_DICT_KEYS = ("state_dict", "model_state_dict")  # keys of the state dict in checkpoints of common trainers
# what torch's restricted unpickler would call, and that takes memory or time out of proportion to its arguments
COSTLY_CALLS = (b"bytearray", b"_codecs")
MAX_OPERATIONS = 400_000  # of a pickle: about 40 for each tensor; torch takes some microseconds for each
MAX_PICKLES = (
    5  # of a file that is no zip: a mark, the version, the system, the tensors and the names of their storages
)


def read_tensors(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The entries of a .pt, .pth, .bin or .safetensors file by name, and notes about changes. No code is executed.

    Floating-point tensors are converted to float32; the prefix "module." of DistributedDataParallel is removed.
    InputError for damaged files, pickled code, and files without named entries.
    """
    data = tensors_from_bytes(read_bytes(path), path) if path.suffix == ".safetensors" else _load_pickle(path)
    for name in STATE_DICT_KEYS:
        if isinstance(data, Mapping) and isinstance(data.get(name), Mapping):
            data = data[name]
    if not isinstance(data, Mapping) or not data:
        raise InputError(f"{path} holds {_describe_type(data)}, not named tensors")
    entries = {str(name).removeprefix("module."): value for name, value in data.items()}
    return to_float32(entries, path)


def to_float32(data: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`data` with all floating-point tensors in float32, and a note for each other dtype.

    InputError for tensors that are not plain numbers in memory: sparse, quantized, complex, without values, or
    expanded.
    """
    for name, value in data.items():
        if isinstance(value, Tensor) and (kind := _find_kind(value)):
            raise InputError(f"{path}: the tensor {shorten(name)} is {kind}: save dense tensors of numbers")
    dtypes = {str(v.dtype).removeprefix("torch.") for v in data.values() if _needs_cast(v)}
    changed = {k: v.float() if _needs_cast(v) else v for k, v in data.items()}
    return changed, tuple(f"weights in {kind} were converted to float32" for kind in sorted(dtypes))


def require_tensors(data: Mapping[str, Any], where: Path) -> dict[str, Tensor]:
    """`data` as tensors by name. InputError if an entry is not a tensor."""
    for name, value in data.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{where}: {shorten(name)} is a {type(value).__name__}, not a tensor: give a file with network "
                "weights only"
            )
    return dict(data)


def _find_kind(tensor: Tensor) -> str:
    """What a tensor is other than plain numbers in memory; "" if it is nothing else."""
    if tensor.layout is not torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantized"
    if tensor.device.type != "cpu":
        return "without values (on the meta device)" if tensor.is_meta else f"on the device {tensor.device}"
    if tensor.is_complex():
        return "complex"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"expanded to the shape {tuple(tensor.shape)} from fewer values"
    return ""


def _needs_cast(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float32


def _load_pickle(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a checkpoint file, or a folder written by diffusers")
    _check_costs(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch did not write: readable ones are fine
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # damaged and hostile files raise anything
        if name := re.search(r"(?:GLOBAL|class) '?([\w.]+)", str(error)):
            raise InputError(
                f"{path} contains {shorten(name[1])}, which is code and not a tensor: it was not loaded; save only the "
                "state_dict"
            ) from None
        reason = shorten(str(error).split("\n", 1)[0], 120) or type(error).__name__
        if "weights" in reason.lower():  # torch advises to load it without restriction
            reason = "it holds other things than tensors: save only the state_dict"
        raise InputError(f"{path} is damaged or not a PyTorch checkpoint ({reason})") from None


def _check_costs(path: Path) -> None:
    """Refuse a checkpoint that takes far more memory than its size: torch.save stores without compression."""
    if not zipfile.is_zipfile(path):
        pickles = [read_bytes(path)]
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise InputError(f"{path} is a compressed archive, which torch.save does not write: unpack it")
                if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                    raise InputError(f"{path} is damaged: its entries are larger than the file")
                names = [name for name in archive.namelist() if name.endswith(".pkl")]
                pickles = [archive.read(name) for name in names]
        except InputError:
            raise
        except Exception as error:  # damaged archives raise anything
            raise InputError(f"{path} is damaged or not a PyTorch checkpoint ({shorten(error)})") from error
    if sum(map(_count_operations, pickles)) > MAX_OPERATIONS:
        raise InputError(f"{path} holds more than {MAX_OPERATIONS:,} operations, of over 10,000 tensors: split it")
    if call := next((call for call in COSTLY_CALLS if any(call in pickled for pickled in pickles)), None):
        raise InputError(
            f"{path} contains {call.decode()}, which is code and not a tensor: it was not loaded; save only the "
            "state_dict"
        )


def _count_operations(pickled: bytes) -> int:
    """The operations of the first pickles in these bytes, counted to just above MAX_OPERATIONS."""
    total, stream = 0, BytesIO(pickled)
    with suppress(Exception):  # damaged from here on, which torch finds
        for _ in range(MAX_PICKLES):
            for _ in pickletools.genops(stream):
                total += 1
                if total > MAX_OPERATIONS:
                    return total
    return total


def _describe_type(data: object) -> str:
    return "nothing" if isinstance(data, Mapping) else f"a {type(data).__name__}"
