"""The studio in Chromium: every feature, as a visitor uses it."""

import re
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from noisette.data.palette import Palette
from noisette.data.png import read_png
from noisette.models.config import from_json
from noisette.models.picture_model import load
from noisette.sampling.generate import generate
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from studio.conftest import READY, Studio, Visit, visited

pytestmark = pytest.mark.slow


STATUS = ".n-status >> nth=0"


def draw(visit: Visit) -> None:
    """Draw, and wait until the page shows the last step of this drawing, not of an earlier one."""
    before = visit.pictures()
    visit.page.locator("#draw").click()
    visit.until(lambda: visit.pictures() not in ([], before), "the first preview")
    visit.wait_for_text("Step 4 of 4")


def status(visit: Visit) -> str:
    return str(visit.page.locator(STATUS).inner_text())


def choose(visit: Visit, control: str, name: str) -> None:
    """Choose from a list."""
    visit.page.locator(f"#{control} input").click()
    visit.page.get_by_role("option", name=name, exact=True).click()


def slow(visit: Visit) -> None:
    """Choose slow settings: 250 steps of the larger model."""
    choose(visit, "model", "slow")
    visit.wait_for_text("RGBA, 32×32")
    visit.unfold("Sampling settings", "steps")
    visit.set_number("steps", 250)


