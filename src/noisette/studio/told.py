"""An `InputError` is told to the visitor as it is; everything else is a defect, and is not."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import UnionType
from typing import Any, get_args, get_type_hints

import gradio as gr

from ..errors import InputError


@contextmanager
def telling() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), title="That cannot be done", print_exception=False) from error


def typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, for programs to call: JSON knows numbers that are none of those which it takes."""
    hints, plain = get_type_hints(function), inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name, value in plain.bind(*args, **kwargs).arguments.items():
            kinds = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
            if int in kinds and type(value) not in kinds:
                raise InputError(f"{name} is {value!r}: give a whole number")
            if float in kinds and type(value) not in (*kinds, int):
                raise InputError(f"{name} is {value!r}: give a number")
        return function(*args, **kwargs)

    return checked


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
