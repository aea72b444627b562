"""Norms, convolutions and attention in C, for processors: compiled when first needed, if there is a compiler.

In fp32, and under autocast in bf16: norm.c is for both; amx*.c are for bf16, the others for fp32.
Nothing depends on them: where they cannot be had, or are switched off, PyTorch does the same, more slowly.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

# An object file each: what it is made of, and with which macros.
OBJECTS = {
    "norm": ("norm.c",),
    "half_norm": ("norm.c", "-DHALF"),
    "winograd": ("winograd.c",),
    "product": ("product.c",),
    "attention": ("attention.c",),
    "orthogonal": ("orthogonal.c",),
    "amx": ("amx.c",),
    "amx_weights": ("amx_weights.c",),
    "amx_gradient": ("amx_gradient.c",),
    "amx_product": ("amx_product.c",),
    "amx_attention": ("amx_attention.c",),
}
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
SWITCH = "NOISETTE_KERNELS"  # 0: do without them

# Arguments: p a tensor or None, n a whole number, f a float. A result is a size of work space, or says yes or no.
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
TYPES = {"p": ctypes.c_void_p, "n": ctypes.c_long, "f": ctypes.c_float}

_off = 0


def compiler() -> list[str] | None:
    """The C compiler's command: $CC, or cc, or what there is."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    for name in (command[0], "gcc", "clang"):
        if found := shutil.which(name):
            return [found, *command[1:]] if name == command[0] else [found]
    return None


def compile_kernels(folder: Path, machine: Sequence[str]) -> Path:
    """Compile the sources for the machine that the flags name; raise CalledProcessError or OSError if that fails.

    They are linked without an OpenMP of their own, so that they run on the threads that PyTorch already has.
    """
    command = compiler()
    if command is None:
        raise FileNotFoundError("there is no C compiler here: neither cc nor gcc nor clang")
    objects = [str(folder / f"{name}.o") for name in OBJECTS]
    library = folder / "kernels.so"
    jobs = [
        [*FLAGS, *machine, *macros, "-c", str(Path(__file__).with_name(source)), "-o", target]
        for (source, *macros), target in zip(OBJECTS.values(), objects, strict=True)
    ]
    for job in [*jobs, ["-shared", *objects, "-lm", "-o", str(library)]]:
        subprocess.run([*command, *job], check=True, capture_output=True, timeout=60)
    return library


def cached(machine: Sequence[str]) -> Path:
    """Where the compiled functions are kept: named after their sources, the flags, the compiler and the processor."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.[ch]"))]
    with contextlib.suppress(OSError):
        sources += [line for line in Path("/proc/cpuinfo").read_bytes().splitlines() if line.startswith(b"flags")][:1]
    command = compiler() or []
    told = " ".join([*FLAGS, *machine, *command, platform.machine(), torch.__version__]).encode()
    name = hashlib.sha256(b"\0".join([*sources, told])).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "noisette" / f"kernels-{name}.so"


def load(path: Path) -> ctypes.CDLL:
    """The compiled functions, with the types of their arguments."""
    library = ctypes.CDLL(str(path), mode=os.RTLD_NOW)
    for name, (arguments, counts) in SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = [TYPES[a] for a in arguments]
        function.restype = ctypes.c_long if counts else None
    return library


def keep_memory() -> None:
    """Let glibc keep what a step frees for the next: what it gives back, the system clears before it comes again."""
    with contextlib.suppress(AttributeError, OSError):  # another C library has other ways
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((-3, 32 << 20), (-1, 1 << 30)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            mallopt(parameter, value)


def build() -> ctypes.CDLL | str:
    """The functions, or in words why there are none."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH} is 0"
    if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return "they are for 64-bit Linux"
    try:
        kept = cached(["-march=native"])
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".noisette-", dir=kept.parent) as folder:
                compile_kernels(Path(folder), ["-march=native"]).replace(kept)
        keep_memory()
        return load(kept)
    except subprocess.CalledProcessError as error:
        return f"the C compiler failed: {error.stderr.decode(errors='replace').strip()[:500]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)


@functools.cache
def built() -> ctypes.CDLL | str:
    """`build`, once a process."""
    return build()


def kernels() -> ctypes.CDLL:
    """The functions, for who has asked `serves`."""
    library = built()
    assert isinstance(library, ctypes.CDLL), library
    return library


@contextlib.contextmanager
def without_kernels() -> Iterator[None]:
    """Let PyTorch do everything in this block: to compare."""
    global _off  # noqa: PLW0603
    _off += 1
    try:
        yield
    finally:
        _off -= 1


def serves(*tensors: Tensor | None) -> torch.dtype | None:
    """What the functions compute these tensors in, here and now: fp32, bf16 under autocast to it, or None.

    They take no part in compilation or in function transforms.
    """
    if (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or _off
        or not isinstance(built(), ctypes.CDLL)
        or any(t is not None and t.device.type != "cpu" for t in tensors)
    ):
        return None
    half = torch.is_autocast_enabled("cpu")
    if half and torch.get_autocast_dtype("cpu") is not torch.bfloat16:
        return None
    known = (torch.float32, torch.bfloat16) if half else (torch.float32,)
    return known[-1] if all(t is None or t.dtype in known for t in tensors) else None


def tiles() -> bool:
    """Whether this processor multiplies matrices of bf16 by tiles (amx.h), and we may."""
    return bool(kernels().amx_ready())


def address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
