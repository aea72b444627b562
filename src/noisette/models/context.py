"""Labels and attributes by name, as the numbers that a network receives.

A label is a name, or several with weights: "potion", "potion:0.5,weapon:0.5". An attribute is a name and a value: a
number in the units of its data, or a word. A missing attribute takes its mean; without any attribute, all are null.
"""

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..data.attributes import split_entry_name
from ..data.entry import normalize_name
from ..data.pictures import Pictures
from ..errors import InputError, suggest_names

Label = str | Mapping[str, float]
AttributeValue = float | str
Attributes = Mapping[str, AttributeValue]
MIXTURE_WEIGHT = re.compile(r"\s*:\s*([^,]*?)\s*(?:,|$)")  # follows a name in a mixture


def label_weights(label: Label, label_names: Sequence[str]) -> dict[str, float]:
    """The weights of a label or a mixture of labels, normalized to sum 1. A name alone has weight 1.

    Raises InputError for unknown names, negative weights, and weights that sum to 0.
    """
    if isinstance(label, str) and label in label_names:
        return {label: 1.0}
    names = {normalize_name(name): name for name in label_names}
    if isinstance(label, str):
        if known := names.get(normalize_name(label)):
            return {known: 1.0}
        label = _parse_mixture(label, names)
    weights: dict[str, float] = {}
    for name, weight in label.items():
        known = names.get(normalize_name(name))
        if known is None:
            raise InputError(f"no label is called {name!r}{suggest_names(name, label_names)}")
        if not (weight >= 0 and math.isfinite(weight)):
            raise InputError(f"the label {name!r} weighs {weight:g}: a weight is 0 or more")
        weights[known] = weight
    total = sum(weights.values())
    if not (total > 0 and math.isfinite(total)):
        raise InputError(f"the weights of a mixture of labels must sum to a number above 0, got {total:g}")
    return {name: weight / total for name, weight in weights.items() if weight}


