"""The studio in Chromium: every feature, as a visitor uses it."""

import time
import zipfile
from typing import Any

import pytest
from PIL import Image

from noisette.config import from_json
from noisette.edit.origin import Origin, again
from noisette.model import load
from noisette.viz.png import read_png
from studio.conftest import READY, Studio, Visit

pytestmark = pytest.mark.slow


def pictures(visit: Visit, where: str = "#canvas") -> list[str]:
    return [i.get_attribute("src") for i in visit.page.locator(f"{where} img").all()]


def draw(visit: Visit) -> None:
    visit.page.locator("#draw").click()
    visit.said("Step 4 of 4")


def ask(visit: Visit, control: str, value: int) -> None:
    """Set a slider or a number."""
    field = visit.page.locator(f"#{control} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def test_draws_step_by_step_and_back_again(visit: Visit) -> None:
    page = visit.page
    ask(visit, "number", 3)
    page.evaluate(
        """() => { window.first = null; window.steps = new Set(); const began = {};
        document.querySelector('#draw').addEventListener('click', () => { began.at = performance.now(); }, true);
        new MutationObserver(() => { const img = document.querySelector('#canvas img');
          if (img) { window.steps.add(img.src); window.first ??= performance.now() - began.at; } })
        .observe(document.body, {childList: true, subtree: true, attributes: true}); }"""
    )
    draw(visit)
    assert len(pictures(visit)) == 3
    assert page.evaluate("window.steps.size") >= 2  # it was seen on its way
    waited = page.evaluate("window.first")
    assert waited < 3000, f"the first preview took {waited:.0f} ms"  # benchmarks/studio.py measures it
    visit.shot("draw")
    end = pictures(visit)
    page.locator("#scrub input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    visit.said("Step 3 of 4")
    assert pictures(visit) != end
    page.get_by_label("where the walk is").check()
    page.keyboard.press("ArrowLeft")
    draw(visit)
    page.get_by_label("what the model sees").check()
    page.wait_for_timeout(300)
    assert pictures(visit) == end  # the same seeds, the same pictures


def test_the_keyboard_alone_suffices(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == "draw":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "draw"
    page.keyboard.press("Enter")
    visit.said("Step 4 of 4")
    assert len(pictures(visit)) == 8


def test_branches_keeps_breeds_and_exports(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    page = visit.page
    ask(visit, "number", 3)
    draw(visit)
    page.locator("#scrub input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    visit.said("Step 2 of 4")
    page.get_by_text("Branch off at this step").click()
    page.get_by_label("Seed from here").fill("77")
    page.locator("#branch").click()
    visit.said("branched off after step 2")
    page.get_by_text("Step 4 of 4").first.wait_for(timeout=READY)
    page.wait_for_timeout(300)
    assert len(pictures(visit, "#twig")) == 3 and pictures(visit, "#twig") != pictures(visit)
    page.locator("#take").click()
    visit.shot("branch")
    visit.tab("Keep")
    page.locator("#board .n-cell").nth(5).wait_for(timeout=READY)
    page.locator('#board button[data-do="keep"]').nth(1).click()
    page.locator("#shelf img").wait_for(timeout=READY)
    page.locator('#board button[data-do="reject"]').nth(0).click()
    page.locator("#board .n-rejected").wait_for(timeout=READY)
    before = pictures(visit, "#board")
    page.locator("#replace").click()
    page.locator("#board .n-rejected").wait_for(state="detached", timeout=READY)
    after = pictures(visit, "#board")
    assert after[0] != before[0] and after[1:] == before[1:]
    page.locator('#board button[data-do="more"]').nth(1).click()
    page.locator("#board .n-cell").nth(11).wait_for(timeout=READY)
    family = pictures(visit, "#board")
    assert len(set(family)) == 12
    page.locator('#board button[data-do="keep"]').nth(5).click()
    page.locator("#shelf img").nth(1).wait_for(timeout=READY)
    page.locator("#mutate").click()
    page.wait_for_function("(old) => document.querySelector('#board img').src !== old", arg=family[0], timeout=READY)
    page.locator("#board .n-cell").nth(11).wait_for(timeout=READY)
    visit.shot("keep")
    page.locator("#export").click()
    link = page.locator("#exported a[download]").first
    link.wait_for(timeout=READY)
    with page.expect_download(timeout=READY) as download:
        link.click()
    with zipfile.ZipFile(download.value.path()) as packed:
        packed.extractall(tmp_path)
    kept = sorted(p for p in tmp_path.iterdir() if p.name != "sheet.png")
    assert len(kept) == 2 and (tmp_path / "sheet.png").exists()
    model = load(studio.workspace / "tiny")
    for path in kept:  # each says how to draw it again, to the last byte
        pixels, told = read_png(path)
        drawn = model.pictures.finished(again(model, from_json(Origin, told, path.name)))
        assert (drawn == pixels).all()
        assert Image.open(path).size == (16, 16)


def test_stops_at_any_time(visit: Visit) -> None:
    page = visit.page
    page.get_by_text("How it walks").click()
    ask(visit, "steps", 250)
    page.locator("#draw").click()
    visit.said("of 250")
    page.locator("#stop").click()
    page.wait_for_timeout(500)
    where = page.locator(".n-status").first.inner_text()
    page.wait_for_timeout(700)
    assert page.locator(".n-status").first.inner_text() == where
    assert not where.startswith("Step 250 ")


def test_two_visitors_draw_in_turn(visit: Visit, browser: Any, studio: Studio) -> None:
    """The second sees its place, and gets its pictures."""
    page = visit.page
    page.get_by_text("How it walks").click()
    ask(visit, "steps", 200)
    other = browser.new_context().new_page()
    other.goto(studio.url)
    other.locator("#draw").wait_for(timeout=READY)
    page.locator("#draw").click()
    visit.said("of 200")
    other.locator("#draw").click()
    other.get_by_text("queue:").first.wait_for(timeout=READY)
    visit.page.locator("#stop").click()
    other.get_by_text("Step 4 of 4").first.wait_for(timeout=READY)
    other.context.close()


def test_another_model_has_its_own_controls(visit: Visit) -> None:
    page = visit.page
    page.locator("#model input").click()
    page.get_by_role("option", name="grey").click()
    page.get_by_label("Labels").wait_for(state="hidden", timeout=READY)
    draw(visit)
    assert len(pictures(visit)) == 8


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 380)])
def test_is_accessible_and_fits(browser: Any, studio: Studio, scheme: Any, width: int) -> None:
    """No serious fault that axe-core knows, and nothing wider than the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    visit = Visit(context.new_page())
    visit.page.goto(studio.url)
    visit.said("3 labels")
    for tab in visit.page.get_by_role("tab").all_inner_texts():
        visit.tab(tab)
        if tab == "Draw":
            draw(visit)
        visit.page.wait_for_timeout(300)
        visit.shot(f"{tab.lower()}-{width}-{scheme}")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, tab
        found = axe.run(visit.page).response["violations"]
        serious = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], tab
    context.close()


def test_forgets_nothing_while_it_waits(visit: Visit) -> None:
    """A page that was left alone for a while still has its walk."""
    draw(visit)
    time.sleep(1)
    visit.page.locator("#scrub input[type=range]").focus()
    visit.page.keyboard.press("ArrowLeft")
    visit.said("Step 3 of 4")


def test_trains_watches_stops_and_goes_on(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    page = visit.page
    upload = tmp_path / "odd; name.zip"
    with zipfile.ZipFile(upload, "w") as packed:
        for path in sorted((studio.workspace / "squares").rglob("*.png")):
            packed.write(path, path.relative_to(studio.workspace / "squares"))
    visit.tab("Train")
    page.locator("#files input[type=file]").set_input_files(upload)
    page.get_by_text("odd; name").first.wait_for(timeout=READY)
    page.locator("#look").click()
    visit.said("food 20, tool 20")
    visit.shot("look")
    page.locator("#name input, #name textarea").first.fill("../away")
    page.locator("#start").click()
    visit.said("is no name for a run")
    page.locator("#name input, #name textarea").first.fill("my squares")
    page.locator("#minutes input").fill("0.4")
    page.locator("#start").click()
    visit.said("my squares: training")
    page.get_by_text("images, ").first.wait_for(timeout=3 * READY)
    page.locator("#growth img").first.wait_for(timeout=READY)
    page.locator("#halt").click()
    visit.said("my squares: stopp")
    page.get_by_text("my squares: stopped").first.wait_for(timeout=READY)
    assert not (studio.workspace / "my squares" / "lock").exists()
    visit.said("40 (")
    page.locator("#resume").click()
    visit.said("my squares: training")
    page.get_by_text("my squares: finished").first.wait_for(timeout=3 * READY)
    page.locator("#curves svg").first.wait_for(timeout=READY)
    visit.shot("runs")
    assert sorted(p.name for p in (studio.workspace / ".studio").iterdir()) == [
        "my squares.json", "my squares.log", "uploads",
    ]  # fmt: skip
    visit.page.reload()
    page.locator("#model input").click()
    page.get_by_role("option", name="my squares").click()
    visit.said("2 labels")
