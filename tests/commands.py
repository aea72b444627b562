"""The command line, as people type it."""

import os
import subprocess
import sys
from pathlib import Path

import forking

# one thread a process: a launcher's processes do not wait for each other's, and sums are added in one order everywhere
ENV = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
TINY = ("--preset", "tiny", "--batch", "8", "--precision", "fp32")
SMALL = str(Path(__file__).with_name("small.json"))  # a recipe: every kind of layer that `tiny` has, and fewer of each


def command(*args: str | Path, launcher: tuple[str, ...] = ()) -> list[str]:
    """python -m noisette …, perhaps by a launcher."""
    return [sys.executable, *(("-m", *launcher) if launcher else ()), "-m", "noisette", *map(str, args)]


def start(*args: str | Path) -> forking.Child:
    """Start a command in a process of its own, which has done its imports."""
    return forking.shared().start(*args)


def run(*args: str | Path, launcher: tuple[str, ...] = (), cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it to its end: in a process of its own, or by a launcher, which starts new ones."""
    if not launcher:
        return forking.shared().run(*args, cwd=cwd)
    words = command(*args, launcher=launcher)
    return subprocess.run(words, capture_output=True, text=True, env=ENV, timeout=280, check=False, cwd=cwd)


def run_ranks(*args: str | Path, count: int = 2) -> subprocess.CompletedProcess[str]:
    """Run it in so many processes that share the work, as a launcher would start them."""
    return forking.wait_for_ranks(forking.start_ranks(count, *args))
