"""A run's progress: it never jumps, never falls, ends at one, and a time limit is kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisette.errors import InputError
from noisette.training.progress_schedule import ProgressSchedule, TimeBudget, lr_factor


def test_a_straight_line():
    line = ProgressSchedule.linear(1000)
    assert [line.progress(n) for n in (0, 250, 1000, 2000)] == [0.0, 0.25, 1.0, 1.0]
    with pytest.raises(InputError, match="0 images"):
        ProgressSchedule.linear(0)


@settings(deadline=None)
@given(st.integers(100, 10_000), st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 20_000)), max_size=6))
def test_retargeting_never_jumps_or_falls(total, aims):
    line, images = ProgressSchedule.linear(total), 0
    for share, goal in aims:
        images += int(share * (line.total - images - 1))
        before = line.progress(images)
        past = [line.progress(n) for n in range(0, images, max(1, images // 7))]
        line = line.retarget(images, goal)
        assert line.progress(images) == pytest.approx(before)
        assert [line.progress(n) for n in range(0, images, max(1, images // 7))] == pytest.approx(past)
    curve = [line.progress(n) for n in range(line.total + 1)]
    assert curve == sorted(curve)
    assert curve[-1] == 1.0
    assert curve[0] == 0.0


@pytest.mark.parametrize("speed", [lambda p: 100.0, lambda p: 100.0 if p < 0.3 else 60.0, lambda p: 80 + 90 * p])
def test_a_time_box_is_kept_at_any_speed(speed):
    box, line, images, clock = TimeBudget(180.0, 64), ProgressSchedule.linear(64 * 281 * 2), 0, 5.0
    start = (images, clock)
    while images < line.total:
        images += 64
        clock += 64 / speed(line.progress(images))
        line = box.retarget(line, images, clock, start, reserve=2.0)
    assert clock + 2.0 == pytest.approx(180.0, rel=0.05)


def test_a_time_box_that_is_over_ends_with_the_next_batch():
    line = TimeBudget(10.0, 64).retarget(ProgressSchedule.linear(6400), 640, 11.0, (0, 0.0))
    assert line.total == 640 + 64


def test_a_time_limit_ends_after_the_most_images():
    box = TimeBudget(10.0, 64, max_images=1280)
    line = box.retarget(ProgressSchedule.linear(6400), 640, 1.0, (0, 0.0))
    assert line.total == 1280
    assert line.progress(1280) == 1.0
    assert box.retarget(line, 1216, 1.9, (0, 0.0)) == line
    assert box.retarget(ProgressSchedule.linear(640), 320, 9.9, (0, 0.0)).total == 384  # no time is left


def test_the_learning_rate_rises_then_falls():
    rates = [lr_factor(k / 1000, 0.1, 0.01) for k in range(1001)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 100
    assert rates[-1] == pytest.approx(0.01)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)
