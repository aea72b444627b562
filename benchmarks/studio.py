"""The studio with a real model: how soon the first preview is there, and the pictures of docs/studio.md.

    python benchmarks/studio.py MODEL [--out docs/pictures]

Needs playwright and Chromium. The time is from the click to the first picture in the page, in the browser's own clock;
the first drawing, which loads the model, is left out.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

WAIT = 300_000  # milliseconds, for a busy machine
WATCH = """() => { const canvas = document.querySelector('#canvas'); let at = 0, old = null;
const shown = () => canvas.querySelector('img')?.src ?? null;
document.querySelector('#draw').addEventListener('click', () => {
  at = performance.now(); old = shown(); window.first = null; }, true);
new MutationObserver(() => { if (at && shown() !== old) window.first ??= performance.now() - at; })
  .observe(canvas, {childList: true, subtree: true, attributes: true}); }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a run folder, or a shipped model's name")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as workspace, sync_playwright() as playwright:
        words = [sys.executable, "-u", "-m", "noisette", "studio", options.model]
        words += ["--workspace", workspace, "--port", "0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = process.stdout.readline().split("open: ")[1].strip()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        page.set_default_timeout(WAIT)
        page.goto(url)
        page.get_by_text("million parameters").wait_for()
        times = [drawn(page, seed) for seed in range(6)][1:]
        print(f"first preview: median {statistics.median(times):.0f} ms of {', '.join(f'{t:.0f}' for t in times)}")
        page.screenshot(path=options.out / "studio-draw.png")
        kept(page)
        page.screenshot(path=options.out / "studio-keep.png")
        edited(page)
        page.screenshot(path=options.out / "studio-edit.png")
        slid(page)
        page.screenshot(path=options.out / "studio-sliders.png")
        browser.close()
        process.send_signal(signal.SIGINT)
        process.wait(60)


def drawn(page: Any, seed: int) -> float:
    """Milliseconds from the click to the first picture."""
    if seed == 0:
        page.evaluate(WATCH)
    page.locator("#seed input").fill(str(seed))
    page.locator("#draw").click()
    page.wait_for_timeout(200)
    page.wait_for_function("/Step (\\d+) of \\1,/.test(document.querySelector('.n-status').innerText)")
    return float(page.evaluate("window.first"))


def kept(page: Any) -> None:
    """Keep two, and generate variations of one."""
    page.get_by_role("tab", name="Keep").click()
    for i in (1, 4):
        page.locator('#board button[data-do="keep"]').nth(i).click()
        page.wait_for_timeout(400)
    page.locator('#board button[data-do="more"]').nth(1).click()
    page.locator("#board .n-cell").nth(11).wait_for()
    page.wait_for_timeout(400)


def edited(page: Any) -> None:
    """Mark a part of the first kept picture, and draw it anew."""
    page.locator('#shelf button[data-do="edit"]').first.click()
    page.locator("#brush canvas").wait_for()
    page.get_by_label("inpaint").check()
    page.get_by_label("Brush size").fill("4")
    box = page.locator("#brush canvas").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.7 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.7 * box["height"], steps=8)
    page.mouse.up()
    page.locator("#go").click()
    page.locator("#edited button").first.wait_for()
    page.wait_for_timeout(400)


def slid(page: Any) -> None:
    """Find directions, and go along two of them."""
    page.get_by_role("tab", name="Sliders").click()
    page.locator("#find").click()
    page.locator("#slide-1").wait_for()
    for slider, strength in (("slide-1", "1.5"), ("slide-2", "-1")):
        page.locator(f"#{slider} input[type=number]").fill(strength)
        page.locator(f"#{slider} input[type=number]").press("Tab")
    page.locator("#move").click()
    page.locator("#moved img").nth(3).wait_for()
    page.wait_for_timeout(4000)


if __name__ == "__main__":
    main()
