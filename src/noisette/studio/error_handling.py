"""Errors in the studio: users see the message of an `InputError`; details of other exceptions stay on the server."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import gradio as gr

from ..errors import InputError, shorten
from .waiting import Abandoned

MAX_MESSAGE = 300  # characters of a message about a value, which may be megabytes long
TYPE_NAMES = {int: "an integer", float: "a number", str: "a text", bool: "true or false", dict: "an object"}


class CheckedBlocks(gr.Blocks):  # type: ignore[misc]
    """A page whose components answer a value of another type with a message. Gradio would print a traceback."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error as error:
            message = shorten(str(error.message), MAX_MESSAGE)
        except Exception as error:  # components raise anything for values of other types
            message = f"a value of this request is of another type than its field ({type(error).__name__})"
        raise gr.Error(message, title="Cannot do this", print_exception=False)


def read_event(event: gr.EventData, name: str) -> str:
    """A text or number of an event, as text. Raises InputError if the event has none, as in calls by programs."""
    data = event._data if isinstance(event._data, dict) else {}
    value = data.get(name)
    if type(value) not in (str, int):
        raise InputError(f"this event names no {name}: reload the page")
    return str(value)


def read_event_index(event: gr.EventData) -> int:
    """The index of the picture of an event. Raises InputError if it is no whole number from 0."""
    text = read_event(event, "i")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError("this event names no picture: reload the page")
    return int(text)


@contextmanager
def show_input_errors() -> Iterator[None]:
    """A context that turns an InputError, or the end of a cancelled request, into a message on the page."""
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), title="Cannot do this", print_exception=False) from error
    except Abandoned as error:
        raise gr.Error("this was cancelled", title="Cancelled", print_exception=False) from error


def check_types(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for calls by programs, with a check that its parameters get values of the types that they have.

    JSON has no integer type, so 1.5 or true may arrive for an int, and anything at all for a text or a list.
    """
    hints, signature = get_type_hints(function), inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if not is_of_type(hints[name], value):
                raise InputError(f"{name} must be {describe_type(hints[name])}, got {shorten(repr(value))}")
        return function(*args, **kwargs)

    return checked


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


def report_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which may be a generator function, for calls by the page: wrapped in `show_input_errors`."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with show_input_errors():
                yield from function(*args, **kwargs)

        return steps

    @functools.wraps(function)
    def once(*args: Any, **kwargs: Any) -> Any:
        with show_input_errors():
            return function(*args, **kwargs)

    return once
