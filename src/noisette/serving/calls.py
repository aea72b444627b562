"""Calls and answers: what travels between the process that answers HTTP and those that draw. No tensors, no models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request: the name of an endpoint, and arguments of the right form."""

    endpoint: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A finished picture of an answer."""

    seed: int
    label: str | None
    text: str | None
    png: bytes


@dataclass(frozen=True)
class Answer:
    """The answer to a call: pictures, or an error with its HTTP status."""

    pictures: tuple[Drawn, ...] = ()
    model: str = ""  # hash
    status: int = 200
    error: str = ""
    batch: int = 0  # pictures that were drawn together
    seconds: float = 0.0  # that this took
    leads: bool = False  # whether it is the first answer of its batch
