"""Values of JSON read against the types of dataclasses: the one place that decides whether a file fits its types.

`models.config.from_json` builds on it for classes that a file names; everything else calls `parse_object`.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ..errors import InputError, shorten, suggest_names

T = TypeVar("T")
# (class, its data, where) → the class that is meant, and its data under today's names
Resolve = Callable[[type, dict[str, Any], str], tuple[type, dict[str, Any]]]
PLAIN = (str, int, bool)
KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def keep_class(cls: type, data: dict[str, Any], path: str) -> tuple[type, dict[str, Any]]:
    """The `Resolve` that changes nothing."""
    return cls, data


def parse_object(cls: type[T], data: Any, path: str, resolve: Resolve = keep_class) -> T:
    """A dataclass from a JSON object whose keys are its fields.

    path: where the data comes from, for messages. Raises InputError for an unknown key, a wrong type, and a missing
    field without a default.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{path} is {shorten(repr(data))}: it should be an object that describes a {cls.__name__}")
    chosen, fields = resolve(cls, dict(data), path)
    hints = check_keys(chosen, fields, path)
    return cast(
        T, chosen(**{name: parse_value(hints[name], v, f"{path}.{name}", resolve) for name, v in fields.items()})
    )


def parse_value(hint: Any, value: Any, path: str, resolve: Resolve = keep_class) -> Any:
    """`value` as the type of an annotation; InputError where it has another type."""
    if hint is Any or (type(value) is hint and hint in PLAIN):
        return value
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) or (isinstance(value, Mapping) and isinstance(hint, type) and hint not in KINDS):
        return parse_object(cast(type, hint), value, path, resolve)
    if origin in (Union, types.UnionType):
        return _parse_union(args, value, path, resolve)
    if origin is tuple and isinstance(value, list | tuple):
        return _parse_tuple(args, value, path, resolve)
    if origin in (Mapping, dict) and isinstance(value, Mapping):
        return {str(k): parse_value(args[1], v, f"{path}.{shorten(k)}", resolve) for k, v in value.items()}
    if origin is Literal and any(value == a and type(value) is type(a) for a in args):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise InputError(f"{path} is {shorten(repr(value))}: it should be {_describe(hint)}")


def get_field(data: Any, name: str, kind: type[T], path: str | Path) -> T:
    """The entry `name` of a JSON object, which must be of a type of JSON; InputError that names `path`."""
    value = data.get(name) if isinstance(data, Mapping) else None
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        got = "is missing" if value is None else f"is {shorten(repr(value))}"
        raise InputError(f"{path} is not what it should be: {name} {got}, and should be {KINDS[kind]}")
    return value


def get_only(data: Mapping[str, Any], name: str, path: str | Path) -> Any:
    """The entry `name` of a JSON object that has no other; InputError that names `path`."""
    if set(data) != {name}:  # a damaged name of the checksum, for instance
        raise InputError(f"{path} must have the key {name!r} and no other, got {shorten(', '.join(data)) or 'none'}")
    return data[name]


def check_keys(cls: Any, data: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The annotations of a dataclass by field; InputError for a missing or an unknown field."""
    hints, required = _fields_of(cls)
    if missing := next((name for name in required if name not in data), None):
        raise InputError(f"{path} lacks the key {missing!r}, which a {cls.__name__} needs")
    if unknown := next((name for name in data if name not in hints), None):
        raise InputError(
            f"{path} has the key {shorten(unknown)!r}, which a {cls.__name__} does not have"
            f"{suggest_names(unknown, tuple(hints))}"
        )
    return hints


@functools.cache
def _fields_of(cls: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The annotations by field, and the fields without a default."""
    hints, fields = get_type_hints(cls), [f for f in dataclasses.fields(cls) if f.init]
    missing = dataclasses.MISSING
    required = tuple(f.name for f in fields if f.default is missing and f.default_factory is missing)
    return {f.name: hints[f.name] for f in fields}, required


def _parse_union(args: tuple[Any, ...], value: Any, path: str, resolve: Resolve) -> Any:
    """The first alternative that fits; the message is that of the only one, or names them all."""
    if value is None and type(None) in args:
        return None
    kinds = [a for a in args if a is not type(None)]
    for kind in kinds[:-1]:
        try:
            return parse_value(kind, value, path, resolve)
        except InputError:
            continue
    try:
        return parse_value(kinds[-1], value, path, resolve)
    except InputError as error:
        if len(kinds) == 1:
            raise
        names = " or ".join(map(_describe, kinds))
        raise InputError(f"{path} is {shorten(repr(value))}: it should be {names}") from error


def _parse_tuple(args: tuple[Any, ...], value: Any, path: str, resolve: Resolve) -> tuple[Any, ...]:
    if args[-1] is not Ellipsis and len(value) != len(args):
        raise InputError(f"{path} is {shorten(repr(value))}: it should be {len(args)} values, not {len(value)}")
    kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
    return tuple(parse_value(k, v, f"{path}[{i}]", resolve) for i, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _describe(hint: Any) -> str:
    """A type in a message."""
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    return getattr(hint, "__name__", str(hint))
