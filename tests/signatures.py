"""What decides whether a call is as annotated: types, the shapes and dtypes of arrays, the items of containers.

beartype and jaxtyping look at nothing else of what `is_decided` accepts, so two calls with equal keys are both right or
both wrong. For other hints (Literal, Annotated, shapes with f-strings) there is no key.
"""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, Union, get_args, get_origin

import jaxtyping
import numpy as np
from torch import Tensor

Key = Callable[[Iterable[Any]], tuple[Any, ...]]
MAX_ITEMS = 16  # of a container in a key
NOT_KNOWN = (TypeError, RecursionError)  # no key: a longer container, or one of another kind; sizes that are symbols
UNIONS = (Union, types.UnionType)
CONTAINERS = (
    tuple, list, dict, set, frozenset, Sequence, Iterable, Mapping, collections.abc.Collection,
    collections.abc.MutableMapping, collections.abc.MutableSequence, collections.abc.Set,
)  # fmt: skip


def choose_key(hints: Iterable[Any]) -> Key | None:
    """A function from arguments to their key; None where there is no such key for one of the hints."""
    hints = list(hints)
    if not all(map(is_decided, hints)):
        return None
    if any(map(has_fields, hints)):
        return key_with_fields
    return key_with_items if any(map(has_items, hints)) else key


def is_decided(hint: Any) -> bool:
    """Whether types, shapes and dtypes decide about a hint."""
    if hint is Any or hint is None or hint is ...:
        return True
    if not (parts := get_args(hint)):
        return inspect.isclass(hint) and not is_open(hint)
    origin = get_origin(hint)
    if origin is collections.abc.Callable:
        return True  # that it can be called; no more of it is looked at
    if origin in UNIONS or origin in CONTAINERS or origin is type:
        return all(map(is_decided, parts))
    return origin is np.ndarray  # its dtype


def is_open(kind: Any) -> bool:
    """Whether two values of one type may differ in being of this kind."""
    if issubclass(kind, jaxtyping.AbstractArray):
        return "{" in kind.dim_str
    if not getattr(kind, "_is_protocol", False):
        return typing.is_typeddict(kind) or bool(getattr(kind, "__parameters__", ()))
    return kind is Protocol


def has_fields(hint: Any) -> bool:
    """Whether a hint holds a protocol. Fields may be of the value where methods are of the type."""
    return getattr(hint, "_is_protocol", False) or any(map(has_fields, get_args(hint)))


def has_items(hint: Any) -> bool:
    """Whether a hint says what is in a container."""
    if get_origin(hint) in CONTAINERS:
        return True
    return get_origin(hint) in UNIONS and any(map(has_items, get_args(hint)))


# A key is flat: the parts of one value after those of another, the type first, which decides how many follow it. These
# functions run hundreds of times in each pass of a network, so they call little.


def key(values: Iterable[Any]) -> tuple[Any, ...]:
    """The key of values that are not looked into."""
    parts: list[Any] = []
    for value in values:
        kind = type(value)
        parts.append(kind)
        group = GROUPS.get(kind) or group_of(kind)
        if group == "array":
            parts += (value.dtype, value.shape)
        elif group == "class":
            parts.append(value)
    return tuple(parts)


def key_with_items(values: Iterable[Any], add_fields: bool = False) -> tuple[Any, ...]:
    """The key of values and of what is in them; with the names of their fields, if `add_fields`."""
    parts: list[Any] = []
    for value in values:
        kind = type(value)
        parts.append(kind)
        group = GROUPS.get(kind) or group_of(kind)
        if group == "array":
            parts += (value.dtype, value.shape)
        elif group == "class":
            parts.append(value)
        elif group == "container":
            if not isinstance(value, tuple | list | dict) or len(value) > MAX_ITEMS:
                raise TypeError(f"no key: {kind}")
            parts += (len(value), key_with_items(value))
            if isinstance(value, dict):
                parts.append(key_with_items(value.values()))
        if add_fields:
            parts.append(tuple(getattr(value, "__dict__", ())))
    return tuple(parts)


def key_with_fields(values: Iterable[Any]) -> tuple[Any, ...]:
    """The same, and the names of their fields."""
    return key_with_items(values, True)


GROUPS: dict[type, str] = {}


def group_of(kind: type) -> str:
    """What counts of values of this type besides it: dtype and shape, the value itself, what is in it, or nothing."""
    if issubclass(kind, Tensor | np.ndarray):
        group = "array"
    elif issubclass(kind, type):
        group = "class"
    elif kind in (str, bytes, range) or not hasattr(kind, "__iter__") or hasattr(kind, "__next__"):
        group = "leaf"
    else:
        group = "container"
    GROUPS[kind] = group
    return group
