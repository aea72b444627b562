"""The page: whole, alone, in order; and, in a browser, moved by keys and free of faults that shut people out."""

import re
from pathlib import Path
from typing import Any

import pytest

from noisette.cli import main
from noisette.report.explain import CHAPTERS, LESSONS, Subject, render_lesson_page, solvers
from noisette.report.viz.page import write_page
from report.viz.test_page import read

from .browser import opened


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the command, as people make it; without the two largest numbers of steps that samplers are compared at."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    with pytest.raises(SystemExit) as stop, pytest.MonkeyPatch.context() as patch:
        patch.setattr(solvers, "STEPS", (steps := solvers.STEPS[:-2]))
        patch.setattr(solvers, "REFERENCE", ("heun", steps[-1]))
        main(["explain", str(run), "--out", str(path), "--seed", "1"])
    assert not stop.value.code
    return path


@pytest.mark.slow
def test_the_page_is_complete_and_loads_nothing(page: Path, subject: Subject) -> None:
    document = page.read_text("utf-8")
    tags = read(document)
    assert all(a.startswith("data:image/png;base64,") or a in {f"#{n}" for n in CHAPTERS} for a in tags.addresses)
    assert not re.search(r"url\((?!data:)|@import|https?:", document)
    titles = [title for title, _ in CHAPTERS.values()]
    assert re.findall(r"<h2 id=\"(\w+)\">\d+\. ([^<]+)</h2>", document) == list(zip(CHAPTERS, titles, strict=True))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", document)
    assert document.count("<figure") == len(captions) > 20
    for caption in captions:  # a formula and a paper in every one
        assert 'class="maths"' in caption and re.search(r"\b(19|20)\d\d\b", caption), caption
    assert "`" not in re.sub(r"<script>.*</script>", "", document, flags=re.S)
    assert subject.model.hash[:12] in document and len(document) < 6_000_000


@pytest.mark.slow
def test_keys_move_the_pictures(browser: Any, page: Path) -> None:
    """Tab leads to every slider, the arrow keys move it, and the picture behind it is another one."""
    with opened(browser, page, 380, "dark") as (tab, requests, wrong):
        sliders = tab.locator("input[type=range]")
        film = tab.locator("#reverse ~ figure.scrubber").first
        slider, picture = film.locator("input"), film.locator(".film").nth(1)
        for _ in range(200):
            tab.keyboard.press("Tab")
            if slider.evaluate("e => e === document.activeElement"):
                break
        else:
            raise AssertionError("no Tab leads to the slider")
        before, text = picture.screenshot(), film.locator("output").inner_text()
        tab.keyboard.press("End")
        assert film.locator("output").inner_text() == "Done: t = 0" != text
        assert slider.get_attribute("aria-valuetext") == "Done: t = 0"
        assert picture.screenshot() != before
        tab.keyboard.press("Home")
        assert picture.screenshot() == before
        tab.keyboard.press("ArrowRight")
        assert film.locator("output").inner_text().startswith("Step 2 of")
        film.locator("button").press("Enter")
        tab.wait_for_function(
            "i => document.querySelectorAll('input[type=range]')[i].value > 3", arg=_index(sliders, slider)
        )
        assert (requests, wrong) == ([page.resolve().as_uri(), *(a for a in requests if a.startswith("data:"))], [])


def _index(sliders, slider) -> int:
    handle = slider.element_handle()
    return next(i for i in range(sliders.count()) if sliders.nth(i).evaluate("(a, b) => a === b", handle))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (380, "dark")])
def test_a_report_is_accessible(browser: Any, page: Path, width: int, scheme: str) -> None:
    """axe finds nothing serious, nothing is wider than the screen, and every pixel of a sprite is a square."""
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, page, width, scheme) as (tab, _, wrong):
        found = Axe().run(tab).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        sizes = tab.eval_on_selector_all(
            "img.px", "all => all.map(i => [i.clientWidth / i.naturalWidth, i.clientHeight / i.naturalHeight])"
        )
        assert sizes and all(w == h == int(w) for w, h in sizes)
        assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (1440, "light")])
def test_a_lesson_page_is_accessible(browser: Any, subject: Subject, tmp_path: Path, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    write_page(tmp_path / "lesson.html", render_lesson_page(subject, LESSONS["wrong-index"]))
    with opened(browser, tmp_path / "lesson.html", width, scheme) as (tab, _, wrong):
        found = Axe().run(tab).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == [] == wrong
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
