"""Errors in the studio: users see the message of an `InputError`; details of other exceptions stay on the server."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ..errors import InputError, shorten
from .waiting import Abandoned

MAX_MESSAGE = 300  # characters of a message about a value, which may be megabytes long


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
