import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisette.cli.units import format_bytes, format_count, format_duration, parse_count, parse_duration, parse_size
from noisette.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("1h30m", 5400), ("1h 30m 5s", 5405), ("0.5s", 0.5),
     ("2d", 172800), (" 3m ", 180)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 x", "-5m", "1h-5m", "10M", "1e3s", "0s", "ten minutes", "5m3", "inf"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match=r"90s, 10m|more than 0"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("64", 64), ("200k", 200_000), ("200K", 200_000), ("1.5M", 1_500_000), ("1_000", 1000), ("0.5k", 500),
     ("1.25k", 1250), ("1.100k", 1100)],
)  # fmt: skip
def test_counts(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize("text", ["", "10m", "k", "-5", "1.5", "0", "0k", "1.0005k", "1e5", "1,000", "_5", "5 k"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(InputError, match="200k"):
        parse_count(text)


@given(st.integers(1, 10**9))
def test_counts_are_exact(number: int) -> None:
    assert parse_count(str(number)) == number
    assert parse_count(f"{number}k") == 1000 * number
    assert parse_count(f"{number / 10:.1f}M") == number * 100_000  # no rounding of 1.1 × 10⁶ to 1100000.0000000002


@pytest.mark.parametrize(
    ("text", "pair"), [("16", (16, 16)), ("32x24", (24, 32)), ("32×24", (24, 32)), ("8X9", (9, 8))]
)
def test_sizes_are_wide_by_high_and_become_high_by_wide(text: str, pair: tuple[int, int]) -> None:
    assert parse_size(text) == pair


@pytest.mark.parametrize("text", ["", "x", "16x", "0", "16x0", "-8", "1.5", "16x16x3", "123456"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="32x24"):
        parse_size(text)


def test_durations_counts_and_sizes_as_text() -> None:
    assert [format_duration(s) for s in (0.4, 59.4, 59.6, 185, 3599.6, 7830)] == [
        "0 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "2 h 10 min",
    ]  # fmt: skip
    assert [format_count(n) for n in (950, 12_500, 999_960, 3_414_000)] == ["950", "12.5k", "1.00M", "3.41M"]
    assert [format_bytes(n) for n in (12_300_000, 4.14e9)] == ["12.3 MB", "4.1 GB"]
