import sys

import pytest
from PIL import Image

from noisette.errors import InputError
from noisette.report.viz.trilemma import TrilemmaPoint, plot_trilemma


def point(sampler: str, calls: int, kid: float) -> TrilemmaPoint:
    return TrilemmaPoint(sampler, "karras", calls, 0.004 * calls, (kid, kid - 3, kid + 3), 1 / (1 + kid / 50))


POINTS = [point("ddim", n, 400 / n) for n in (4, 10, 100)] + [point("unipc", n, 160 / n**2 + 4) for n in (4, 10)]


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], [point("ddim", 4, -1.0), point("ddim", 8, -2.0)]])
def test_a_sheet_is_drawn(tmp_path, points) -> None:
    """Also of one point, and of values below 0, which no logarithmic scale can show."""
    plot_trilemma(points, points[-1], "a title", floor=0.5).write(tmp_path / "steps.png")
    with Image.open(tmp_path / "steps.png") as image:
        assert image.format == "PNG" and image.width > 1500 and len(image.convert("RGB").getcolors(1 << 20)) > 10
    assert [p.name for p in tmp_path.iterdir()] == ["steps.png"]


def test_what_is_recommended_is_ringed(tmp_path) -> None:
    for name, best in (("a", POINTS[-1]), ("b", POINTS[0])):
        plot_trilemma(POINTS, best, "a title").write(tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[plots\]'"):
        plot_trilemma(POINTS, POINTS[0], "a title").write(tmp_path / "steps.png")
    assert not list(tmp_path.iterdir())
