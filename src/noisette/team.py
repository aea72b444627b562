"""Work divided among processes by whole batches, so that results do not depend on their number; its device, threads."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import psutil
import torch
from torch import Tensor


@runtime_checkable
class ProcessContext(Protocol):
    """The group of processes of a run. All of them must call `gather` equally often and in the same order."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        ...

    @property
    def world_size(self) -> int:
        """The number of processes."""
        ...

    def gather(self, local: dict[int, Tensor]) -> dict[int, Tensor]:
        """The union of the dictionaries of all processes, with tensors on the CPU; their keys must be disjoint."""
        ...


@dataclass(frozen=True)
class SingleProcess:
    """A single process, which has all the work."""

    rank: int = 0
    world_size: int = 1

    def gather(self, local: dict[int, Tensor]) -> dict[int, Tensor]:
        """`local`, unchanged."""
        return local


SINGLE_PROCESS = SingleProcess()


def map_batches(processes: ProcessContext, n: int, batch_size: int, fn: Callable[[slice], Tensor]) -> Tensor:
    """fn(rows) of each batch of n rows, concatenated, on the CPU of every process; each computes its share."""
    batches = [slice(first, min(first + batch_size, n)) for first in range(0, n, batch_size)]
    local = {i: fn(rows).cpu() for i, rows in enumerate(batches) if i % processes.world_size == processes.rank}
    results = processes.gather(local)
    return torch.cat([results[i] for i in range(len(batches))])


def best_device() -> torch.device:
    """The current accelerator, if one is available; otherwise the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Inside the block, the default dtype is float32 and the default device the CPU, whatever the caller has set."""
    dtype = torch.get_default_dtype()
    # a device context slows every call down, so it is entered only where it is needed
    device = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    try:
        with device:
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        torch.set_default_dtype(dtype)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all queued work, so that a clock read afterwards covers it.

    Accelerators of every kind compute asynchronously; the CPU does not, and nothing happens for it.
    """
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


# ── threads on a CPU that other programs use ──────────────────────────────────────────────────────────────────────


def thread_counts(device: torch.device) -> tuple[int, ...]:
    """The numbers of threads to choose from for work on `device`: all that torch may use first, then fewer.

    On a CPU that other programs use, threads that wait for one another are slower than fewer of them. On an
    accelerator there is nothing to choose.
    """
    every = torch.get_num_threads()
    if device.type != "cpu":
        return (every,)
    fewer = (every - 1, every // 2, *((1,) if every <= 8 else ()))  # with many cores, one thread takes too long to try
    return tuple(dict.fromkeys((every, *(max(count, 1) for count in fewer))))


class OtherPrograms:
    """How many cores all other processes use, measured between one call and the next."""

    MIN_INTERVAL, MAX_INTERVAL = 0.1, 2.0  # seconds: a shorter time is not measured anew, a longer one says nothing

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.last = self.read()
        self.cores = 0.0

    def read(self) -> tuple[float, float]:
        """The time, and the seconds that all other processes have computed so far."""
        times, own = psutil.cpu_times(), self.process.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
        return time.monotonic(), sum(times) - idle - getattr(times, "guest_nice", 0.0) - own.user - own.system

    def __call__(self) -> float:
        """The cores that other processes use: over the last 2 seconds at most, or at this moment."""
        now = self.read()
        interval = now[0] - self.last[0]
        if interval < self.MIN_INTERVAL:
            return self.cores
        measured = max(now[1] - self.last[1], 0.0) / interval
        self.cores = measured if interval <= self.MAX_INTERVAL else count_running(measured)
        self.last = now
        return self.cores


def count_running(otherwise: float) -> float:
    """The other threads of the machine that run or could run now; `otherwise` if the system does not report them."""
    counts = []
    for _ in range(3):
        try:
            counts.append(int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return otherwise
        time.sleep(0.001)
    return float(min(counts))


class SharedCPU:
    """Keeps torch's threads within the cores that other programs leave free.

    Call it before each step of work on the CPU. It uses at most the number of threads that OMP_NUM_THREADS or
    `torch.set_num_threads` has set.
    """

    FREE = 0.4  # cores that others may use beside a thread that is counted as having a core

    def __init__(self) -> None:
        self.others = OtherPrograms()
        self.every = self.chosen = 0

    def __call__(self, device: torch.device) -> None:
        """Set the number of threads for the work that follows on `device`."""
        if device.type != "cpu":
            return
        if (present := torch.get_num_threads()) != self.chosen:
            self.every = present
        cores = max(os.cpu_count() or 1, self.every)
        self.chosen = max(1, min(self.every, int(cores - self.others() + self.FREE))) if self.every > 1 else 1
        if self.chosen != present:
            torch.set_num_threads(self.chosen)

    def release(self) -> None:
        """Give torch its threads back."""
        if self.chosen and torch.get_num_threads() == self.chosen != self.every:
            torch.set_num_threads(self.every)
        self.chosen = 0


share_cpu = SharedCPU()  # of this process
