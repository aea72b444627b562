"""Attributes as a condition vector: numbers are standardized, words are one-hot."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from .entry import AttributeValue, natural_sort_key
from .pictures import Pictures

MAX_CATEGORIES = 64  # an attribute with more different words is left out: it is likely an identifier
MAX_COLUMNS = 1024  # entries of the condition vector; attributes beyond are left out
ESCAPED_EQUALS = "\\="  # "=" in an attribute's name, in the name of an entry


@dataclass(frozen=True)
class AttributeColumn:
    """One entry of the condition vector. Stored in data.json."""

    attribute: str
    word: str | None = None  # one-hot entry: 1 where the attribute equals this word; None: the attribute is a number
    mean: float = 0.0  # of the training pictures, in the attribute's unit
    scale: float = 1.0  # standard deviation of the training pictures, in the attribute's unit

    @property
    def name(self) -> str:
        """The attribute's name, or "attribute=word" for a one-hot entry; "=" in an attribute's name is escaped."""
        attribute = self.attribute.replace("=", ESCAPED_EQUALS)
        return attribute if self.word is None else f"{attribute}={self.word}"

    def encode(self, value: AttributeValue) -> float:
        """The vector's entry for a value: 0 or 1 for a word, (value - mean) / scale for a number."""
        if self.word is not None:
            return float(value == self.word)
        assert isinstance(value, float)
        return (value - self.mean) / self.scale


def build_columns(
    records: Iterable[Mapping[str, AttributeValue]],
) -> tuple[tuple[AttributeColumn, ...], tuple[str, ...]]:
    """The vector's entries for these attributes (one mapping per picture), and notes about attributes left out.

    Means and standard deviations are those of `records`, so pass the training pictures only.
    """
    columns: list[AttributeColumn] = []
    notes: list[str] = []
    by_attribute: dict[str, list[AttributeValue]] = {}
    for record in records:
        for attribute, value in record.items():
            by_attribute.setdefault(attribute, []).append(value)
    beyond = 0
    for attribute, values in by_attribute.items():
        words = sorted({v for v in values if isinstance(v, str)}, key=natural_sort_key)
        if len(words) > MAX_CATEGORIES:
            notes.append(
                f"attribute {attribute}, left out: it has {len(words)} different words, the maximum is {MAX_CATEGORIES}"
            )
        elif len(columns) + max(1, len(words)) > MAX_COLUMNS:
            beyond += 1
        elif words:
            columns += [AttributeColumn(attribute, word) for word in words]
        else:
            columns.append(_standardize(attribute, [v for v in values if isinstance(v, float)]))
    if beyond:
        notes.append(f"attributes left out: {beyond}, beyond {MAX_COLUMNS} words and numbers together")
    return tuple(columns), tuple(notes)


def _standardize(attribute: str, numbers: Sequence[float]) -> AttributeColumn:
    mean = math.fsum(numbers) / len(numbers)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in numbers) / len(numbers))
    return AttributeColumn(attribute, None, mean, deviation or 1.0)


def split_entry_name(name: str) -> tuple[str, str | None]:
    """The attribute and the word of an entry of the condition vector, by its name; word None: a number."""
    attribute, equals, word = re.sub(r"(?<!\\)=", "\0", name, count=1).partition("\0")
    return attribute.replace(ESCAPED_EQUALS, "="), word if equals else None


def encode_attributes(
    columns: Sequence[AttributeColumn], records: Sequence[Mapping[str, AttributeValue]]
) -> Float32[np.ndarray, "n d"]:
    """One row per picture. A missing attribute is 0, the mean; a row without any attribute is NaN: unconditional."""
    rows = np.zeros((len(records), len(columns)), np.float32)
    entries: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        entries.setdefault(column.attribute, []).append(i)
    for row, record in zip(rows, records, strict=True):
        known = [name for name in record if name in entries]
        if not known:
            row[:] = np.nan
        for name in known:
            for i in entries[name]:
                row[i] = columns[i].encode(record[name])
    return rows


def with_attributes(pictures: Pictures, columns: Sequence[AttributeColumn]) -> Pictures:
    """`pictures` with the names, means and scales of these columns."""
    return replace(
        pictures,
        attributes=tuple(c.name for c in columns),
        means=tuple(c.mean for c in columns),
        scales=tuple(c.scale for c in columns),
    )
