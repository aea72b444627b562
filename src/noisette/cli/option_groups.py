"""Groups of options that several commands share: a dataclass of options is one parameter of a command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints


@dataclass(frozen=True)
class OptionGroup:
    """A group of options. Each field has a default and the annotation of a command's option."""


def expand_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, in which each parameter that is an OptionGroup is replaced by one option for each field."""
    plain = inspect.signature(command)
    groups = {name: p.annotation for name, p in plain.parameters.items() if _is_group(p.annotation)}

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{f.name: given.pop(f.name) for f in fields(group)})
        command(**given)

    options: list[inspect.Parameter] = []
    for name, p in plain.parameters.items():
        options += _group_parameters(groups[name]) if name in groups else [p.replace(kind=p.KEYWORD_ONLY)]
    with_options.__dict__["__signature__"] = plain.replace(parameters=options)
    with_options.__annotations__ = {p.name: p.annotation for p in options} | {"return": None}
    return with_options


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)


def _group_parameters(group: type[OptionGroup]) -> list[inspect.Parameter]:
    hints, keyword = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields(group)]
