"""The kernels: norms, convolutions, attention and Muon's iteration in C, for the CPU.

norm.c is for fp32 and bf16 (under autocast), amx*.c are for bf16, the others for fp32. A wheel for x86-64 Linux brings
them compiled (compiler.VARIANTS); elsewhere they are compiled when first needed, if there is a C compiler, and kept in
the user's cache folder. Nothing depends on them: without them PyTorch computes the same, more slowly.
"""

import _ctypes
import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import cache
from .compiler import (
    COMPILER_FLAGS,
    SOURCE_FOLDER,
    VARIANTS,
    NoCompilerError,
    compile_kernels,
    expected_seconds,
    find_compiler,
)

ENV_SWITCH = "NOISETTE_KERNELS"  # 0: do without the kernels
NATIVE_FLAGS = ("-march=native",)
_CC_ADVICE = "name another compiler in the environment variable CC: CC=gcc or CC=clang"
BUNDLED_FOLDER = SOURCE_FOLDER / "compiled"  # in a wheel that hatch_build.py made: kernels-VARIANT.so

# Arguments: p a tensor or None, n an integer, f a float. The result is an integer (True) or nothing (False).
SIGNATURES = {
    "norm_work": ("nnn", True),
    "norm_forward": ("pppppppp" + "nnnnnnn" + "f", False),
    "norm_backward": ("ppppppppppppp" + "nnnnnnn", False),
    "half_norm_work": ("nnn", True),
    "half_norm_forward": ("pppppppp" + "nnnnnnn" + "f", False),
    "half_norm_backward": ("ppppppppppppp" + "nnnnnnn", False),
    "winograd_weights_size": ("nn", True),
    "winograd_weights": ("pp" + "nnn", False),
    "winograd_work": ("nn", True),
    "winograd": ("pppppp" + "nnnnnnn", False),
    "winograd_gradient_work": ("nnnnn", True),
    "winograd_gradient": ("ppppp" + "nnnnnn", False),
    "product_weights_size": ("nn", True),
    "product_weights": ("pp" + "nnnn", False),
    "product": ("ppppppp" + "nnnn", False),
    "product_gradient_work": ("nnn", True),
    "product_gradient": ("ppppp" + "nnnn", False),
    "attention_work": ("nnn", True),
    "attention": ("pppp" + "nnnn", False),
    "attention_back": ("pppppp" + "nnnn", False),
    "orthogonal_work": ("nn", True),
    "orthogonal": ("pp" + "nnn" + "fff", False),
    "same_bytes": ("ppn", True),
    "amx_ready": ("", True),
    "amx_weights_size": ("nnn", True),
    "amx_weights": ("ppp" + "nnnn", False),
    "amx_work": ("nnnnn", True),
    "amx": ("pppppp" + "nnnnnn", False),
    "amx_product": ("ppppppp" + "nnnn", False),
    "amx_gradient_work": ("nnnnnn", True),
    "amx_gradient": ("ppppp" + "nnnnnnnn", False),
    "amx_attention_work": ("nnn", True),
    "amx_attention": ("pppp" + "nnnn", False),
    "amx_attention_back": ("pppppp" + "nnnn", False),
}
CTYPES = {"p": ctypes.c_void_p, "n": ctypes.c_long, "f": ctypes.c_float}

_disable_depth = 0


@dataclass(frozen=True)
class KernelBuild:
    """The kernels of this process, or None; where they are from, or why there are none; and what helps then."""

    library: ctypes.CDLL | None
    description: str
    advice: str = ""


