"""Training as a guest in somebody else's process: what is global there is as it was before, however training ends."""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from ..team import torch_defaults
from .progress import STOP_SIGNALS


@contextmanager
def preserve_global_state() -> Iterator[None]:
    """Restore on exit, also after an exception or an interruption, what training may change in this process.

    Restored: the random states of `random`, NumPy and torch (CPU and every accelerator), torch's default dtype and
    number of threads, the handlers of STOP_SIGNALS, and Accelerate's process-wide state. Inside the block the
    default dtype is float32, the default device the CPU and gradients are enabled, whatever the caller has set, so
    that the result does not depend on it.
    """
    restore = [*_random_states(), *_accelerate_state(), *_signal_handlers()]
    threads = torch.get_num_threads()
    inference = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
    try:
        with torch_defaults(), inference, torch.enable_grad():
            yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        for undo in restore:
            undo()


def _random_states() -> list[Callable[[], object]]:
    """Functions that put every global random generator back to where it is now."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    undo: list[Callable[[], object]] = [
        lambda: random.setstate(python),
        lambda: np.random.set_state(numpy),
        lambda: torch.set_rng_state(cpu),
    ]
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return undo
    module: Any = torch.get_device_module(accelerator)
    if accelerator.type == "mps":  # has one device, and functions without a device argument
        state = module.get_rng_state()
        return [*undo, lambda: module.set_rng_state(state)]
    for index in range(torch.accelerator.device_count()):
        undo.append(partial(module.set_rng_state, module.get_rng_state(index), index))
    return undo


def _accelerate_state() -> list[Callable[[], object]]:
    """A function that puts Accelerate's shared state back, so that a caller can build an Accelerator of their own.

    An Accelerator of the caller is set aside meanwhile. Under a launcher the processes belong together until the
    program ends, and nothing is changed.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return []
    shared = [kind._shared_state for kind in (AcceleratorState, GradientState, PartialState)]
    before = [dict(state) for state in shared]
    for state in shared:
        state.clear()

    def undo() -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return
        for state, values in zip(shared, before, strict=True):
            state.clear()
            state.update(values)

    return [undo]


def _signal_handlers() -> list[Callable[[], object]]:
    if threading.current_thread() is not threading.main_thread():
        return []  # only the main thread can set handlers
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    # None: not installed from Python, and cannot be set from it
    return [partial(signal.signal, number, handler) for number, handler in handlers.items() if handler is not None]
