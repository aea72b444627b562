"""Attributes as a vector: numbers are standardised, words are one-hot."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from ..pictures import Pictures
from .entry import Value
from .natural import natural

WORDS = 64  # different ones that an attribute may have before it is taken for a name, and left out


@dataclass(frozen=True)
class Column:
    """One entry of the vector."""

    attribute: str
    word: str | None = None  # 1 where the attribute is this word, 0 where it is another; None: a number
    mean: float = 0.0
    scale: float = 1.0  # the number's standard deviation

    @property
    def name(self) -> str:
        return self.attribute if self.word is None else f"{self.attribute}={self.word}"

    def entry(self, value: Value) -> float:
        """What stands in the vector for a value."""
        if self.word is not None:
            return float(value == self.word)
        assert isinstance(value, float)
        return (value - self.mean) / self.scale


def columns(known: Sequence[Mapping[str, Value]]) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The vector's entries for pictures of which this is known, and what is to be said about it.

    Means and deviations are those of `known`: give the pictures that are trained on.
    """
    found: list[Column] = []
    notes: list[str] = []
    for attribute in dict.fromkeys(a for one in known for a in one):
        values = [one[attribute] for one in known if attribute in one]
        numbers = [v for v in values if isinstance(v, float)]
        words = sorted({v for v in values if isinstance(v, str)}, key=natural)
        if len(words) > WORDS:
            notes.append(f"attribute {attribute}, left out: it has {len(words)} different words, {WORDS} at most")
        elif words:
            found += [Column(attribute, word) for word in words]
        else:
            mean = math.fsum(numbers) / len(numbers)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in numbers) / len(numbers))
            found.append(Column(attribute, None, mean, deviation or 1.0))
    return tuple(found), tuple(notes)


def vectors(columns: Sequence[Column], known: Sequence[Mapping[str, Value]]) -> Float32[np.ndarray, "n d"]:
    """A row a picture. What is missing is 0, the mean; a row of which nothing is known is all NaN, which is null."""
    rows = np.zeros((len(known), len(columns)), np.float32)
    attributes = {c.attribute for c in columns}
    for row, one in zip(rows, known, strict=True):
        if not attributes & one.keys():
            row[:] = np.nan
            continue
        for i, column in enumerate(columns):
            if column.attribute in one:
                row[i] = column.entry(one[column.attribute])
    return rows


def with_units(pictures: Pictures, columns: Sequence[Column]) -> Pictures:
    """Pictures whose attributes are these, with the units of each."""
    return replace(
        pictures,
        attributes=tuple(c.name for c in columns),
        means=tuple(c.mean for c in columns),
        scales=tuple(c.scale for c in columns),
    )
