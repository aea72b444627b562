"""Limits of processor time that hold on slow machines, too: they are in units of a fixed piece of Python."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_NOMINAL = 0.03  # seconds that the piece takes on the machine for which the limits are written


def _reference() -> float:
    """The time of the piece, seconds: calls, attributes, small objects, as in the code that is tested."""
    start = time.process_time()
    found: dict[int, tuple[int, str]] = {}
    for i in range(120_000):
        found[i & 1023] = (len(found), str(i))
    return time.process_time() - start


@contextmanager
def limited(seconds: float, what: object = "") -> Iterator[None]:
    """The block takes at most so many seconds of processor time on the nominal machine, else AssertionError."""
    start = time.process_time()
    yield
    took = time.process_time() - start
    if took > seconds:  # measured beside the block, since a machine's speed changes
        slower = max(1.0, max(_reference() for _ in range(3)) / _NOMINAL)
        assert took < seconds * slower, (what, took, slower)
