"""What a run reports after every step, and how it ends early: by divergence or by a signal."""

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ..errors import InputError

STOP_SIGNALS = tuple(  # Ctrl-C; the usual signal of `kill`; a closed terminal; Ctrl-\\. Not all systems have all
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
MAX_NAMED = 8  # pictures that an error message names


class Diverged(InputError):
    """The loss or the gradient is NaN or infinite."""


class Interrupted(Exception):
    """A signal (`STOP_SIGNALS`) stopped the run, after it was saved. `signal` is the signal's number."""

    def __init__(self, signal: int, run: Path) -> None:
        super().__init__(f"stopped and saved: the same command continues {run}")
        self.signal = signal


@dataclass(frozen=True)
class Progress:
    """The state of a run after a step, for progress bars and the like."""

    images: int  # training images seen
    total: int  # training images of the whole run; with a time limit, as estimated now
    seconds: float  # duration so far, time before a resumption included
    rate: float  # training images per second since the start or resumption
    loss: float  # of this step
    held_out_loss: Mapping[str, float] | None = None  # by noise level, if it was measured after this step
    notes: tuple[str, ...] = ()  # messages, such as why a damaged checkpoint was skipped
    evaluation: Mapping[str, Any] | None = None  # KID, copies and colors of samples, if measured after this step
    slowdown: float = 1.0  # expected duration of the steps that are left, in steps of now
    time_limit: float | None = None  # of the run, in seconds

    @property
    def seconds_left(self) -> float:
        """Estimated seconds until the last step."""
        estimate = self.slowdown * (self.total - self.images) / max(self.rate, 1e-9)
        return estimate if self.time_limit is None else min(estimate, max(self.time_limit - self.seconds, 0.0))


def describe_divergence(pictures: Sequence[tuple[str, bool]], step: int, images: int) -> str:
    """Say at which step training diverged and with which pictures. `images`: training images seen before.

    `pictures`: name of each picture of the global batch, and whether its loss is finite. If all losses are finite it
    was the gradient, and all pictures of the batch are named.
    """
    bad = [name for name, is_finite in pictures if not is_finite]
    kind, names = ("loss", bad) if bad else ("gradient", [name for name, _ in pictures])
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    text = ", ".join(names[:MAX_NAMED]) + more
    return f"the {kind} is not finite at step {step} ({images} images seen), with {text} in the batch"


class StopSignals:
    """Within the block, STOP_SIGNALS set `signal_number` (0 before); a second SIGINT raises KeyboardInterrupt.

    A SIGHUP or SIGQUIT that is ignored (nohup) stays ignored. The handlers of before are back after the block. In other
    threads than the main one, signals cannot be handled.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self.previous_handlers: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self.previous_handlers[number] = signal.signal(number, self.handle)
        return self

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.signal_number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.signal_number = self.signal_number or number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.previous_handlers.items():
            if handler is not None:  # None: not installed from Python, and cannot be set from it
                signal.signal(number, handler)  # type: ignore[arg-type]
