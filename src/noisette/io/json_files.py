"""JSON files: bounded when they are read, with a checksum of their content when they are written.

An object that is written has `sha256` as its first key: the SHA-256 of all its other keys and values, whatever their
order and layout. `read_json` compares it, so damage of one bit is noticed. A file without that key, which version
0.1.0 or a person wrote, is read as it is: who edits a file on purpose removes its line `sha256`.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError, shorten
from .files import atomic_write, read_bytes

CHECKSUM_KEY = "sha256"
MAX_BYTES = 2**26  # of a file, unless the caller allows more
MAX_DEPTH = 64  # of lists and objects within each other
MAX_INTEGER = 2**64  # all whole numbers are smaller; seeds come near to it


def parse_json(data: bytes | str, source: str | Path) -> Any:
    """The value of a JSON text; an `InputError` names `source`, and the position of a syntax error.

    Refused are NaN, infinity, numbers too large for a float, whole numbers from 2⁶⁴, and nesting beyond MAX_DEPTH.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_parse_float)
    except json.JSONDecodeError as error:
        raise InputError(f"{source} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number out of range, or nested too deeply
        raise InputError(f"{source} is not JSON that can be read: {shorten(error)}") from error
    if _is_deep(value):
        raise InputError(f"{source} is not JSON that can be read: it is nested more than {MAX_DEPTH} times")
    return value


def read_json(path: str | Path, max_bytes: int = MAX_BYTES) -> Any:
    """The content of a JSON file without its checksum; an `InputError` names the file if it is missing or damaged."""
    value = parse_json(read_bytes(path, max_bytes), path)
    if not isinstance(value, dict) or CHECKSUM_KEY not in value:
        return value
    if value.pop(CHECKSUM_KEY) != json_sha256(value):
        raise InputError(
            f"{path} is damaged or was edited: its content does not have the SHA-256 written in it; copy it again, or "
            f'if you edited it on purpose, remove its line "{CHECKSUM_KEY}"'
        )
    return value


def read_object(path: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The content of a JSON file that holds an object, as `read_json` gives it."""
    value = read_json(path, max_bytes)
    if not isinstance(value, dict):
        raise InputError(f"{path} is {shorten(repr(value))}: it should be a JSON object")
    return value


def json_sha256(value: object) -> str:
    """The SHA-256 of a value of JSON's types, whatever the order of its keys: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def json_bytes(value: object, path: str | Path, checksum: bool = True) -> bytes:
    """A value as standard JSON; `InputError` that names `path` for NaN and infinity.

    checksum: whether an object gets its checksum; not in files of other projects' formats.
    """
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))  # as it will be read: tuples are lists, keys are strings
    except ValueError as error:
        raise InputError(f"cannot write {path}: it would contain a number that is not finite") from error
    if checksum and isinstance(plain, dict):
        assert CHECKSUM_KEY not in plain, f"{CHECKSUM_KEY} is the checksum's key"
        plain = {CHECKSUM_KEY: json_sha256(plain), **plain}
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()


def write_json(path: str | Path, value: object) -> None:
    """Write a value as JSON atomically, an object with its checksum."""
    atomic_write(path, json_bytes(value, path))


def _parse_int(text: str) -> int:
    if len(text) > 21 or abs(value := int(text)) >= MAX_INTEGER:
        raise ValueError(f"the number {shorten(text)} is out of range")
    return value


def _parse_float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {shorten(text)} is not finite")
    return value


def _is_deep(value: object) -> bool:
    """Whether lists and objects are nested more than MAX_DEPTH times; level by level, so that no stack overflows."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        children = (child for v in level for child in (v.values() if isinstance(v, dict) else v))
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)
