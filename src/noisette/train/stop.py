"""Ctrl-C and SIGTERM, noted and not obeyed at once: the run saves first."""

import signal
import threading
from types import FrameType, TracebackType


class StopSignals:
    """`number` is the first signal that came, 0 while none did; a second Ctrl-C stops at once, without saving."""

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = self.number or number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
