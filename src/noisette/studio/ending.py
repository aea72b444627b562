"""SIGINT, SIGTERM and SIGHUP end the studio, whatever it is doing.

Normally the server closes its connections, drawings stop at their next step, and the `finally` clauses clean up. Where
the event loop or a thread is stuck, the process ends without them after a while, once it has cleaned up.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, runtime_checkable

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ENDING = threading.Event()  # set by a signal: from then on nobody waits for anything
SHUTDOWN_SECONDS = 5.0  # how long the server may take to close, and threads to end


@runtime_checkable
class Stoppable(Protocol):
    """A server that closes when this is set."""

    should_exit: bool


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """A context that a signal leaves by SystemExit or KeyboardInterrupt; until a server takes over, and after it."""
    with _handling(_raise_exit):
        yield


@contextmanager
def end_process_on_signals(stop: Callable[[float], object]) -> Iterator[None]:
    """A context in which a signal calls `stop` with the seconds that it may take, and then ends the process.

    For a process with a thread that cannot be woken, like one that reads stdin: a normal end would wait for it.
    """

    def end(number: int) -> None:
        stop(SHUTDOWN_SECONDS)
        os._exit(128 + number)

    def handle(number: int, frame: FrameType | None) -> None:
        ENDING.set()
        threading.Thread(target=end, args=(number,), daemon=True).start()

    with _handling(handle):
        yield


@contextmanager
def close_on_signals(
    server: Stoppable, clean_up: Callable[[], object], seconds: float = SHUTDOWN_SECONDS
) -> Iterator[None]:
    """A context in which a signal closes the server; then it is left as by `exit_on_signals`.

    A server that does not close in so many seconds, or a second signal, ends the process after `clean_up`.
    """
    received: list[int] = []
    is_closed = threading.Event()

    def end_if_stuck(number: int) -> None:
        if not is_closed.wait(seconds):
            clean_up()
            os._exit(128 + number)

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        ENDING.set()
        server.should_exit = True
        threading.Thread(target=end_if_stuck, args=(number,), daemon=True).start()

    with _handling(handle):
        try:
            yield
        finally:
            is_closed.set()
    if received:
        _raise_exit(received[0], None)


def end_if_threads_are_stuck(request: BaseException) -> None:
    """End the process if threads that it would wait for do not end in SHUTDOWN_SECONDS.

    `request`: the SystemExit or KeyboardInterrupt that is to end it, which decides the exit code.
    """
    threads = [t for t in threading.enumerate() if t is not threading.current_thread() and not t.daemon]
    for thread in threads:
        thread.join(SHUTDOWN_SECONDS / len(threads))
    if any(thread.is_alive() for thread in threads):
        code = getattr(request, "code", None)
        os._exit(code if isinstance(code, int) else 128 + signal.SIGINT)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _raise_exit(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
