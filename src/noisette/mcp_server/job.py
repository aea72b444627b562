"""One call of a tool while it runs: it reports its progress, and stops at the next step once it was cancelled."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROGRESS_INTERVAL = 0.2  # seconds between two reports
WAIT_INTERVAL = 0.05  # seconds between two looks at whether a call that waits was cancelled

Report = Callable[[int, int], object]  # steps done, steps in all


class Cancelled(Exception):
    """Nobody waits for the answer."""


class Job:
    """The state of a call. `report` is called in the thread that does the work."""

    def __init__(self, report: Report = lambda done, total: None) -> None:
        self.report, self.cancelled = report, threading.Event()
        self.done, self.last = 0, 0.0

    def check(self) -> None:
        """Raise Cancelled if the call was cancelled."""
        if self.cancelled.is_set():
            raise Cancelled

    def advance(self, total: int) -> None:
        """One more of `total` steps is done."""
        self.done += 1
        self.set_progress(self.done, total)

    def set_progress(self, done: int, total: int) -> None:
        """`done` of `total` steps are done."""
        self.check()
        if done >= total or time.monotonic() - self.last >= PROGRESS_INTERVAL:
            self.last = time.monotonic()
            self.report(done, total)

    @contextmanager
    def alone(self, lock: threading.Lock) -> Iterator[None]:
        """A context that one call at a time is in; the others wait, and may be cancelled meanwhile."""
        while not lock.acquire(timeout=WAIT_INTERVAL):
            self.check()
        try:
            yield
        finally:
            lock.release()
