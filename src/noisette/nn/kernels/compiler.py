"""Compile the kernels: their sources, the flags, and the kinds of processor that wheels carry a library for.

This file imports the standard library only: the build hook of wheels (hatch_build.py) loads it by its path, where
neither PyTorch nor noisette is installed.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SOURCE_FOLDER = Path(__file__).parent
OBJECTS = {  # object file → its source, and the macros it is compiled with
    "norm": ("norm.c",),
    "half_norm": ("norm.c", "-DHALF"),
    "winograd": ("winograd.c",),
    "product": ("product.c",),
    "attention": ("attention.c",),
    "orthogonal": ("orthogonal.c",),
    "same": ("same.c",),
    "amx": ("amx.c",),
    "amx_weights": ("amx_weights.c",),
    "amx_gradient": ("amx_gradient.c",),
    "amx_product": ("amx_product.c",),
    "amx_attention": ("amx_attention.c",),
}
COMPILER_FLAGS = (
    "-O3",
    "-std=gnu11",
    "-fPIC",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
CPU_SECONDS = 8  # processor time that compiling takes with -march=native (AMD EPYC with AVX2, gcc 12)
TIMEOUT = 300.0  # seconds for one file, on a machine that is busy with other things


class NoCompilerError(FileNotFoundError):
    """There is no C compiler on this machine."""


@dataclass(frozen=True)
class Variant:
    """A kind of x86-64 processor: compiler flags, and what /proc/cpuinfo must list for the library to be loaded."""

    flags: tuple[str, ...]
    required_features: frozenset[str]


_AVX2 = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2")
_AVX512 = (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq")
_AVX2_FEATURES = frozenset({"avx2", "fma", "f16c", "bmi1", "bmi2"})
_AVX512_FEATURES = _AVX2_FEATURES | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
VARIANTS = {  # the best first: a processor gets the first one that it can run
    "amx": Variant(
        (*_AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"),
        _AVX512_FEATURES | {"avx512_bf16", "amx_tile", "amx_bf16"},
    ),
    "avx512_bf16": Variant((*_AVX512, "-mavx512bf16"), _AVX512_FEATURES | {"avx512_bf16"}),
    "avx512": Variant(_AVX512, _AVX512_FEATURES),
    "avx2": Variant(_AVX2, _AVX2_FEATURES),
}


def find_compiler() -> list[str] | None:
    """The C compiler's command: $CC, or else cc, gcc or clang, whichever is found first on PATH; None without one.

    A CC that is not a command line, such as one with an open quote, is an OSError.
    """
    try:
        command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise OSError(f"CC is not a command line ({str(error).lower()}): {os.environ['CC']}") from error
    for name in (command[0], "gcc", "clang"):
        if path := shutil.which(name):
            return [path, *command[1:]] if name == command[0] else [path]
    return None


def compile_kernels(folder: Path, machine_flags: Sequence[str]) -> Path:
    """Compile the sources into `folder`/kernels.so for the processor that `machine_flags` name, on all cores.

    The library is linked without OpenMP, so that it runs on the threads that PyTorch already has. Raises
    CalledProcessError or TimeoutExpired if the compiler fails, NoCompilerError if there is none.
    """
    command = find_compiler()
    if command is None:
        raise NoCompilerError("there is no C compiler here: neither cc nor gcc nor clang")

    def run(arguments: Sequence[str]) -> None:
        subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=TIMEOUT)

    objects = {str(folder / f"{name}.o"): recipe for name, recipe in OBJECTS.items()}
    jobs = [
        [*COMPILER_FLAGS, *machine_flags, *macros, "-c", str(SOURCE_FOLDER / source), "-o", target]
        for target, (source, *macros) in objects.items()
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, jobs))
    library = folder / "kernels.so"
    run(["-shared", *objects, "-lm", "-o", str(library)])
    return library


def expected_seconds() -> int:
    """About how long compiling takes on this machine, if nothing else keeps it busy."""
    return max(2, round(CPU_SECONDS / min(os.cpu_count() or 1, 4)))
