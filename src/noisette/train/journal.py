"""What a run writes down: metrics.jsonl always, and the trackers that were asked for."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import atomic_write, explained
from .observer import Moment, Observer

Row = Mapping[str, object]


class Journal:
    """Rows of metrics.jsonl, one JSON object a line, in the order of the images seen."""

    def __init__(self, path: Path, images: int, also: Callable[[Row], None] = lambda row: None) -> None:
        """Open a run's journal where it is resumed: rows that lie after `images` were not saved with it, and go."""
        self.path, self.also = path, also
        kept = [line for line in lines(path) if json.loads(line)["images"] <= images] if images else []
        atomic_write(path, "".join(f"{line}\n" for line in kept).encode())

    def write(self, row: Row) -> None:
        with explained(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.also(row)


def lines(path: Path) -> list[str]:
    """The whole lines of a journal: one that a crash left half-written is passed over."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            json.loads(line)
        except ValueError:
            continue
        found.append(line)
    return found


class Record:
    """The journal, and the observers whose findings go into it. Only the main process has one."""

    def __init__(self, journal: Journal, observers: Sequence[Observer]) -> None:
        self.journal, self.observers = journal, observers

    @property
    def cost(self) -> float:
        """Seconds that the observers take at the end of the run, as far as is known."""
        return sum(observer.cost for observer in self.observers)

    def along(self, moment: Moment) -> dict[str, Any]:
        """Let each observer look; what they found, a row of the journal each."""
        every: dict[str, Any] = {}
        for observer in self.observers:
            if found := observer(moment):
                self.journal.write({"images": moment.images} | found)
                every |= found
        return every
