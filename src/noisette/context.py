"""What people ask for by name, as the numbers that a network is told.

A label is a name, or several with weights: "potion", "potion:0.5,weapon:0.5". An attribute is a name and a value: a
number, in the units of its data, or a word. What is not asked for is the mean; where nothing is asked, all is null.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .errors import InputError, nearest
from .pictures import Pictures

Label = str | Mapping[str, float]
Value = float | str
Attributes = Mapping[str, Value]


def label_weights(label: Label, labels: Sequence[str]) -> dict[str, float]:
    """The weights of a mixture of labels; they sum to one. A name alone is a mixture of one."""
    if isinstance(label, str):
        if label in labels:
            return {label: 1.0}
        if ":" not in label:
            raise InputError(f"no label is called {label!r}{nearest(label, labels)}")
        label = _weighted(label)
    for name, weight in label.items():
        if name not in labels:
            raise InputError(f"no label is called {name!r}{nearest(name, labels)}")
        if not (weight >= 0 and math.isfinite(weight)):
            raise InputError(f"the label {name!r} weighs {weight:g}: a weight is 0 or more")
    total = sum(label.values())
    if not total > 0:
        raise InputError("a mixture of labels that weigh nothing is none: give weights above 0")
    return {name: weight / total for name, weight in label.items() if weight}


def _weighted(text: str) -> dict[str, float]:
    """potion:0.5,weapon:0.5"""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.rpartition(":")
        try:
            found[name.strip()] = float(weight)
        except ValueError as error:
            raise InputError(f"{text!r} is no mixture of labels: write it like potion:0.5,weapon:0.5") from error
        if not colon:
            raise InputError(f"{part!r} has no weight in {text!r}: write it like potion:0.5,weapon:0.5")
    return found


def label_rows(asked: Sequence[Label | None], labels: Sequence[str]) -> Int[Tensor, "b"] | Float[Tensor, "b classes"]:
    """A class number an image, -1 for None; or, where one of them is a mixture, a row of weights, NaN for None."""
    mixed = [None if one is None else label_weights(one, labels) for one in asked]
    numbers = {name: i for i, name in enumerate(labels)}
    if all(one is None or len(one) == 1 for one in mixed):
        return torch.tensor([-1 if one is None else numbers[next(iter(one))] for one in mixed], dtype=torch.int64)
    rows = torch.zeros(len(mixed), len(labels))
    for row, one in zip(rows, mixed, strict=True):
        if one is None:
            row[:] = torch.nan
        else:
            row[[numbers[name] for name in one]] = torch.tensor(list(one.values()))
    return rows


def parsed(texts: Sequence[str]) -> dict[str, Value]:
    """Attributes written as hue=0.3 and shape=round."""
    found: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputError(f"{text!r} is no attribute: write it like hue=0.3 or shape=round")
        if name.strip() in found:
            raise InputError(f"the attribute {name.strip()!r} is given twice: give it one value")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found


def vector_row(asked: Attributes | None, pictures: Pictures) -> Float[Tensor, "d"]:
    """The entries of the condition's vector for one image; all NaN where nothing is asked."""
    row = torch.zeros(len(pictures.attributes))
    if not asked:
        return row.fill_(torch.nan)
    words, numbers = _words(pictures), _numbers(pictures)
    for name, value in asked.items():
        if name in words:
            row[words[name][_word(name, value, words[name])]] = 1.0
        elif name in numbers:
            row[numbers[name]] = _standardised(name, value, numbers[name], pictures)
        else:
            raise InputError(f"no attribute is called {name!r}{nearest(name, [*words, *numbers])}")
    return row


def attribute_names(pictures: Pictures) -> dict[str, tuple[str, ...]]:
    """The attributes that can be asked for, and the words of each; none for one that is a number."""
    return {n: tuple(w) for n, w in _words(pictures).items()} | dict.fromkeys(_numbers(pictures), ())


def _words(pictures: Pictures) -> dict[str, dict[str, int]]:
    """attribute → word → entry."""
    found: dict[str, dict[str, int]] = {}
    for i, name in enumerate(pictures.attributes):
        attribute, equals, word = name.partition("=")
        if equals:
            found.setdefault(attribute, {})[word] = i
    return found


def _numbers(pictures: Pictures) -> dict[str, int]:
    """attribute → entry."""
    return {name: i for i, name in enumerate(pictures.attributes) if "=" not in name}


def _word(name: str, value: Value, words: Mapping[str, int]) -> str:
    """A value as one of an attribute's words: numbers may be words, too."""
    said = [value] if isinstance(value, str) else [str(value), f"{value:g}"]
    for one in said:
        if one in words:
            return one
    raise InputError(f"the attribute {name!r} is never {said[-1]!r}{nearest(said[-1], words)}")


LARGEST = 1e30  # that single precision holds, whatever the unit


def _standardised(name: str, value: Value, entry: int, pictures: Pictures) -> float:
    if isinstance(value, str) or not abs(value) < LARGEST:  # which NaN is not either
        raise InputError(f"the attribute {name!r} is a number, not {value!r}")
    if not pictures.scales:
        raise InputError(
            f"this model was trained before the units of {name!r} were kept with it: train it anew, "
            "or ask for words alone"
        )
    return (value - pictures.means[entry]) / pictures.scales[entry]
