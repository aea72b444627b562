"""From the signature of a tool to the JSON schema of its arguments, and to checked arguments."""

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError, shorten, suggest_names
from ..studio.type_checks import check_values
from .answer import Answer
from .job import Job

JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
Tool = Callable[..., Any]  # a method; or a function whose first parameter is the job


def make_schema(tool: Tool) -> dict[str, Any]:
    """The JSON schema of the arguments."""
    hints = get_type_hints(tool, include_extras=True)
    properties, required = {}, []
    for name, parameter in _parameters(tool).items():
        hint, description = get_args(hints[name])[:2]
        properties[name] = _schema_of(hint) | {"description": description}
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        elif parameter.default is not None:
            properties[name]["default"] = parameter.default
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def call_tool(tool: Tool, job: Job, arguments: Mapping[str, Any]) -> Answer:
    """Call a tool. InputError for missing and unknown arguments, and for values of other types."""
    check_arguments(tool, arguments)
    answer: Answer = tool(job, **arguments)
    return answer


def check_arguments(tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Raise InputError for missing and unknown arguments, and for values of other types."""
    parameters = _parameters(tool)
    if unknown := next((name for name in arguments if name not in parameters), None):
        raise InputError(f"there is no argument {shorten(repr(unknown))}{suggest_names(unknown, parameters)}")
    needed = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    if missing := [name for name in needed if name not in arguments]:
        raise InputError(f"{' and '.join(missing)} must be given")
    check_values(get_type_hints(tool), arguments)


def _parameters(tool: Tool) -> dict[str, inspect.Parameter]:
    """The arguments that a client gives."""
    return {name: p for name, p in inspect.signature(tool).parameters.items() if name not in ("self", "job")}


def _schema_of(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is UnionType:
        (kind,) = (one for one in get_args(hint) if one is not type(None))
        inner = _schema_of(kind)
        return inner | {"type": [inner["type"], "null"]}
    if get_origin(hint) is list:
        return {"type": "array", "items": _schema_of(get_args(hint)[0])}
    return {"type": JSON_TYPES[hint]}
