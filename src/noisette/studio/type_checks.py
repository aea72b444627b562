"""Values of requests by programs, checked against the annotations of the functions that they are for."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError, shorten

TYPE_NAMES = {int: "an integer", float: "a number", str: "a text", bool: "true or false", dict: "an object"}


def check_types(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for calls by programs, with a check that its parameters get values of the types that they have.

    JSON has no integer type, so 1.5 or true may arrive for an int, and anything at all for a text or a list.
    """
    hints, signature = get_type_hints(function), inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        check_values(hints, signature.bind(*args, **kwargs).arguments)
        return function(*args, **kwargs)

    return checked


def check_values(hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise InputError for the first value by name that is not of its annotation."""
    for name, value in values.items():
        if not is_of_type(hints[name], value):
            raise InputError(f"{name} must be {describe_type(hints[name])}, got {shorten(repr(value))}")


def is_of_type(hint: Any, value: Any) -> bool:
    """Whether a value of JSON is of an annotation: a type of JSON, list[…], dict[str, …], a union, or Any."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is UnionType:
        return any(is_of_type(kind, value) for kind in arguments)
    if origin is list:
        return isinstance(value, list) and all(is_of_type(arguments[0], item) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(is_of_type(arguments[1], item) for item in value.values())
    return type(value) is hint or (hint is float and type(value) is int)


def describe_type(hint: Any) -> str:
    """An annotation in a message: "an integer", "a list of texts"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return " or ".join(describe_type(kind) for kind in arguments if kind is not type(None))
    if origin is list:
        return f"a list, each {describe_type(arguments[0])}"
    return TYPE_NAMES.get(origin or hint, str(hint))
