"""An edit that is seen while it runs: its steps are shown as they are taken, and when nobody looks any more it ends."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Lock
from typing import TypeVar

from torch import Tensor

from ..denoiser import Denoiser
from ..noise import Noise
from ..sampler import Sampler, State

EVERY = 0.04  # seconds between two previews
WALKING = Lock()  # held for a step of a walk, whoever's: an edit may change the model while it answers

T = TypeVar("T")
Tell = Callable[[State], None]


class Left(Exception):
    """Nobody looks any more."""


@dataclass(frozen=True, eq=False)
class Telling:
    """A sampler that tells of each step."""

    sampler: Sampler
    tell: Tell

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        with WALKING:
            new = self.sampler.step(denoise, state, s, noise)
        self.tell(new)
        return new


def stepped(walk: Iterator[T]) -> Iterator[T]:
    """The same walk, whose steps are taken while nobody else's are."""
    while True:
        with WALKING:
            try:
                state = next(walk)
            except StopIteration:
                return
        yield state


def watched(work: Callable[[Tell], T]) -> Iterator[State | T]:
    """What `work` tells of, now and then; at last, what it returns.

    It runs in a thread of its own. Closing the iterator ends it at its next step, and waits for that.
    """
    box: SimpleQueue[State | None] = SimpleQueue()
    left, last = Event(), 0.0

    def tell(state: State) -> None:
        if left.is_set():
            raise Left
        box.put(state)

    with ThreadPoolExecutor(1) as alone:
        done = alone.submit(work, tell)
        done.add_done_callback(lambda _: box.put(None))
        try:
            while (state := box.get()) is not None:
                if time.monotonic() - last >= EVERY:
                    last = time.monotonic()
                    yield state
        finally:
            left.set()
    yield done.result()
