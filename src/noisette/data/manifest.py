"""data.json: every file of a data set with its hash, what is known of it, and on which side of the split it is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..files import atomic_write, read_json
from ..pictures import Mode, Pictures
from .attributes import Column, with_units
from .entry import Entry, Source, Value
from .scan import Quarantined

SCHEMA = 1
Side = Literal["train", "held_out"]


@dataclass(frozen=True)
class Options:
    """What a data set was asked to be. None: chosen by what the pictures are."""

    size: tuple[int, int] | None = None  # height, width
    mode: Mode | None = None
    pixel_art: bool = False
    held_out: float = 0.1
    seed: int = 0
    masks: bool = False


@dataclass(frozen=True)
class File:
    """One file of a data set."""

    name: str
    sha256: str
    group: int  # of near duplicates
    split: Side
    row: int  # of the array of pixels
    label: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    text: str | None = None
    mask: str | None = None
    mask_sha256: str | None = None
    copy_of: str | None = None  # it shares the row of this one


@dataclass(frozen=True)
class Manifest:
    """What data.json holds."""

    source: str
    kind: str
    fingerprint: str  # of all that the source held
    options: Options
    pictures: Pictures
    sigma_data: float
    rows: int
    pixels_sha256: str
    columns: tuple[Column, ...]
    quarantined: tuple[Quarantined, ...]
    notes: tuple[str, ...]
    files: tuple[File, ...]
    masks_sha256: str | None = None
    mask_deviation: float | None = None  # of the masks in model space

    def write(self, path: Path) -> None:
        """One line a file, so that two data sets can be compared with ordinary tools."""
        head = {"schema": SCHEMA} | {f.name: getattr(self, f.name) for f in fields(self) if f.name != "files"}
        head |= {k: asdict(getattr(self, k)) for k in ("options", "pictures")}
        head |= {k: [asdict(v) for v in getattr(self, k)] for k in ("columns", "quarantined")}
        text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)
        lines = ",\n    ".join(json.dumps(_short(f), ensure_ascii=False, allow_nan=False) for f in self.files)
        atomic_write(path, f'{text[:-2]},\n  "files": [\n    {lines}\n  ]\n}}\n'.encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Raises InputError for a file that is absent, damaged, or of a newer version."""
        value = read_json(path)
        schema = value.get("schema") if isinstance(value, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise InputError(
                f"{path} was written by a newer version (schema {schema}, known is {SCHEMA}): update noisette"
            )
        try:
            if schema != SCHEMA:
                raise KeyError("schema")
            return cls._of({k: v for k, v in value.items() if k != "schema"})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} is not the description of a data set, or it is damaged: remove it and prepare the data anew"
            ) from error

    @classmethod
    def _of(cls, value: dict[str, Any]) -> "Manifest":
        options, pictures = dict(value["options"]), dict(value["pictures"])
        options["size"] = None if options["size"] is None else tuple(options["size"])
        pictures |= {k: tuple(v) for k, v in pictures.items() if isinstance(v, list)}
        columns = tuple(Column(**c) for c in value["columns"])  # older data sets have the units there alone
        parts = {
            "options": Options(**options),
            "pictures": with_units(Pictures(**pictures), columns),
            "columns": columns,
            "quarantined": tuple(Quarantined(**q) for q in value["quarantined"]),
            "notes": tuple(value["notes"]),
            "files": tuple(File(**f) for f in value["files"]),
        }
        return cls(**(value | parts))

    def differences(self, source: Source, hashes: Mapping[str, str | None], options: Options) -> list[str]:
        """In what a source and options are not those that this was made from, in words; [] if they are."""
        found = []
        chosen = Options((self.pictures.height, self.pictures.width), self.pictures.mode)
        for f in fields(Options):
            was, now = getattr(self.options, f.name), getattr(options, f.name)
            if now != was and not (f.name in ("size", "mode") and now == getattr(chosen, f.name)):
                found.append(f"{f.name.replace('_', ' ')} was {_in_words(was)} and is now {_in_words(now)}")
        if fingerprint(source, hashes) == self.fingerprint:
            return found
        before = {f.name: f.sha256 for f in self.files} | {q.name: q.sha256 for q in self.quarantined}
        before |= {f.mask: f.mask_sha256 for f in self.files if f.mask is not None}
        changed = [n for n in hashes if n in before and hashes[n] != before[n]]
        for what, names in (
            ("new", [n for n in hashes if n not in before]),
            ("gone", [n for n in before if n not in hashes]),
            ("changed", changed),
        ):
            if names:
                found.append(f"{len(names)} {what} ({names[0]}{', …' if len(names) > 1 else ''})")
        return found or ["labels, attributes or texts are others"]


def fingerprint(source: Source, hashes: Mapping[str, str | None]) -> str:
    """A hash of all that a source holds: names, files, and what is said of them."""
    lines = (
        json.dumps([e.name, hashes[e.name], e.label, dict(e.attributes), e.text, *_of_mask(e, hashes)])
        for e in source.entries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _of_mask(entry: Entry, hashes: Mapping[str, str | None]) -> tuple[str | None, ...]:
    return () if entry.mask is None else (entry.mask.name, hashes.get(entry.mask.name))


def _short(file: File) -> dict[str, object]:
    """Without what is not known."""
    always = [f.name for f in fields(File) if f.default is MISSING and f.default_factory is MISSING]
    values = {f.name: getattr(file, f.name) for f in fields(File)}
    return {name: value for name, value in values.items() if value or name in always}


def _in_words(value: object) -> str:
    if value is None:
        return "not given"
    return f"{value[1]}×{value[0]}" if isinstance(value, tuple) else str(value)
