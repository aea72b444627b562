"""The exception for invalid input, and messages about unknown names."""

import difflib
import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

MAX_MESSAGE = 2000  # characters of a message; what is named in it may be of any length
MAX_NAME = 100  # characters of a name for which similar ones are looked for, which takes time with its square
MAX_NAMES = 2000  # names among which similar ones are looked for


class InputError(ValueError):
    """Invalid input. The message is one sentence: what is wrong, where, and what would be right.

    The command line prints it and exits with code 2. Any other exception is a bug of Noisette. A message of more than
    MAX_MESSAGE characters is cut in its middle.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shorten(message, MAX_MESSAGE))


def shorten(text: object, limit: int = 80) -> str:
    """`text` with its middle cut out if it has more than `limit` characters."""
    text = str(text)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[len(text) - (limit - 1) // 2 :]}"


def first_line(error: BaseException) -> str:
    """The first line of a library's error message, without its full stop; its class if it has no message."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def check_range(name: str, value: float, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Raise `InputError` unless `value` is finite and low ≤ value ≤ high. above: `low` itself is refused, too."""
    if math.isfinite(value) and (low < value if above else low <= value) and value <= high:
        return
    if low == -math.inf:
        allowed = "finite"
    elif above:
        allowed = f"above {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    else:
        allowed = f"between {low:g} and {high:g}" if high < math.inf else f"{low:g} or more"
    raise InputError(f"{name} must be {allowed}, got {value:g}")


class OutOfMemory(InputError):
    """The memory of the machine or of its accelerator does not suffice. The message says what to lower."""


# how torch, oneDNN, C++ and the operating system put it
MEMORY_MESSAGE = re.compile(
    r"not enough memory|can't allocate memory|cannot allocate memory|out of memory|bad_alloc|can't start new thread|"
    r"could not create a (primitive|memory)",
    re.IGNORECASE,
)
ALLOCATION = re.compile(r"tried to allocate ([\d.]+ ?(?:bytes|[KMGT]i?B))", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that memory has run out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and MEMORY_MESSAGE.search(str(error)) is not None
    )


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Convert an error that `is_out_of_memory`, raised in the block, to an `OutOfMemory` that ends in `advice`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError) or not is_out_of_memory(error):
            raise
        asked = ALLOCATION.search(str(error))
        size = f" (it could not get another {asked[1]})" if asked else ""
        raise OutOfMemory(f"the memory does not suffice{size}: {advice}") from error


def lookup(name: str, table: Mapping[str, T], kind: str, hint: str = "") -> T:
    """table[name]; an unknown name raises an `InputError` that suggests similar names and ends in `hint`.

    kind: such as "sampler".
    """
    if name in table:
        return table[name]
    raise InputError(f"no {kind} is called {shorten(name)!r}{suggest_names(name, table)}{hint}")


def suggest_names(name: str, names: Collection[str]) -> str:
    """The end of a message: ": did you mean …?", or a list of the names if none is similar."""
    short = [n for n in itertools.islice(names, MAX_NAMES) if len(n) <= MAX_NAME]
    lower = {n.lower(): n for n in short}
    close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6) if len(name) <= MAX_NAME else []
    if close:
        return f": did you mean {' or '.join(repr(lower[c]) for c in close)}?"
    listed = ", ".join(map(shorten, itertools.islice(names, 20))) + (", …" if len(names) > 20 else "")
    return f": there are {listed}" if listed else ": there are none"
