"""Durations, counts, sizes and bytes on the command line: parsed as in Python (units.py), and formatted for people."""

from ..errors import InputError
from ..io.units import parse_cell, parse_count, parse_duration, parse_percentiles, parse_size

__all__ = [
    "format_bytes", "format_count", "format_duration", "parse_cell", "parse_count", "parse_duration", "parse_length",
    "parse_percentiles", "parse_size",
]  # fmt: skip


def parse_length(
    time_box: str | None, images: str | None, default: str, what: str = "run"
) -> tuple[float | None, int | None]:
    """The seconds of --for, or the number of --images, and None for the other; without both, `default` seconds.

    `what`: has this length. Raises InputError if both are given.
    """
    if time_box is not None and images is not None:
        raise InputError(f"--for and --images both set the length of the {what}: give one of them")
    return (parse_duration(time_box or default), None) if images is None else (None, parse_count(images))


def format_duration(seconds: float) -> str:
    """A duration as text: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def format_count(number: float) -> str:
    """A number of images as text: 950, 12.5k, 3.41M."""
    if number < 10_000:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 999_950 else f"{number / 1e6:.2f}M"


def format_bytes(size: float) -> str:
    """A number of bytes as text: 12.3 MB, 4.1 GB."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
