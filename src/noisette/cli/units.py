"""What people write for a time, a number and a size: 10m, 200k, 32x24."""

import re

from ..errors import InputError

SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
TIMES = {"": 1, "k": 1_000, "M": 1_000_000}


def duration(text: str) -> float:
    """Seconds: "90s", "10m", "1.5h", "1h30m"."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)\s*", text)
    if not parts or "".join(f"{n}{u}" for n, u in parts) != re.sub(r"\s", "", text):
        raise InputError(f"{text!r} is no length of time: write it like 90s, 10m, 1.5h or 1h30m")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds == 0:
        raise InputError(f"{text!r} is no time at all: give more than 0 seconds")
    return seconds


def count(text: str) -> int:
    """A whole number: "64", "200k", "1.5M", "1_000"."""
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)(k|K|M|)", text.strip())
    if match is None:
        raise InputError(f"{text!r} is no number of images: write it like 5000, 200k or 1.5M")
    unit = TIMES[match[2].replace("K", "k")]
    whole, _, fraction = match[1].replace("_", "").partition(".")
    scaled = int(whole) * unit * 10 ** len(fraction) + int(fraction or 0) * unit
    if scaled == 0 or scaled % 10 ** len(fraction):
        raise InputError(f"{text!r} is no number of images: give a whole one above 0, like 5000, 200k or 1.5M")
    return scaled // 10 ** len(fraction)


def size(text: str) -> tuple[int, int]:
    """(height, width) from "16", or from "32x24": width × height, as sizes of pictures are written."""
    match = re.fullmatch(r"(\d{1,5})(?:[x×X](\d{1,5}))?", text.strip())
    if match is None or 0 in (int(match[1]), int(match[2] or match[1])):
        raise InputError(f"{text!r} is no size of a picture: write 16 for 16×16, or 32x24 for 32 wide and 24 high")
    return int(match[2] or match[1]), int(match[1])


def spoken(seconds: float) -> str:
    """A length of time for people: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def compact(number: float) -> str:
    """A number of images for people: 950, 12.5k, 3.41M."""
    if number < 10_000:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 999_950 else f"{number / 1e6:.2f}M"


def megabytes(size: float) -> str:
    """A number of bytes for people: 12.3 MB, 4.1 GB."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
