"""A studio as people start it, and a browser that looks at it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders import random_bert
from noisette.pictures import Pictures
from noisette.task import Segment, Upscale
from noisette.text import open_encoder
from tiny_models import tiny

ENV = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
SHOTS = os.environ.get("NOISETTE_SHOTS")  # a folder for screenshots, outside of the repository
READY = 60_000  # milliseconds that a busy machine may take for anything
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


@dataclass(frozen=True)
class Studio:
    url: str
    workspace: Path
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: of 16×16 with three labels, without any, slow, with attributes, with words, one that
    enlarges, one that finds masks; pictures; a private file."""
    top = tmp_path_factory.mktemp("studio")
    folder = top / "runs"
    tiny(height=16, width=16).save_pretrained(folder / "tiny")
    tiny("L", (), width=12, seed=1).save_pretrained(folder / "grey")
    tiny(height=32, width=32, channels=(32, 64)).save_pretrained(folder / "slow")
    told = {"attributes": ("hue", "shape=round", "shape=square"), "means": (0.5, 0.0, 0.0), "scales": (0.2, 1.0, 1.0)}
    tiny(**told).save_pretrained(folder / "told")  # type: ignore[arg-type]
    wording = open_encoder(str(random_bert(top / "bert"))).wording
    tiny(labels=(), wording=wording, seed=3).save_pretrained(folder / "words")
    tiny(height=16, width=16, task=Upscale(2)).save_pretrained(folder / "larger")
    tiny("L", (), 16, 16, task=Segment(Pictures("RGBA", 16, 16))).save_pretrained(folder / "finder")
    rng = np.random.default_rng(0)
    for i in range(40):
        place = folder / "squares" / ("food", "tool")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        above, left = rng.integers(0, 4, 2)
        pixels[above : above + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    (folder / "secret.txt").write_text("private")
    tiny(seed=2).save_pretrained(top / "outside")
    return folder


def opened(*arguments: object) -> tuple["subprocess.Popen[str]", str]:
    """noisette studio …, and the address that it printed."""
    command = [sys.executable, "-m", "noisette", "studio", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("the studio is open: "), line
    return process, line.removeprefix("the studio is open: ").strip()


@pytest.fixture(scope="session")
def studio(workspace: Path) -> Iterator[Studio]:
    process, url = opened(workspace / "tiny", "--workspace", workspace, "--port", 0)
    yield Studio(url, workspace, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130)


@dataclass
class Visit:
    """A visitor's page, and all that it asked for."""

    page: Any
    asked: list[str] = field(default_factory=list)

    def shot(self, name: str) -> None:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    def settle(self) -> None:
        """Until a part that has just been opened stands: Gradio puts its values in a frame after it is seen."""
        self.page.evaluate(SETTLED)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()
        self.page.get_by_role("tab", name=name, exact=True, selected=True).wait_for(timeout=READY)
        self.settle()

    def unfold(self, name: str, control: str) -> None:
        """Open an accordion, and wait until one of its controls is there."""
        self.page.get_by_role("button", name=name).click()
        self.page.locator(f"#{control}").wait_for(timeout=READY)
        self.settle()

    def ask(self, control: str, value: float) -> None:
        """Set a slider or a number, and see that it stays so."""
        field = self.page.locator(f"#{control} input[type=number]")

        def holds() -> bool:
            if field.input_value() != str(value):
                field.fill(str(value))
                field.press("Tab")
                self.settle()
                return False
            return True

        self.until(holds, f"{control} to be {value}")

    def said(self, words: str) -> None:
        """Wait until the page says so."""
        self.page.get_by_text(words).first.wait_for(timeout=READY)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is so, however long a busy machine takes."""
        end = time.monotonic() + READY / 1000
        while not true():
            assert time.monotonic() < end, f"waited in vain for {what}"
            self.page.wait_for_timeout(50)

    def pictures(self, where: str = "#canvas") -> list[str]:
        """What a part of the page shows now, in one look."""
        found: list[str] = self.page.evaluate(
            "(where) => [...document.querySelectorAll(where + ' img')].map((i) => i.src)", where
        )
        return found


@contextmanager
def visited(browser: Any, studio: Studio, scheme: Any = "light") -> Iterator[Visit]:
    """A new visitor. Whatever the page asked for was asked of the studio."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(READY)
    visit = Visit(context.new_page())
    complaints: list[str] = []
    context.on("request", lambda request: visit.asked.append(request.url))
    visit.page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    visit.page.goto(studio.url)
    visit.page.locator("#draw").wait_for(timeout=READY)
    visit.said("3 labels")
    visit.settle()
    yield visit
    visit.asked += [c for c in complaints if "Content Security Policy" in c]
    context.close()
    foreign = [url for url in visit.asked if not url.startswith((studio.url, "data:", "blob:"))]
    assert foreign == [] and visit.asked


@pytest.fixture
def visit(browser: Any, studio: Studio) -> Iterator[Visit]:
    with visited(browser, studio) as visit:
        yield visit
