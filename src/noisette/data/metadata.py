"""metadata.jsonl and metadata.csv, as Hugging Face's imagefolder has them: file_name, and what is known of it."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .entry import Value

METADATA = ("metadata.jsonl", "metadata.csv")
NAME, LABEL, TEXT = "file_name", "label", "text"


@dataclass(frozen=True)
class Row:
    """What is known of one file."""

    file: str  # from the folder that holds the table, with forward slashes
    label: str | None
    text: str | None
    attributes: Mapping[str, Value]


def rows(data: bytes, name: str, given: str) -> tuple[Row, ...]:
    """Read a table, in its order. `name` says in which of the two formats; `given` is the source, for messages."""
    where = f"{name} of {given}"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    records = _jsonl(text, where) if name.endswith(".jsonl") else _csv(text, where)
    if not records:
        raise InputError(f"{where} has no rows: give one a picture, with its {NAME}")
    columns = list(dict.fromkeys(c for r in records for c in r if c not in (NAME, LABEL, TEXT)))
    kinds = {c: _numeric([r.get(c) for r in records]) for c in columns}
    out, seen = [], set()
    for number, record in enumerate(records, 1):
        file = record.get(NAME)
        if not isinstance(file, str) or not file.strip():
            raise InputError(f"row {number} of {where} has no {NAME}: each row names its picture there")
        file = printable(file.strip()).replace("\\", "/").removeprefix("./")
        if file in seen:
            raise InputError(f"{where} names {file} twice: keep one row a picture")
        seen.add(file)
        values = {c: _value(record.get(c), kinds[c], f"{c} in row {number} of {where}") for c in columns}
        known = {printable(c): v for c, v in values.items() if v is not None}
        out.append(Row(file, _word(record.get(LABEL), LABEL, where), _word(record.get(TEXT), TEXT, where), known))
    return tuple(out)


def _jsonl(text: str, where: str) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number} of {where} is not JSON: each line is one object in braces") from error
        if not isinstance(record, dict):
            raise InputError(f'line {number} of {where} is not an object: write {{"{NAME}": …}}')
        records.append(record)
    return records


def _csv(text: str, where: str) -> list[dict[str, Any]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [c.strip() for c in reader.fieldnames or []]
        if NAME not in header:
            raise InputError(f"the first line of {where} names no column {NAME}: it has {', '.join(header) or 'none'}")
        if len(set(header)) < len(header):
            raise InputError(f"the first line of {where} names a column twice: give each its own name")
        reader.fieldnames = header
        records = list(reader)
    except csv.Error as error:
        raise InputError(f"{where} is not a table that can be read: {error}") from error
    for number, record in enumerate(records, 1):
        if None in record or None in record.values():
            raise InputError(f"row {number} of {where} has not {len(header)} cells as the first line has")
    return [{k: (v.strip() or None) for k, v in r.items()} for r in records]


def _numeric(values: list[Any]) -> bool:
    """Whether a column holds numbers throughout: in CSV, words that all read as numbers."""
    present = [v for v in values if v is not None]
    return bool(present) and all(not isinstance(v, bool) and _number(v) is not None for v in present)


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _value(value: Any, numeric: bool, where: str) -> Value | None:
    if value is None:
        return None
    if numeric:
        number = _number(value)
        return number if number is not None and math.isfinite(number) else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return printable(str(value).strip()) or None
    raise InputError(f"{where} is a {type(value).__name__}: an attribute is a number, a word, or true or false")


def _word(value: Any, column: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | str):
        return printable(str(value).strip()) or None
    raise InputError(f"a {column} in {where} is {json.dumps(value)[:40]}: a {column} is a word or a whole number")


def printable(text: str) -> str:
    """Without what UTF-8 cannot write: names of files, and JSON, may hold halves of characters."""
    return text.encode("utf-8", "backslashreplace").decode()
