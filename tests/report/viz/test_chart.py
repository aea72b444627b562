"""Charts: what is where, in numbers that can be read back."""

import re
import xml.etree.ElementTree as ET

import pytest

from noisette.report.viz.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Line, chart, charts, format_tick


def read(html: str) -> ET.Element:
    return ET.fromstring(html)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_a_curve_goes_through_its_points() -> None:
    tree = read(chart(Axis("t"), Axis("y"), [Line("one", [0, 1, 2], [0, 5, 10])], "a rising line"))
    (curve,) = [p for p in tree.iter("path") if p.get("class") == "curve k0" and p.get("d") != "M1.0 5.0L25.0 5.0"]
    assert points(curve.get("d")) == [
        (LEFT, HEIGHT - BOTTOM), ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2), (WIDTH - RIGHT, TOP),
    ]  # fmt: skip
    assert next(tree.iter("svg")).get("aria-label") == "a rising line"


def test_logarithms_and_what_they_cannot_show() -> None:
    """A factor of ten is the same length everywhere; zero and infinity are left out."""
    line = Line("", [1, 10, 100, 1000], [1e-3, 0, float("inf"), 1.0])
    tree = read(chart(Axis("x", is_log=True), Axis("y", is_log=True), [line], ""))
    (curve,) = [p for p in tree.iter("path") if p.get("class", "").startswith("curve")]
    assert points(curve.get("d")) == [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]
    texts = [t.text for t in tree.iter("text")]
    assert {"1", "10", "100", "1000", "0.001", "0.01", "0.1"} <= set(texts)


def test_short_logarithmic_axes_have_ticks_between() -> None:
    assert Axis("", is_log=True).ticks(0.6, 2.0) == pytest.approx([5, 10, 20, 50, 100])


def test_bounds_hold_curves() -> None:
    tree = read(chart(Axis("x"), Axis("y", low=0, high=1), [Line("", [0, 1], [-5, 5])], ""))
    (curve,) = [p for p in tree.iter("path") if p.get("class", "").startswith("curve")]
    assert {y for _, y in points(curve.get("d"))} == {TOP, HEIGHT - BOTTOM}


def test_names_are_words() -> None:
    evil = '<b>"x"</b>'
    html = charts(chart(Axis(evil), Axis(evil), [Line(evil, [0, 1], [0, 1])], evil), caption=evil)
    assert "<b>" not in html and not list(read(html).iter("b"))
    assert read(html).find("figcaption").text == evil


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (0.05, "0.05"), (1e-4, "1e-4"), (1e6, "1e6"), (0.30000000000000004, "0.3"), (2e4, "20,000")],
)
def test_numbers_at_axes(number: float, words: str) -> None:
    assert format_tick(number) == words
