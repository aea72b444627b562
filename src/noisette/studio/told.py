"""An `InputError` is told to the visitor as it is; everything else is a defect, and is not."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ..errors import InputError


@contextmanager
def telling() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), title="That cannot be done", print_exception=False) from error


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, or generator, for a page to call."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with telling():
                yield from function(*args, **kwargs)

        return steps

    @functools.wraps(function)
    def once(*args: Any, **kwargs: Any) -> Any:
        with telling():
            return function(*args, **kwargs)

    return once
