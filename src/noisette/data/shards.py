"""Sources that come in shards, files that hold many pictures with their labels: what tars and Parquet files share."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .entry import Entry, Source
from .listing import is_listed
from .metadata import NAME_COLUMN, parse_metadata

SHARD_SUFFIXES = (".tar", ".parquet")


@dataclass(frozen=True)
class Sample:
    """One picture of a shard, not read yet."""

    name: str
    read: Callable[[], bytes]  # raises BadPicture or OSError
    record: Mapping[str, Any] = field(default_factory=dict)  # label, text or caption, attributes: values of JSON


def find_shards(folder: Path) -> list[Path]:
    """The tars or Parquet files of a folder, or of the folder "data" in it; none if it holds pictures beside them."""
    if not folder.is_dir() or any(is_listed(path.name) for path in folder.iterdir()):
        return []
    for place in (folder, folder / "data"):
        for suffix in SHARD_SUFFIXES:
            if found := sorted(path for path in place.glob(f"*{suffix}") if path.is_file()):
                return found
    return []


def make_shard_source(location: str, kind: str, samples: Sequence[Sample], notes: Sequence[str]) -> Source:
    """A source of samples; their records are read as rows of a metadata.jsonl are."""
    if not samples:
        raise InputError(f"{location} holds no pictures{f' ({notes[0]})' if notes else ''}: give other shards")
    numbers: dict[str, int] = {}
    unique = [s for i, s in enumerate(samples) if numbers.setdefault(s.name, i) == i]
    if len(unique) < len(samples):
        notes = [*notes, f"pictures with the name of an earlier one, left out: {len(samples) - len(unique)}"]
    if not any(sample.record for sample in unique):
        return Source(location, kind, tuple(Entry(s.name, s.read) for s in unique), tuple(notes))
    lines = (json.dumps({**sample.record, NAME_COLUMN: str(i)}) for i, sample in enumerate(unique))
    metadata = parse_metadata("\n".join(lines).encode(), "metadata.jsonl", location)
    entries = tuple(
        Entry(s.name, s.read, row.label, row.attributes, row.text, credits=row.credits)
        for s, row in zip(unique, metadata.rows, strict=True)
    )
    names = [note.replace(f"metadata.jsonl of {location}", location) for note in metadata.notes]
    return Source(location, kind, entries, (*notes, *names))
