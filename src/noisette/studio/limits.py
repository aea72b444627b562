"""How much one request may ask for: of the studio's page, of its API, and of `noisette mcp`.

Imports nothing heavy: the numbers are in the help of commands and tools.
"""

from collections.abc import Sequence

from ..errors import InputError

MAX_SAMPLES = 64  # pictures at once
MAX_EDIT_SAMPLES = 16  # pictures per edit
MAX_STEPS = 1000
MAX_ROUNDS = 20
MAX_TEXT = 2000  # characters of a text, and of all labels or attributes
MAX_FILE_BYTES = 2**24  # of a picture to edit


def check_count(number: int, most: int = MAX_SAMPLES) -> int:
    """The same number. Raises InputError if so many pictures are not drawn at once."""
    from ..sampling.record import check_integer

    check_integer("number", number, 1, most)
    return number


def check_steps(steps: int) -> int:
    """The same number. Raises InputError for more than MAX_STEPS."""
    from ..sampling.record import check_integer

    check_integer("steps", steps, 1, MAX_STEPS)
    return steps


def check_words(labels: Sequence[str | None] = (), attributes: Sequence[str] = (), text: str | None = None) -> None:
    """Raise InputError where a text, or all labels or attributes together, are too long."""
    for name, words in (
        ("text", text or ""),
        ("labels", "".join(map(str, labels))),
        ("attributes", "".join(attributes)),
    ):
        if len(words) > MAX_TEXT:
            raise InputError(f"{name} may have at most {MAX_TEXT} characters, got {len(words)}")


def check_file_size(size: int) -> None:
    """Raise InputError for a picture file of too many bytes."""
    if size > MAX_FILE_BYTES:
        raise InputError(f"a picture file may have at most {MAX_FILE_BYTES // 2**20} MB")
