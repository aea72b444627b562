"""Time steps with several numbers of threads in turn, and leave out at once those that are clearly slower.

Beside another program, a step on all threads can take ten times as long as one on a single thread, since the threads
wait for each other hundreds of times a step. A trial that took several such steps would fill a short run.
"""

from collections.abc import Iterable
from statistics import median

SLOWER_ONCE = 3.0  # times the best median: a number of threads whose only step takes longer is out
SLOWER = 1.5  # the same for the shortest of several steps
MIN_GAIN = 1.05  # times faster that fewer threads must be than all


class ThreadTrial:
    """The seconds of the steps taken with each number of threads, and which numbers are still worth trying."""

    def __init__(self, counts: Iterable[int]) -> None:
        """`counts`: the numbers of threads, in the order in which they are tried."""
        self.times: dict[int, list[float]] = {count: [] for count in counts}
        self.candidates = list(self.times)

    def next_count(self) -> int:
        """The number of threads for the next step: of the candidates, the one with the fewest steps so far."""
        return min(self.candidates, key=lambda count: len(self.times[count]))

    def add(self, count: int, seconds: float) -> None:
        """Note a step on `count` threads."""
        self.times[count].append(seconds)
        best = min(self.medians().values())
        self.candidates = [count for count in self.candidates if not _is_slower(self.times[count], best)]

    def is_complete(self, min_steps: int, min_seconds: float = 0.0, max_steps: int = 1) -> bool:
        """Whether all but one are out, or each left has had `min_steps`, and `min_seconds` or `max_steps` of them."""
        return len(self.candidates) == 1 < len(self.times) or all(
            len(times) >= min_steps and (sum(times) >= min_seconds or len(times) >= max_steps)
            for times in (self.times[count] for count in self.candidates)
        )

    def medians(self) -> dict[int, float]:
        """Median seconds of a step, by number of threads, of all that have had a step."""
        return {count: median(times) for count, times in self.times.items() if times}

    def fastest(self) -> int:
        """The number of threads with the shortest steps; all threads, where fewer are not faster by MIN_GAIN."""
        seconds, every = self.medians(), max(self.times)
        return min(self.candidates, key=lambda count: seconds[count] * (1.0 if count == every else MIN_GAIN))


def _is_slower(times: list[float], best: float) -> bool:
    return bool(times) and min(times) > (SLOWER_ONCE if len(times) == 1 else SLOWER) * best
