"""How long a run has taken, interruptions left out, and how fast it is now."""

import time
from collections import deque

PACE_SHARE = 0.2  # of a time limit, over which its speed is measured: evaluations and checkpoints are spread evenly


class RunClock:
    """Counts from `start_time`, a `time.monotonic()`."""

    def __init__(self, start_time: float) -> None:
        self.start_time = start_time
        self.before = 0.0  # seconds that the run took before it was resumed
        self.marks = deque[tuple[int, float]]()  # training images seen and seconds then, the latest last

    def elapsed(self) -> float:
        """Seconds that the run has taken, time before a resumption included."""
        return self.before + time.monotonic() - self.start_time

    def pace(self, images: int, seconds: float) -> tuple[int, float]:
        """Images and seconds at a moment some time ago, to measure the speed since; `images` are those seen now.

        `seconds`: the time limit. The first call since the start or a resumption marks the beginning.
        """
        now = self.elapsed()
        self.marks.append((images, now))
        while len(self.marks) > 2 and self.marks[1][1] < now - PACE_SHARE * seconds:
            self.marks.popleft()
        return self.marks[0]
