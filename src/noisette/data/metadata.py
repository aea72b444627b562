"""metadata.jsonl and metadata.csv in the format of Hugging Face's imagefolder: labels, texts and attributes."""

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from .csv_table import decode_text, parse_csv
from .entry import AttributeValue, normalize_name

METADATA_FILES = ("metadata.jsonl", "metadata.csv")
NAME_COLUMN, LABEL_COLUMN, TEXT_COLUMN = "file_name", "label", "text"
NAME_COLUMNS = (NAME_COLUMN, "filename", "file", "path", "image", "image_path")  # the first that a table has
TEXT_COLUMNS = (TEXT_COLUMN, "caption")
CREDIT_COLUMNS = {  # column → what it says about where a picture is from; kept for `noisette provenance`
    "license": "license", "licence": "license", "author": "author", "artist": "author", "source": "source",
}  # fmt: skip
ROW_NUMBER = re.compile(
    r"index|idx|id|row|nr|no|#|level_\d+|unnamed.*", re.I
)  # names of columns that may number the rows
MAX_NUMBER = 1e30  # of an attribute; single precision holds it in any unit


@dataclass(frozen=True)
class MetadataRow:
    """The metadata of one file."""

    file: str  # relative to the folder of the metadata file, with forward slashes
    label: str | None
    text: str | None
    attributes: Mapping[str, AttributeValue]
    credits: Mapping[str, str] = field(default_factory=dict)  # license, author, source


@dataclass(frozen=True)
class Metadata:
    """The rows of a metadata file."""

    rows: tuple[MetadataRow, ...]
    notes: tuple[str, ...] = ()  # for the user: how it was read, what was left out


def parse_metadata(data: bytes, name: str, location: str) -> Metadata:
    """Parse a metadata file. `name` ends in a name of METADATA_FILES; `location` is the source, for messages.

    A column whose values are all numbers gives numeric attributes, any other column gives words; columns of lists and
    objects are left out. The columns of CREDIT_COLUMNS are no attributes. Raises InputError if the file cannot be read
    as text, JSON or CSV, or if a row has no file name or one that occurred before.
    """
    where = f"{name} of {location}"
    text, notes = decode_text(data, where)
    if name.endswith(".jsonl"):
        records: Sequence[Mapping[str, Any]] = _parse_jsonl(text, where)
    else:
        records, csv_notes = parse_csv(text, NAME_COLUMNS, where)
        notes += csv_notes
    if not records:
        raise InputError(f"{where} has no rows: write one row per picture, with its {NAME_COLUMN}")
    columns = list(dict.fromkeys(c for r in records for c in r))
    name_column = next((c for c in NAME_COLUMNS if c in columns), NAME_COLUMN)
    text_column = next((c for c in TEXT_COLUMNS if c in columns), TEXT_COLUMN)
    notes += [
        f"{kind} are those of the column {column} of {where}"
        for kind, column, default in (
            ("file names", name_column, NAME_COLUMN),
            ("texts", text_column, TEXT_COLUMN),
        )
        if column != default
    ]
    credit_columns = {c: CREDIT_COLUMNS[c.strip().lower()] for c in columns if c.strip().lower() in CREDIT_COLUMNS}
    if credit_columns:
        notes.append(f"columns of {where} that are kept for noisette provenance: {', '.join(credit_columns)}")
    kinds, kind_notes = _classify_columns(records, {name_column, LABEL_COLUMN, text_column, *credit_columns}, where)
    rows: dict[str, MetadataRow] = {}
    for number, record in enumerate(records, 1):
        file = _parse_file_name(record.get(name_column), number, where)
        if file in rows:
            raise InputError(f"{where} names {file} twice: keep one row per picture")
        values = {normalize_name(c.strip()): _parse_value(v, kinds[c]) for c, v in record.items() if c in kinds}
        rows[file] = MetadataRow(
            file,
            _parse_text(record.get(LABEL_COLUMN), LABEL_COLUMN, where),
            _parse_text(record.get(text_column), text_column, where),
            {c: v for c, v in values.items() if v is not None},
            {k: v for c, k in credit_columns.items() if (v := _parse_credit(record.get(c)))},
        )
    return Metadata(tuple(rows.values()), (*notes, *kind_notes))


def _parse_jsonl(text: str, where: str) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number} of {where} is not JSON: write one object in braces per line") from error
        if not isinstance(record, dict):
            raise InputError(f'line {number} of {where} is not an object: write {{"{NAME_COLUMN}": …}}')
        records.append(record)
    return records


def _parse_file_name(value: Any, number: int, where: str) -> str:
    """The path of a row's picture; in data sets exported from Parquet it is the "path" of an object."""
    if isinstance(value, dict):
        value = value.get("path")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"row {number} of {where} has no {NAME_COLUMN}: give the name of its picture")
    return normalize_name(value.strip()).replace("\\", "/").removeprefix("./")


def _classify_columns(
    records: Sequence[Mapping[str, Any]], others: set[str], where: str
) -> tuple[dict[str, bool], list[str]]:
    """The columns that are attributes, and whether each holds numbers; notes on columns that are left out."""
    is_numeric: dict[str, bool] = {}
    nested: dict[str, None] = {}
    too_large: dict[str, None] = {}
    for record in records:
        for column, value in record.items():
            if column in others or value is None:
                continue
            if isinstance(value, dict | list):
                nested[column] = None
            number = _to_number(value)
            is_numeric[column] = is_numeric.get(column, True) and number is not None
            if number is not None and abs(number) > MAX_NUMBER and math.isfinite(number):
                too_large[column] = None
    numbering = [c for c in is_numeric if is_numeric[c] and ROW_NUMBER.fullmatch(c) and _number_rows(records, c)]
    nameless = [c for c in is_numeric if not c.strip()]
    large = [c for c in too_large if is_numeric[c]]
    left_out = {*nested, *nameless, *large, *numbering}
    notes = [
        f"{problem} in {where}, left out: {', '.join(sorted(names))}"
        for problem, names in (
            ("columns of lists or objects", nested),
            ("columns that number the rows", numbering),
            (f"columns with numbers beyond {MAX_NUMBER:g}", large),
        )
        if names
    ]
    if nameless:
        notes.append(f"columns without a name in {where}, left out: {len(nameless)}")
    return {c: numeric for c, numeric in is_numeric.items() if c not in left_out}, notes


def _number_rows(records: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column counts the rows from 0 or 1, as the index of a table that was saved with it."""
    numbers = [_to_number(record.get(column)) for record in records]
    return any(numbers == list(range(start, start + len(records))) for start in (0, 1))


def _to_number(value: Any) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number beyond double precision
        return sys.float_info.max if int(value) > 0 else -sys.float_info.max
    except ValueError:
        return None


def _parse_value(value: Any, is_numeric: bool) -> AttributeValue | None:
    if value is None:
        return None
    if is_numeric:
        number = _to_number(value)
        return number if number is not None and math.isfinite(number) else None
    if isinstance(value, bool):
        return str(value).lower()
    return normalize_name(str(value).strip()) or None


def _parse_credit(value: Any) -> str:
    """Any value as text; empty for none."""
    return "" if value is None or isinstance(value, dict | list) else normalize_name(str(value).strip())


def _parse_text(value: Any, column: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # as pandas writes whole numbers beside missing ones
        value = int(value)
    if isinstance(value, int | str):
        return normalize_name(str(value).strip()) or None
    if isinstance(value, float) and math.isnan(value):
        return None
    raise InputError(f"a {column} in {where} is {json.dumps(value)[:40]}: a {column} must be a text or a whole number")
