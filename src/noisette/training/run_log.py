"""What a run folder records, and a problem that is diagnosed from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.manifest import Manifest
from ..io.json_types import parse_value
from ..models.config import Origin, from_json

MetricsRows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Problem:
    """Something that went wrong in a run."""

    name: str
    measurement: str  # the figure that shows it
    advice: str  # what to do about it


@dataclass(frozen=True)
class RunLog:
    """The records of a run folder."""

    plan: dict[str, Any]  # "plan" of config.json
    rows: MetricsRows  # of metrics.jsonl, as io.metrics_log.read_metrics returns them
    data: Manifest | None  # data.json, if there is one

    def rows_with(self, key: str) -> MetricsRows:
        """The rows that have this key."""
        return [row for row in self.rows if row.get(key) is not None]

    @property
    def training_config(self) -> dict[str, Any]:
        """The recipe's `training` part, as JSON; {} if it is missing."""
        training = self.plan.get("recipe", {}).get("training", {})
        return training if isinstance(training, dict) else {}

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The models that the run started from, the nearest first."""
        return read_origins(self.plan)

    @property
    def training_picture_count(self) -> int:
        """Number of distinct training pictures; 0 if it is not known."""
        return 0 if self.data is None else len({f.row for f in self.data.files if f.split == "train"})


def read_origins(plan: Mapping[str, Any]) -> tuple[Origin, ...]:
    """The models that a run with this plan started from; raises InputError where the plan is damaged."""
    path = "plan.recipe.model.origins"
    found = parse_value(tuple[Any, ...], plan.get("recipe", {}).get("model", {}).get("origins", []), path)
    return tuple(from_json(Origin, one, path) for one in found)


def pluralize(n: int, what: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{n} {what}" + ("" if n == 1 else "s")
