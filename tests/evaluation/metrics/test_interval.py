import pytest

from noisette.errors import InputError
from noisette.evaluation.metrics.interval import ConfidenceInterval, wilson_interval


def test_wilson_as_published() -> None:
    """Newcombe 1998, table I: 81/263 and 1/29 by the score method without correction."""
    assert (wilson_interval(81, 263).low, wilson_interval(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert (wilson_interval(1, 29).low, wilson_interval(1, 29).high) == pytest.approx((0.0061, 0.1718), abs=1e-4)


def test_wilson_at_the_ends_is_not_empty() -> None:
    nothing, everything = wilson_interval(0, 20), wilson_interval(20, 20)
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(0.1611, abs=1e-4)
    assert everything.low == pytest.approx(1 - nothing.high)
    assert everything.high == 1


def test_no_cases_no_share() -> None:
    with pytest.raises(InputError, match="a share needs at least 1 trial"):
        wilson_interval(0, 0)


def test_intervals_are_formatted_and_scaled() -> None:
    assert f"{ConfidenceInterval(0.12, 0.1, 0.15).scaled(100.0):.1f}" == "12.0 [10.0, 15.0]"
