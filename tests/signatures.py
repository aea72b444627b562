"""What decides whether a call is as annotated: types, the shapes and dtypes of arrays, the items of containers.

beartype and jaxtyping look at nothing else of what `is_decided` accepts, so two calls with equal keys are both right or
both wrong. For other hints (Literal, Annotated, shapes with f-strings) there is no key.
"""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol, Union, get_args, get_origin

import jaxtyping
import numpy as np
from torch import Tensor

Key = Callable[[Any], tuple[Any, ...]]
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
        return partial(key_of_all, one=key_with_fields)
    return partial(key_of_all, one=key_with_items) if any(map(has_items, hints)) else key_of_all


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


def key(value: Any) -> Any:
    """The key of a value that is not looked into."""
    kind = type(value)
    if is_array(kind):
        return kind, value.dtype, value.shape
    return value if is_class(kind) else kind


def key_with_items(value: Any) -> Any:
    """The key of a value and of what is in it."""
    kind = type(value)
    if is_leaf(kind):
        return key(value)
    if not isinstance(value, tuple | list | dict) or len(value) > MAX_ITEMS:
        raise TypeError(f"no key: {kind}")
    items = tuple(map(key_with_items, value))
    return (kind, items, tuple(map(key_with_items, value.values()))) if isinstance(value, dict) else (kind, items)


def key_with_fields(value: Any) -> Any:
    """The same, and the names of its fields."""
    return key_with_items(value), tuple(getattr(value, "__dict__", ()))


def key_of_all(values: Any, one: Callable[[Any], Any] = key) -> tuple[Any, ...]:
    """The key of arguments, by position or by name."""
    return tuple(map(one, values)) if type(values) is tuple else (tuple(values), tuple(map(one, values.values())))


@cache
def is_array(kind: type) -> bool:
    return issubclass(kind, Tensor | np.ndarray)


@cache
def is_class(kind: type) -> bool:
    return issubclass(kind, type)


@cache
def is_leaf(kind: type) -> bool:
    """Whether nothing is in such values, or nothing that is looked at."""
    is_container = hasattr(kind, "__iter__") and not hasattr(kind, "__next__")
    return is_array(kind) or is_class(kind) or kind in (str, bytes, range) or not is_container