def read_cpu_features() -> frozenset[str]:
    """The instruction sets that the processor has and the system allows, in the words of /proc/cpuinfo."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


def find_bundled() -> tuple[str, Path] | None:
    """The best variant of this wheel that the processor can run: its name and its library."""
    features = read_cpu_features()
    for name, variant in VARIANTS.items():
        path = BUNDLED_FOLDER / f"kernels-{name}.so"
        if variant.required_features <= features and path.exists():
            return name, path
    return None


def library_name(machine_flags: Sequence[str]) -> str:
    """The file name of the compiled kernels: a hash of the sources, the flags, the compiler and the processor."""
    sources = [path.read_bytes() for path in sorted(SOURCE_FOLDER.glob("*.[ch]"))]
    command = find_compiler() or []
    build = [
        *COMPILER_FLAGS,
        *machine_flags,
        *command,
        platform.machine(),
        torch.__version__,
        *sorted(read_cpu_features()),
    ]
    return f"kernels-{hashlib.sha256(bytes(0).join([*sources, ' '.join(build).encode()])).hexdigest()[:16]}.so"


def load_library(path: Path) -> ctypes.CDLL:
    """The compiled functions, with the types of their arguments. OSError for a library that lacks one of them."""
    library = ctypes.CDLL(str(path), mode=os.RTLD_NOW)
    for name, (arguments, counts) in SIGNATURES.items():
        function = getattr(library, name, None)
        if function is None:
            _ctypes.dlclose(library._handle)  # else the same path would give this library again
            raise OSError(f"{path} lacks the function {name}")
        function.argtypes = [CTYPES[a] for a in arguments]
        function.restype = ctypes.c_long if counts else None
    return library


def build_library() -> KernelBuild:
    """Load the kernels: those of the wheel, or those in the cache, or newly compiled ones. Never raises."""
    if os.environ.get(ENV_SWITCH) == "0":
        return KernelBuild(None, f"the environment variable {ENV_SWITCH} is 0", f"unset {ENV_SWITCH}")
    if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return KernelBuild(None, f"there are none for {platform.system()} {platform.machine()}, only for 64-bit Linux")
    try:
        if (bundled := find_bundled()) is not None:
            with contextlib.suppress(OSError):  # of another version, or damaged: compiled here instead
                return KernelBuild(load_library(bundled[1]), f"from the wheel, for processors with {bundled[0]}")
        path = _cached_or_compiled()
        try:
            library = load_library(path)
        except OSError:  # whole, but not what these sources give: once more
            path.unlink(missing_ok=True)
            library = load_library(path := _cached_or_compiled())
        return KernelBuild(library, f"compiled for this processor, {path}")
    except NoCompilerError as error:
        return KernelBuild(None, str(error), "install one (Debian: apt-get install gcc), or noisette's wheel")
    except subprocess.CalledProcessError as error:
        return KernelBuild(
            None, f"the C compiler failed: {error.stderr.decode(errors='replace').strip()[:500]}", _CC_ADVICE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return KernelBuild(None, str(error), "" if isinstance(error, OSError) else _CC_ADVICE)


def _cached_or_compiled() -> Path:
    """The compiled kernels in the first cache folder that can be trusted and written to; OSError if there is none."""
    name, reasons = library_name(NATIVE_FLAGS), []
    for candidate in cache.cache_folders():
        try:
            folder = cache.prepare_folder(candidate)
            path = folder / name
            if cache.is_intact(path):
                return path
            with cache.exclusive(folder):
                if not cache.is_intact(path):  # another process may have compiled it meanwhile
                    _compile_into(path)
            return path
        except NoCompilerError:
            raise
        except OSError as error:
            reasons.append(str(error))
    raise OSError("no folder can keep the compiled kernels: " + "; ".join(reasons or ["there is no temporary folder"]))


def _compile_into(path: Path) -> None:
    """Compile for this machine, with a line on stderr that announces it."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=path.parent) as folder:
        if find_compiler() is not None and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # stderr is closed
                sys.stderr.write(f"compiling the CPU kernels, once for this machine: ~{expected_seconds()} s\n")
                sys.stderr.flush()
        cache.store(compile_kernels(Path(folder), NATIVE_FLAGS).read_bytes(), path)


@functools.cache
def get_build() -> KernelBuild:
    """What `build_library` returned, the first time in this process."""
    return build_library()


def get_kernels() -> ctypes.CDLL:
    """The compiled functions. Only to be called after `kernel_dtype` has returned a dtype."""
    library = get_build().library
    assert library is not None, get_build().description
    return library


@contextlib.contextmanager
def without_kernels() -> Iterator[None]:
    """In this block PyTorch computes everything: to compare, and to export."""
    global _disable_depth  # noqa: PLW0603
    _disable_depth += 1
    try:
        yield
    finally:
        _disable_depth -= 1


def kernel_dtype(*values: Tensor | None, parameters: Iterable[Tensor | None] = ()) -> torch.dtype | None:
    """What the kernels compute `values` in: fp32, or bf16 under autocast to it. None: they cannot.

    All must be on the CPU; values are fp32, or under autocast bf16, too; parameters are fp32. The kernels take part
    neither in compilation nor in function transforms.
    """
    if (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or _disable_depth
        or get_build().library is None
        or any(t is not None and t.device.type != "cpu" for t in values)
        or any(p is not None and (p.dtype is not torch.float32 or p.device.type != "cpu") for p in parameters)
    ):
        return None
    half = torch.is_autocast_enabled("cpu")
    if half and torch.get_autocast_dtype("cpu") is not torch.bfloat16:
        return None
    known = (torch.float32, torch.bfloat16) if half else (torch.float32,)
    return known[-1] if all(t is None or t.dtype in known for t in values) else None


def has_amx() -> bool:
    """Whether this processor multiplies matrices of bf16 by tiles (amx.h), and this process may use them."""
    return bool(get_kernels().amx_ready())


def empty(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Memory that a kernel writes to: on the CPU and fp32, whatever PyTorch's default device and dtype are."""
    return torch.empty(size, dtype=dtype, device="cpu")


def empty_images(b: int, c: int, h: int, w: int, dtype: torch.dtype) -> Tensor:
    """Memory for images (b, c, h, w), channels last, on the CPU."""
    return torch.empty((b, c, h, w), dtype=dtype, device="cpu", memory_format=torch.channels_last)


def contiguous(parameter: Tensor | None) -> Tensor | None:
    """A bias or gain whose entries lie side by side, as kernels read them."""
    return None if parameter is None else parameter.contiguous()


def same_bytes(one: Tensor, other: Tensor) -> bool:
    """Whether two fp32 tensors on the CPU have the same strides and bytes. False where there are gaps between rows."""
    dense = one.is_contiguous() or one.is_contiguous(memory_format=torch.channels_last)
    if not dense or one.shape != other.shape or one.stride() != other.stride():
        return False
    return bool(get_kernels().same_bytes(one.data_ptr(), other.data_ptr(), one.numel()))


def data_pointer(tensor: Tensor | None) -> int | None:
    """The address of the first entry, or None."""
    return None if tensor is None else tensor.data_ptr()


def data_pointers(*tensors: Tensor | None) -> Iterable[int | None]:
    """The same of several, as the kernels' functions take them."""
    return (None if tensor is None else tensor.data_ptr() for tensor in tensors)
