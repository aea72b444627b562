"""Previews of an edit while it runs in a thread; the edit is cancelled when the previews are no longer read.

Every sampling step of the studio, of any tab or endpoint, passes `lock_steps` or `CallbackSampler`.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Lock
from typing import TypeVar

from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.noise import Noise
from ..diffusion.sampler import Sampler, State
from .waiting import check_abandoned

PREVIEW_INTERVAL = 0.04  # seconds between two previews
MODEL_LOCK = Lock()  # held during each sampling step of any visitor: an edit may temporarily modify the model

T = TypeVar("T")
StepCallback = Callable[[State], None]


class Cancelled(Exception):
    """The consumer of the previews has gone."""


@dataclass(frozen=True, eq=False)
class CallbackSampler:
    """A sampler that calls a function after each step. A step raises `Abandoned` where nobody waits for its result."""

    sampler: Sampler
    on_step: StepCallback

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        """A step of the inner sampler, with the model locked."""
        check_abandoned()
        with MODEL_LOCK:
            new = self.sampler.step(denoise, state, s, noise)
        self.on_step(new)
        return new


def lock_steps(states: Iterator[T]) -> Iterator[T]:
    """The same iterator; each item is computed while the model is locked. `Abandoned` where nobody waits for it."""
    while True:
        check_abandoned()
        with MODEL_LOCK:
            try:
                state = next(states)
            except StopIteration:
                return
        yield state


def stream_previews(work: Callable[[StepCallback], T]) -> Iterator[State | T]:
    """Run `work` in a thread; yield reported states, at most one per PREVIEW_INTERVAL, then its result.

    Closing the iterator cancels the work at its next step, and waits for it.
    """
    queue: SimpleQueue[State | None] = SimpleQueue()
    cancelled, last = Event(), 0.0

    def report(state: State) -> None:
        if cancelled.is_set():
            raise Cancelled
        queue.put(state)

    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(copy_context().run, work, report)  # the request's context
        future.add_done_callback(lambda _: queue.put(None))
        try:
            while (state := queue.get()) is not None:
                if time.monotonic() - last >= PREVIEW_INTERVAL:
                    last = time.monotonic()
                    yield state
        finally:
            cancelled.set()
    yield future.result()