def test_draw_shows_each_step_and_can_go_back(visit: Visit) -> None:
    page = visit.page
    visit.set_number("number", 3)
    page.evaluate(
        """() => { window.steps = new Set();
        new MutationObserver(() => { const img = document.querySelector('#canvas img');
          if (img) window.steps.add(img.src); })
        .observe(document.body, {childList: true, subtree: true, attributes: true}); }"""
    )
    draw(visit)
    end = visit.pictures()
    assert len(end) == 3
    assert page.evaluate("window.steps.size") >= 2  # previews were shown; benchmarks/studio.py measures how soon
    visit.shot("draw")
    page.locator("#scrub input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    visit.wait_for_text("Step 3 of 4")
    before = visit.pictures()
    assert before != end
    page.get_by_label("noisy picture x_t").check()
    visit.until(lambda: visit.pictures() != before, "the noise")
    draw(visit)
    page.get_by_label("predicted picture x̂0").check()
    visit.until(lambda: visit.pictures() == end, "the same pictures of the same seeds")


def reach(visit: Visit, selector: str, words: str = "") -> None:
    """Press Tab until this element has the focus."""
    there = (
        "([s, words]) => document.activeElement.matches(s) && document.activeElement.innerText.trim().includes(words)"
    )
    for _ in range(150):
        if visit.page.evaluate(there, [selector, words]):
            return
        visit.page.keyboard.press("Tab")
    raise AssertionError(f"no key leads to {selector}")


def test_all_can_be_done_with_the_keyboard(visit: Visit) -> None:
    """Draw, keep, mark a region and inpaint it, with Tab, Enter and Space only."""
    page, press = visit.page, visit.page.keyboard.press
    reach(visit, "#draw")
    press("Enter")
    visit.wait_for_text("Step 4 of 4")
    assert len(visit.pictures()) == 8
    reach(visit, "[role=tab]", "Keep")
    press("Enter")
    page.locator("#board .n-cell").first.wait_for()
    reach(visit, '#board button[data-do="keep"]')
    press("Enter")
    page.locator("#shelf img").wait_for()
    reach(visit, '#shelf button[data-do="edit"]')
    press("Enter")
    page.locator("#brush canvas").wait_for()
    visit.settle()
    reach(visit, '#kind input[value="inpaint"]')
    press("Space")
    visit.until(lambda: page.get_by_label("inpaint").is_checked(), "another kind of edit")
    page.get_by_label("Brush size").wait_for()
    reach(visit, "#brush canvas")
    press("Space")
    visit.wait_for_text("4 of 256 pixels marked")
    reach(visit, "#go")
    visit.wait_for_text("4 of 256 pixels marked")
    press("Enter")
    visit.until(lambda: len(visit.pictures("#edited")) == 4, "what was drawn there")


def test_branch_keep_variations_and_export(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    page = visit.page
    visit.set_number("number", 3)
    draw(visit)
    page.locator("#scrub input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    visit.wait_for_text("Step 2 of 4")
    visit.unfold("Branch at this step", "branch")
    visit.set_number("fork", 77)
    page.locator("#branch").click()
    visit.wait_for_text("Step 4 of 4, finished; branched off after step 2")
    visit.until(lambda: len(visit.pictures("#twig")) == 3, "the branch")
    assert visit.pictures("#twig") != visit.pictures()
    page.locator("#take").click()
    visit.shot("branch")
    visit.tab("Keep")
    page.locator("#board .n-cell").nth(5).wait_for(timeout=READY)
    page.locator('#board button[data-do="keep"]').nth(1).click()
    page.locator("#shelf img").wait_for(timeout=READY)
    page.locator('#board button[data-do="reject"]').nth(0).click()
    page.locator("#board .n-rejected").wait_for(timeout=READY)
    before = visit.pictures("#board")
    page.locator("#replace").click()
    page.locator("#board .n-rejected").wait_for(state="detached", timeout=READY)
    after = visit.pictures("#board")
    assert after[0] != before[0] and after[1:] == before[1:]
    page.locator('#board button[data-do="more"]').nth(1).click()
    page.locator("#board .n-cell").nth(17).wait_for(timeout=READY)
    family = visit.pictures("#board")
    assert (
        family[:2] + family[14:] == after and len(set(family)) == 18
    )  # twelve were inserted after the second, and none removed
    page.locator('#board button[data-do="keep"]').nth(5).click()
    page.locator("#shelf img").nth(1).wait_for(timeout=READY)
    page.locator("#mutate").click()
    page.wait_for_function("(old) => document.querySelector('#board img').src !== old", arg=family[0], timeout=READY)
    page.locator("#board .n-cell").nth(11).wait_for(timeout=READY)
    visit.shot("keep")
    page.locator("#export").click()
    files = downloaded(visit, "#exported", tmp_path / "kept")
    kept = [p for p in files if p.name != "sheet.png"]
    assert len(kept) == 2 and len(files) == 3
    model = load(studio.workspace / "tiny")
    for path in kept:  # each can be reproduced byte for byte from its metadata
        pixels, metadata = read_png(path)
        drawn = model.pictures.decode_samples(reproduce(model, from_json(SampleRecord, metadata, path.name)))
        assert (drawn == pixels).all()
        assert Image.open(path).size == (16, 16)
    # in the colors of a palette file, as a sheet for an engine
    Palette(("#202020", "#ff8000", "#ffffff")).write(tmp_path / "mine.gpl")
    visit.unfold("Palette of the exported pictures", "palette")
    page.locator("#palette-file input[type=file]").set_input_files(tmp_path / "mine.gpl")
    visit.until(lambda: page.locator("#palette textarea, #palette input").input_value() != "", "the palette")
    page.get_by_label("Tiled").check()
    page.locator("#export").click()
    link = page.locator("#exported a[download]").first
    visit.until(lambda: "tiled" in (link.get_attribute("href") or ""), "the sheet")
    names = {path.name for path in downloaded(visit, "#exported", tmp_path / "sheet")}
    assert names == {"sheet.png", "sheet.tsx"}
    with Image.open(tmp_path / "sheet" / "sheet.png") as image:
        assert image.mode == "P" and image.getpalette()[:9] == [32, 32, 32, 255, 128, 0, 255, 255, 255]
        assert image.size in ((16, 32), (32, 16))


def test_stop_button_stops_sampling(visit: Visit) -> None:
    """The last preview stays. If sampling ended before the click, the test tries again."""
    slow(visit)
    for _ in range(5):
        visit.page.locator("#draw").click()
        visit.until(lambda: re.match(r"Step \d+ of 250", status(visit)) is not None, "the first steps")
        visit.page.locator("#stop").click()
        seen = [""]

        def still(seen: list[str] = seen) -> bool:
            seen.append(status(visit))
            return len(seen) > 20 and len(set(seen[-20:])) == 1

        visit.until(still, "the walk to stop")
        if not status(visit).startswith("Step 250 "):
            break
    assert not status(visit).startswith("Step 250 ")


def test_two_visitors_draw_in_turn(visit: Visit, browser: Any, studio: Studio) -> None:
    """The second sees its place in the queue, and gets its pictures."""
    slow(visit)
    with visited(browser, studio) as other:
        queued = other.page.get_by_text("queue:").first
        for _ in range(5):
            visit.page.locator("#draw").click()
            visit.until(lambda: re.match(r"Step \d+ of 250", status(visit)) is not None, "the first steps")
            other.page.locator("#draw").click()
            other.until(lambda: queued.is_visible() or "Step 4 of 4" in status(other), "its place or its pictures")
            waited = queued.is_visible()
            visit.page.locator("#stop").click()
            other.wait_for_text("Step 4 of 4")
            if waited:
                break
        assert waited
        assert len(other.pictures()) == 8


def test_controls_change_with_the_model(visit: Visit) -> None:
    choose(visit, "model", "gray")
    visit.page.get_by_label("Labels").wait_for(state="hidden", timeout=READY)
    draw(visit)
    assert len(visit.pictures()) == 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_fits_the_screen(browser: Any, studio: Studio, scheme: Any) -> None:
    """axe-core finds no serious fault, and nothing is wider than the screen, at two screen widths."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    widths: dict[int, float] = {}  # screen width: width of the page, which is the same on all tabs
    with visited(browser, studio, scheme) as visit:
        for tab in visit.page.get_by_role("tab").all_inner_texts():
            visit.tab(tab)
            if tab == "Draw":
                draw(visit)
            for width in (1440, 380) if scheme == "light" else (1440,):  # colors do not depend on the width
                visit.page.set_viewport_size({"width": width, "height": 900})
                visit.settle()
                taken = visit.page.evaluate("document.querySelector('.gradio-container').getBoundingClientRect().width")
                assert taken == widths.setdefault(width, taken), tab
                visit.shot(f"{tab.lower()}-{width}-{scheme}")
                assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, tab
                found = axe.run(visit.page).response["violations"]
                serious = [v for v in found if v["impact"] in ("serious", "critical")]
                assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious] == [], (tab, width)
            visit.page.set_viewport_size({"width": 1440, "height": 900})
            visit.settle()
    assert widths[1440] == 76 * 16


def downloaded(visit: Visit, where: str, folder: Any) -> list[Any]:
    """Download the zip file that is offered there, and unpack it; its files."""
    link = visit.page.locator(f"{where} a[download]").first
    link.wait_for(timeout=READY)
    with visit.page.expect_download(timeout=READY) as download:
        link.click()
    with zipfile.ZipFile(download.value.path()) as packed:
        packed.extractall(folder)
    return sorted(folder.iterdir())


def test_mask_drawn_with_mouse_or_keys_is_inpainted(visit: Visit, tmp_path: Any) -> None:
    page = visit.page
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "mine; rm.png")
    visit.tab("Edit")
    visit.wait_for_text("Upload a picture, or press Edit below a kept picture.")
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "mine; rm.png")
    visit.wait_for_text("Ready: press Edit.")
    paper = page.locator("#brush canvas")
    paper.wait_for(timeout=READY)
    page.locator("#go").click()  # the default edit, vary
    visit.until(lambda: len(visit.pictures("#edited")) == 4, "the variations")
    page.locator("#edited button").first.wait_for(timeout=READY)
    page.get_by_label("inpaint").check()
    page.get_by_label("Brush size").wait_for(timeout=READY)
    paper.focus()
    for key in ("Space", "ArrowRight", "Shift+ArrowRight", "ArrowDown", "Delete"):
        page.keyboard.press(key)  # 2×2 in a corner, two more columns, and without the last two of the second row
    visit.wait_for_text("6 of 256 pixels marked")
    box = paper.bounding_box()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.45 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.45 * box["height"])
    page.mouse.up()
    visit.until(lambda: "of 256" in page.locator("#brush .n-status").inner_text(), "the marking")
    number = int(page.locator("#brush .n-status").inner_text().split()[0])
    assert number > 10
    visit.set_number("edit-number", 2)
    page.locator("#go").click()
    visit.until(lambda: len(visit.pictures("#edited")) == 2 and page.locator("#edited button").count() == 2, "two")
    visit.shot("edit")
    page.locator("#edit-export").click()
    made = downloaded(visit, "#edit-exported", tmp_path / "out")
    assert [p.name for p in made] == ["inpaint-000000.png", "inpaint-000001.png"]
    changed = np.zeros((16, 16), dtype=bool)
    for path in made:
        changed |= (np.array(Image.open(path)) != noise).any(2)
    assert 0 < changed.sum() <= number  # all other pixels are unchanged
    page.locator("#edited button").first.click()
    visit.wait_for_text("0 of 256 pixels marked")  # the result is now the picture


def test_kept_picture_can_be_edited(visit: Visit) -> None:
    page = visit.page
    draw(visit)
    visit.tab("Keep")
    page.locator('#board button[data-do="keep"]').first.click()
    page.locator('#shelf button[data-do="edit"]').click()
    page.get_by_role("tab", name="Edit", selected=True).wait_for(timeout=READY)
    page.locator("#brush canvas").wait_for(timeout=READY)
    for kind in ("outpaint", "make seamless"):
        before = visit.pictures("#edited")
        page.get_by_label(kind).check()
        visit.set_number("rounds", 1)
        page.locator("#go").click()
        visit.until(
            lambda before=before: page.locator("#edited button").count() == 4 and visit.pictures("#edited") != before,
            kind,
        )
    page.get_by_label("upscale").check()
    page.locator("#go").click()
    visit.wait_for_text("a whole factor, 2 or more")


def test_page_offers_the_task_of_each_model(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    """Text to image, upscaling, segmentation: the page offers the task of each model, and performs it."""
    page = visit.page
    pictures = {side: tmp_path / f"{side}.png" for side in (8, 16)}
    for side, path in pictures.items():
        rng = np.random.default_rng(side)
        Image.fromarray(rng.integers(0, 256, (side, side, 4), dtype=np.uint8)).save(path)
    offered = page.locator("#kind label")

    def edit(model: str, side: int, number: int, what: str) -> None:
        before = visit.pictures("#edited")
        choose(visit, "model", model)
        visit.wait_for_text({"words": "reads text", "larger": "it can upscale", "finder": "it can segment"}[model])
        visit.settle()
        page.locator("#picture input[type=file]").set_input_files(pictures[side])
        page.locator("#brush canvas").wait_for(timeout=READY)
        page.locator("#go").click()
        buttons = page.locator("#edited button")  # beside what is done
        visit.until(lambda: buttons.count() == number and visit.pictures("#edited") != before, what)
        page.locator(
            "#picture button[aria-label='Remove this file'], #picture button[aria-label='Clear']"
        ).first.click()
        page.locator("#brush canvas").wait_for(state="hidden", timeout=READY)

    visit.tab("Edit")
    visit.set_number("edit-number", 3)
    for text in ("a red fish", "a big blue tool"):
        choose(visit, "model", "words")
        page.locator("#edit-text textarea, #edit-text input").first.fill(text)
        edit("words", 8, 3, text)
    assert offered.count() == 5  # the two texts gave different results, otherwise edit() would have timed out
    edit("larger", 8, 3, "what was enlarged")
    assert offered.all_inner_texts() == ["upscale"]
    edit("finder", 16, 5, "mask")
    assert offered.all_inner_texts() == ["segment"]
    assert page.locator("#edited").get_by_text("uncertainty").is_visible()
    choose(visit, "model", "tiny")
    visit.until(lambda: offered.count() == 5, "what this one can do")


def test_walk_between_two_kept_pictures(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    page = visit.page
    visit.set_number("number", 2)
    draw(visit)
    visit.tab("Keep")
    for i in (0, 1):
        page.locator('#board button[data-do="keep"]').nth(i).click()
        page.locator("#shelf img").nth(i).wait_for(timeout=READY)
    visit.tab("Walk")
    visit.until(lambda: page.locator("#walk-to input").input_value().startswith("2: "), "what was kept")
    page.get_by_label("Loop: back to the start").uncheck()
    page.get_by_label("animated PNG").check()
    visit.set_number("frames", 5)
    page.locator("#walk").click()
    page.locator("#walked .n-film").wait_for(timeout=READY)
    visit.shot("walk")
    assert len(visit.pictures("#walked")) == 6
    files = downloaded(visit, "#film", tmp_path / "walk")
    assert [p.name for p in files] == [*(f"frame-0{i}.png" for i in range(5)), "walk.png"]
    model = load(studio.workspace / "tiny")
    ends = generate(model, [0, 1], model.condition(["bread", "health potion"], 2), model.sampler(), model.grid())
    wanted = model.pictures.decode_samples(list(ends)[-1].x)
    for path, row in ((files[0], wanted[0]), (files[4], wanted[1])):
        apart = np.array(Image.open(path)).astype(int) - row.permute(1, 2, 0).numpy()
        assert np.abs(apart).max() <= 1  # a walk starts at one picture and ends at the other


def test_sliders_move_pictures_along_directions(visit: Visit) -> None:
    page = visit.page
    visit.tab("Sliders")
    page.locator("#find").click()
    visit.wait_for_text("7 directions")  # four components, three labels
    page.locator("#move").click()
    page.get_by_label("Pictures moved along the directions").wait_for()  # the final pictures, not the previews
    assert len(visit.pictures("#moved")) == 4
    plain = visit.pictures("#moved")
    page.locator("#slide-1 input[type=range]").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    visit.set_number("slide-6", -2)
    visit.until(lambda: visit.pictures("#moved") != plain, "the pictures to move")
    visit.shot("sliders")
    page.locator("#level").click()
    visit.until(lambda: visit.pictures("#moved") == plain, "the pictures as they were")


def test_draw_from_text(visit: Visit) -> None:
    page = visit.page
    choose(visit, "model", "words")
    visit.wait_for_text("reads text")
    visit.set_number("number", 2)
    found = []
    for text in ("a red fish", "a big blue tool"):
        page.locator("#text textarea, #text input").first.fill(text)
        draw(visit)
        assert page.get_by_text(f"{text}, seed 1").is_visible()
        found.append(visit.pictures())
    assert found[0] != found[1]


def test_draw_with_label_mixture_and_attributes(visit: Visit) -> None:
    page = visit.page
    choose(visit, "model", "attributes")
    page.get_by_role("textbox", name="Attributes").wait_for(timeout=READY)
    visit.wait_for_text("attributes: shape (round or square), hue (a number)")
    visit.add_label("bread:0.5,sword:0.5")
    visit.set_number("number", 2)
    page.get_by_role("textbox", name="Attributes").fill("hue=0.3, shape=round")
    draw(visit)
    visit.wait_for_text("bread:0.5,sword:0.5, seed 1")
    page.get_by_role("textbox", name="Attributes").fill("hue=red")
    page.locator("#draw").click()
    visit.wait_for_text("the attribute 'hue' is a number")


def test_uploaded_folder_keeps_its_labels(visit: Visit, studio: Studio) -> None:
    visit.tab("Train")
    visit.page.locator("#folder input").set_input_files(studio.workspace / "squares")
    visit.wait_for_text("40 files packed")
    visit.page.locator("#files").get_by_text("folder").first.wait_for(timeout=READY)
    visit.page.locator("#look").click()
    visit.wait_for_text("food 20, tool 20")


def test_train_watch_stop_and_resume(visit: Visit, studio: Studio, tmp_path: Any) -> None:
    page = visit.page
    upload = tmp_path / "odd; name.zip"
    with zipfile.ZipFile(upload, "w") as packed:
        for path in sorted((studio.workspace / "squares").rglob("*.png")):
            packed.write(path, path.relative_to(studio.workspace / "squares"))
    visit.tab("Train")
    page.locator("#files input[type=file]").set_input_files(upload)
    page.get_by_text("odd; name").first.wait_for(timeout=READY)
    page.locator("#look").click()
    visit.wait_for_text("food 20, tool 20")
    visit.shot("look")
    page.locator("#name input, #name textarea").first.fill("../away")
    page.locator("#start").click()
    visit.wait_for_text("is not a valid run name")
    page.locator("#name input, #name textarea").first.fill("my squares")
    page.locator("#minutes input").fill("0.2")
    assert page.locator("#origin input").input_value() == "automatic"
    choose(visit, "origin", "tiny")
    page.locator("#start").click()
    visit.wait_for_text("my squares: training, reading the pictures and planning the time")
    assert page.get_by_role("heading", name="Samples during training").count() == 0  # no heading without content
    page.get_by_text("images, ").first.wait_for(timeout=3 * READY)
    page.locator("#growth img").first.wait_for(timeout=READY)
    page.locator("#halt").click()
    visit.wait_for_text("my squares: stopp")
    page.get_by_text("my squares: stopped").first.wait_for(timeout=READY)
    assert not (studio.workspace / "my squares" / "lock").exists()
    visit.wait_for_text("40 (")
    page.locator("#resume").click()
    visit.wait_for_text("my squares: training")
    page.get_by_text("my squares: finished").first.wait_for(timeout=3 * READY)
    page.locator("#curves svg").first.wait_for(timeout=READY)
    visit.shot("runs")
    assert sorted(p.name for p in (studio.workspace / ".studio").iterdir()) == [
        "my squares.json", "my squares.log", "uploads",
    ]  # fmt: skip
    visit.page.reload()
    page.locator("#draw").wait_for(timeout=READY)
    visit.settle()
    choose(visit, "model", "my squares")
    visit.wait_for_text("2 labels")
    assert [origin.name for origin in load(studio.workspace / "my squares").config.origins] == ["tiny"]
