"""What a tool answers: facts for programs, and pictures for those who look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SHOWN = 16  # pictures that are sent with an answer; all are written


@dataclass(frozen=True)
class Answer:
    """`facts` is JSON; `pictures` are PNG files that were written."""

    facts: Mapping[str, Any]
    pictures: Sequence[Path] = ()


def plan(files: Sequence[str], seconds: float, **facts: Any) -> Answer:
    """The answer of a dry run: what would be written, and about how long that takes on this machine."""
    return Answer({"dry_run": True, "seconds": round(seconds, 2), "files": list(files)} | facts)
