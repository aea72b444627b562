"""Durations, counts and sizes as people write them: "10m", "200k", "32x24"."""

import re
from typing import Literal

from ..errors import InputError

SECONDS_PER_UNIT = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
Size = int | tuple[int, int] | str  # the side; height and width; or "32x24", width × height
MULTIPLIERS = {"": 1, "k": 1_000, "M": 1_000_000}


def parse_duration(text: str) -> float:
    """Seconds from "90s", "10m", "1.5h" or "1h30m". Raises InputError."""
    parts = re.findall(r"(\d{1,15}(?:\.\d{1,15})?)\s*(s|min|m|h|d)\s*", text)
    if not parts or "".join(f"{n}{u}" for n, u in parts) != re.sub(r"\s", "", text):
        raise InputError(f"a duration is written like 90s, 10m, 1.5h or 1h30m, got {text!r}")
    seconds = sum(float(number) * SECONDS_PER_UNIT[unit] for number, unit in parts)
    if seconds == 0:
        raise InputError(f"a duration must be more than 0 seconds, got {text!r}")
    return seconds


def parse_count(text: str) -> int:
    """A whole number from "64", "200k", "1.5M" or "1_000". Raises InputError."""
    match = re.fullmatch(r"(\d[\d_]{0,18}(?:\.\d{1,9})?)(k|K|M|)", text.strip())
    if match is None:
        raise InputError(f"a number of images is written like 5000, 200k or 1.5M, got {text!r}")
    unit = MULTIPLIERS[match[2].replace("K", "k")]
    whole, _, fraction = match[1].replace("_", "").partition(".")
    scaled = int(whole) * unit * 10 ** len(fraction) + int(fraction or 0) * unit
    if scaled == 0 or scaled % 10 ** len(fraction):
        raise InputError(f"a number of images must be whole and above 0, like 5000, 200k or 1.5M, got {text!r}")
    return scaled // 10 ** len(fraction)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from "16" or "32x24", which is width × height. Raises InputError."""
    match = re.fullmatch(r"(\d{1,5})(?:[x×X](\d{1,5}))?", text.strip())
    if match is None or 0 in (int(match[1]), int(match[2] or match[1])):
        raise InputError(f"a size is written 16 for 16×16, or 32x24 for width 32 and height 24, got {text!r}")
    return int(match[2] or match[1]), int(match[1])


def as_size(size: Size | None) -> tuple[int, int] | None:
    """(height, width) from a size as Python functions take it; None stays None. Raises InputError."""
    if isinstance(size, str):
        return parse_size(size)
    return (size, size) if isinstance(size, int) else size


def parse_percentiles(text: str) -> tuple[float, float]:
    """The two numbers of "0.1,99.9". Raises InputError."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"percentiles are two numbers like 0.1,99.9, got {text!r}") from error
    return low, high


def parse_cell(text: str) -> tuple[int, int] | Literal["auto"]:
    """The (height, width) of a sheet's cells as `parse_size`, or "auto". Raises InputError."""
    return "auto" if text.strip().lower() == "auto" else parse_size(text)
