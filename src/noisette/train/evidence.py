"""What a run folder tells, and what a fault is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..data.manifest import Manifest

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """One thing that went wrong."""

    name: str
    figure: str  # what was measured
    advice: str


@dataclass(frozen=True)
class Evidence:
    """What a run folder tells."""

    plan: dict[str, Any]  # of config.json
    rows: Rows  # of metrics.jsonl
    data: Manifest | None

    def of(self, name: str) -> Rows:
        """The rows that tell of this."""
        return [row for row in self.rows if row.get(name) is not None]

    @property
    def training(self) -> dict[str, Any]:
        found = self.plan.get("recipe", {}).get("training", {})
        return found if isinstance(found, dict) else {}

    @property
    def pictures(self) -> int:
        """Different pictures that were trained on; 0 where that is not known."""
        return 0 if self.data is None else len({f.row for f in self.data.files if f.split == "train"})


def many(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
