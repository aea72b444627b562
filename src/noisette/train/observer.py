"""Who looks at a run along the way. The loop tells observers how far it has come; each has a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Found = dict[str, Any]  # what the journal and the watcher are told


@dataclass(frozen=True)
class Moment:
    """Between two steps."""

    images: int  # seen
    before: float  # progress before the last step; below 0: nothing has been trained yet
    after: float  # progress now

    def passed(self, marks: Sequence[float]) -> bool:
        """Whether the last step brought the run to one of these points of progress, or past it."""
        return any(self.before < mark <= self.after for mark in marks)


FIRST = Moment(0, -1.0, 0.0)


@runtime_checkable
class Observer(Protocol):
    """Looks at the averaged weights when it is due, and changes nothing of the run: its noise is its own."""

    @property
    def cost(self) -> float:
        """Seconds that it takes at the end of the run, as far as is known."""
        ...

    def __call__(self, moment: Moment) -> Found:
        """What it found; nothing, if it did not look."""
        ...
