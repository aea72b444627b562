"""stdout and stderr that take every text, and whose failure ends no command.

A character that the stream's encoding lacks is written as a similar one; bytes of a file name that are no text are
written as they are; control characters, which a file name may hold and a terminal would obey, are written as `\\x1b`.
A stream that is closed or full is remembered (`stdout_error`) instead of raised: the work of a command goes on.
"""

import codecs
import errno
import io
import os
import re
import sys
import time
from typing import Any

REPLACEMENTS = str.maketrans(
    {"→": "->", "×": "x", "·": "*", "…": "...", "–": "-", "—": "-", "−": "-", "─": "-", "│": "|", "━": "-", "╸": "-",
     "╺": "-", "•": "*", "³": "^3", "²": "^2", "⁻": "-", "±": "+-", "σ": "sigma", "α": "alpha", "ε": "eps", "≥": ">=",
     "≤": "<=", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " "}
)  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COLOR_OR_CONTROL = re.compile(r"\x1b\[[0-9;]*m|" + CONTROL.pattern)  # help and tracebacks are colored


def visible(text: str, pattern: re.Pattern[str] = CONTROL) -> str:
    """The text with each control character except tab and newline as an escape sequence of Python: `\\x1b`."""
    return pattern.sub(lambda m: m[0] if m[0].endswith("m") else m[0].encode("unicode_escape").decode(), text)


def _replace_character(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler: a similar text, the byte that a file name had, or "?"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    similar = character.translate(REPLACEMENTS)
    return similar if similar.isascii() else "?", error.start + 1


codecs.register_error("noisette", _replace_character)


class _LastingFile(io.RawIOBase):
    """The bytes go to `file` until that fails; from then on they are dropped, and `error` says why."""

    def __init__(self, file: Any) -> None:
        self.file, self.error = file, None

    error: OSError | ValueError | None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.file.fileno())

    def isatty(self) -> bool:
        return bool(self.file.isatty())

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        while self.error is None and rest:
            try:
                written = self.file.write(rest)
            except BlockingIOError:
                written = None
            except (OSError, ValueError) as error:  # ValueError: the file was closed
                self.error = error
                break
            if written is None:  # a pipe that does not block, and is full
                time.sleep(0.01)
            else:
                rest = rest[written:]
        return len(data)


class LastingStream(io.TextIOWrapper):
    """A text stream as this module describes it. `as_is` writes control sequences too, for bars and tables."""

    def __init__(self, stream: Any) -> None:
        buffer = stream.buffer
        self.original = stream  # is not closed before this one
        self.file = _LastingFile(getattr(buffer, "raw", buffer))
        super().__init__(
            io.BufferedWriter(self.file), encoding=stream.encoding, errors="noisette", line_buffering=stream.isatty()
        )
        self.as_is = _AsIs(self)

    def write(self, text: str) -> int:
        super().write(visible(text, COLOR_OR_CONTROL))
        return len(text)

    def write_as_is(self, text: str) -> int:
        """Write a text with its control sequences."""
        return super().write(text)


class _AsIs:
    """The stream as rich gets it: with the control sequences that rich itself writes."""

    def __init__(self, stream: LastingStream) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write_as_is(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def protect_streams() -> None:
    """Make stdout and stderr of this process lasting ones. Streams that somebody has put in their place stay."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a closed standard stream: else the next file that is opened would get what is printed
    os.close(fd)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (a descriptor)
        elif stream is not getattr(sys, f"__{name}__") or not hasattr(stream, "buffer"):
            continue
        setattr(sys, name, LastingStream(stream))


def stdout_error() -> str:
    """Why what was printed did not arrive; "" if it did, or if the reader has closed the pipe because it had enough."""
    stream = sys.stdout
    if not isinstance(stream, LastingStream):
        return ""
    stream.flush()
    error = stream.file.error
    if error is None or (isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO)):
        return ""
    return (getattr(error, "strerror", None) or str(error)).lower()
