"""Options that several commands share: a dataclass of them is one parameter of a command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints


@dataclass(frozen=True)
class Options:
    """A group of options. Each field, annotated as an option of a command is, is one, and has a default."""


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, with an option for each field of each parameter that is a group of Options, in its place."""
    plain = inspect.signature(command)
    groups = {name: p.annotation for name, p in plain.parameters.items() if _is_group(p.annotation)}

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{f.name: given.pop(f.name) for f in fields(group)})
        command(**given)

    options: list[inspect.Parameter] = []
    for name, p in plain.parameters.items():
        options += _options(groups[name]) if name in groups else [p.replace(kind=p.KEYWORD_ONLY)]
    with_options.__dict__["__signature__"] = plain.replace(parameters=options)
    with_options.__annotations__ = {p.name: p.annotation for p in options} | {"return": None}
    return with_options


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


def _options(group: type[Options]) -> list[inspect.Parameter]:
    hints, keyword = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields(group)]