def _parse_mixture(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """Parse potion:0.5,weapon:0.5. Names may hold commas and colons: the longest name that fits is meant.

    names: the labels, by their normalized names.
    """
    weights: dict[str, float] = {}
    rest = normalize_name(text)
    longest_first = sorted(names, key=len, reverse=True)
    while rest:
        rest = rest.lstrip()
        fitting = ((n, MIXTURE_WEIGHT.match(rest, len(n))) for n in longest_first if rest.startswith(n))
        name, match = next(((n, m) for n, m in fitting if m), ("", None))
        if match is None:
            raise InputError(_describe_bad_mixture(text, rest, names))
        try:
            weights[names[name]] = float(match.group(1))
        except ValueError as error:
            raise InputError(f"{text!r} is no mixture of labels: write it like potion:0.5,weapon:0.5") from error
        rest = rest[match.end() :]
    return weights


def _describe_bad_mixture(text: str, rest: str, names: Mapping[str, str]) -> str:
    """What is wrong with a text that is neither a label nor a mixture of labels, from `rest` on."""
    part = rest.partition(",")[0]
    name, colon, _ = part.rpartition(":")
    if "," not in text and (not colon or difflib.get_close_matches(text.lower(), map(str.lower, names.values()))):
        return f"no label is called {text!r}{suggest_names(text, names.values())}"
    if not colon:
        return f"{part!r} has no weight in {text!r}: write it like potion:0.5,weapon:0.5"
    return f"no label is called {name.strip()!r}{suggest_names(name.strip(), names.values())}"


def encode_labels(
    requested: Sequence[Label | None], label_names: Sequence[str]
) -> Int[Tensor, "b"] | Float[Tensor, "b classes"]:
    """Class numbers (b,), -1 for None; with a mixture among them, rows of weights (b, classes), NaN for None."""
    mixed = [None if one is None else label_weights(one, label_names) for one in requested]
    numbers = {name: i for i, name in enumerate(label_names)}
    if all(one is None or len(one) == 1 for one in mixed):
        return torch.tensor(
            [-1 if one is None else numbers[next(iter(one))] for one in mixed], dtype=torch.int64, device="cpu"
        )
    rows = torch.zeros(len(mixed), len(label_names), dtype=torch.float32, device="cpu")
    for row, one in zip(rows, mixed, strict=True):
        if one is None:
            row[:] = torch.nan
        else:
            row[[numbers[name] for name in one]] = torch.tensor(list(one.values()), dtype=torch.float32, device="cpu")
    return rows


def parse_attributes(texts: Sequence[str], names: Collection[str] = ()) -> dict[str, AttributeValue]:
    """Attributes written as hue=0.3 and shape=round. names: the model's attributes, which may hold "=" themselves."""
    found: dict[str, AttributeValue] = {}
    longest_first = sorted((n for n in names if "=" in n), key=len, reverse=True)
    for text in map(normalize_name, texts):
        known = next((n for n in longest_first if text.strip().startswith(n) and "=" in text[len(n) :]), None)
        start = 0 if known is None else text.index(known) + len(known)
        head, equals, value = text[start:].partition("=")
        name = (text[:start] + head).strip()
        if not equals or not name or not value.strip():
            raise InputError(f"{text!r} is no attribute: write it like hue=0.3 or shape=round")
        if name in found:
            raise InputError(f"the attribute {name!r} is given twice: give it one value")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value.strip()
    return found


def encode_attributes(requested: Attributes | None, pictures: Pictures) -> Float[Tensor, "d"]:
    """The condition vector of one image, (d,), in units of standard deviations; all NaN without attributes.

    Raises InputError for unknown attributes and for values of the wrong kind.
    """
    row = torch.zeros(len(pictures.attributes), dtype=torch.float32, device="cpu")
    if not requested:
        return row.fill_(torch.nan)
    words, numbers = _categorical_entries(pictures), _numeric_entries(pictures)
    for name, value in ((normalize_name(name), value) for name, value in requested.items()):
        if name in words:
            row[words[name][_match_category(name, value, words[name])]] = 1.0
        elif name in numbers:
            row[numbers[name]] = _standardize(name, value, numbers[name], pictures)
        else:
            raise InputError(f"no attribute is called {name!r}{suggest_names(name, [*words, *numbers])}")
    return row


def attribute_names(pictures: Pictures) -> dict[str, tuple[str, ...]]:
    """The names of a model's attributes, and the words that each can be; an empty tuple for a number."""
    return {n: tuple(w) for n, w in _categorical_entries(pictures).items()} | dict.fromkeys(
        _numeric_entries(pictures), ()
    )


def _categorical_entries(pictures: Pictures) -> dict[str, dict[str, int]]:
    """attribute → word → entry."""
    found: dict[str, dict[str, int]] = {}
    for i, entry in enumerate(pictures.attributes):
        attribute, word = split_entry_name(entry)
        if word is not None:
            found.setdefault(normalize_name(attribute), {})[normalize_name(word)] = i
    return found


def _numeric_entries(pictures: Pictures) -> dict[str, int]:
    """attribute → entry."""
    entries = map(split_entry_name, pictures.attributes)
    return {normalize_name(attribute): i for i, (attribute, word) in enumerate(entries) if word is None}


def _match_category(name: str, value: AttributeValue, categories: Mapping[str, int]) -> str:
    """A value as one of an attribute's words, which can be written as numbers."""
    spellings = [normalize_name(value)] if isinstance(value, str) else [str(value), f"{value:g}"]
    for spelling in spellings:
        if spelling in categories:
            return spelling
    if not isinstance(value, str) and (same := [c for c in categories if _is_number(c, value)]):
        return same[0]
    raise InputError(f"the attribute {name!r} has no value {spellings[-1]!r}{suggest_names(spellings[-1], categories)}")


def _is_number(word: str, value: float) -> bool:
    """Whether a word is this number in another spelling: 007 is 7, NaN is nan."""
    try:
        return float(word) == value or (math.isnan(float(word)) and math.isnan(value))
    except ValueError:
        return False


MAX_VALUE = 1e30  # that single precision holds, whatever the unit


def _standardize(name: str, value: AttributeValue, index: int, pictures: Pictures) -> float:
    if isinstance(value, str) or not abs(value) < MAX_VALUE:  # which NaN is not either
        raise InputError(f"the attribute {name!r} is a number, not {value!r}")
    if not pictures.scales:
        raise InputError(
            f"this model does not record the units of {name!r}: train it again with this version, or give only "
            "attributes that are words"
        )
    return (value - pictures.means[index]) / pictures.scales[index]
