"""What a run tells those who watch it, and how it may end early."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError


class Diverged(InputError):
    """The loss is no longer a number."""


class Interrupted(Exception):
    """A signal asked the run to stop; it has been saved. `signal` is its number."""

    def __init__(self, signal: int, run: Path) -> None:
        super().__init__(f"stopped; the same command goes on with {run}")
        self.signal = signal


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every step."""

    images: int
    total: int
    seconds: float  # of the run's own clock, earlier sittings included
    rate: float  # images a second
    loss: float
    fixed: Mapping[str, float] | None = None  # the held-out loss by noise level, where it was just taken
    notes: tuple[str, ...] = ()  # what is worth saying in words: a checkpoint that was passed over, and why
    checkup: Mapping[str, Any] | None = None  # KID, copies and colours of a few samples, where they were just taken

    @property
    def left(self) -> float:
        """Seconds to go."""
        return (self.total - self.images) / max(self.rate, 1e-9)
