"""Sources that are Parquet files as the Hugging Face hub stores sets of pictures.

A column `image` holds the bytes of each picture's file; a column of the type ClassLabel holds numbers, whose names are
in the metadata of the schema. Row groups are read when a picture of them is, one at a time. Needs pyarrow (the extra
`parquet`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError, first_line
from .entry import DEFAULT_LIMITS, BadPicture, Limits, Source
from .rejection import too_large_message
from .shards import Sample, make_shard_source

IMAGE_COLUMNS = ("image", "img", "picture")  # the first that a file has
MAX_GROUP_BYTES = 2**30  # of the pictures of a row group, unpacked: it is in memory as a whole
MAX_SCHEMA_BYTES = 2**22  # of the description of the columns
FEATURES = b"huggingface"  # key of the schema's metadata


def from_parquet(location: str, paths: list[Path], limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open the pictures of one or several Parquet files: labels, texts and attributes are the other columns.

    Raises InputError if pyarrow is missing, if a file cannot be read, or if it has no column of pictures.
    """
    if find_spec("pyarrow") is None:
        raise InputError("Parquet files need pyarrow, which is not installed: pip install 'noisette[parquet]'")
    samples: list[Sample] = []
    for path in paths:
        try:
            samples += _read_file(path, limits, f"{path.stem}/" if len(paths) > 1 else "")
        except InputError:
            raise
        except Exception as error:  # pyarrow raises its own types, and those of Python
            raise InputError(f"{path} cannot be read as Parquet: {first_line(error)}") from error
        if len(samples) > limits.max_entries:
            raise InputError(f"{location} holds more than {limits.max_entries:,} pictures, the maximum: give fewer")
    return make_shard_source(location, "parquet", samples, [])


@dataclass
class _Groups:
    """The pictures of a Parquet file, by row group; the last group that was read is kept."""

    path: Path
    column: str
    kept: dict[int, Any] = field(default_factory=dict)

    def read(self, group: int, row: int, limits: Limits) -> bytes:
        """The bytes of the picture in a row of a group. Raises BadPicture."""
        import pyarrow.parquet as pq

        try:
            if group not in self.kept:
                with pq.ParquetFile(self.path) as file:
                    table = file.read_row_group(group, columns=[self.column])
                self.kept = {group: table.column(self.column)}
            value = self.kept[group][row].as_py()
        except Exception as error:
            raise BadPicture("is damaged in the Parquet file") from error
        data = value.get("bytes") if isinstance(value, Mapping) else value
        if not isinstance(data, bytes):
            raise BadPicture("is not stored in the Parquet file, only its name is: store its bytes")
        if len(data) > limits.max_file_bytes:
            raise BadPicture(too_large_message(len(data), limits))
        return data


def _read_file(path: Path, limits: Limits, prefix: str) -> Iterator[Sample]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        column = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
        if column is None:
            raise InputError(f"{path} has no column image, only {', '.join(schema.names[:8]) or 'none'}: rename one")
        if metadata.num_rows > limits.max_entries:
            raise InputError(f"{path} holds more than {limits.max_entries:,} pictures, the maximum: give fewer")
        names = _class_names(schema.metadata or {})
        others = [name for name in schema.names if name != column and _is_plain(schema.field(name).type)]
        groups, number = _Groups(path, column), 0
        for group in range(metadata.num_row_groups):
            size = metadata.row_group(group).total_byte_size
            if size > MAX_GROUP_BYTES:
                raise InputError(
                    f"{path} has a row group of {size / 2**20:,.0f} MiB, the maximum is "
                    f"{MAX_GROUP_BYTES / 2**20:,.0f}: write it again with smaller row groups"
                )
            table = file.read_row_group(group, columns=others) if others else None
            for row in range(metadata.row_group(group).num_rows):
                record = {} if table is None else {name: table.column(name)[row].as_py() for name in others}
                record = {name: _name(value, names.get(name)) for name, value in record.items()}
                yield Sample(f"{prefix}{number:06d}", partial(groups.read, group, row, limits), record)
                number += 1


def _is_plain(type: Any) -> bool:
    """Whether a column holds texts or numbers."""
    import pyarrow.types as kinds

    tests = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_string, kinds.is_large_string)
    return any(test(type) for test in tests)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of the classes of each column of the type ClassLabel."""
    text = metadata.get(FEATURES, b"{}")
    try:
        features = json.loads(text)["info"]["features"] if len(text) <= MAX_SCHEMA_BYTES else {}
        found = {name: f["names"] for name, f in features.items() if f.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        name: names
        for name, names in found.items()
        if isinstance(names, list) and all(isinstance(n, str) for n in names)
    }


def _name(value: object, names: list[str] | None) -> object:
    """A number of a class as its name; -1 is no class."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
