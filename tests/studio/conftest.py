"""A running studio, started from the command line, and a browser that opens its page."""

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
from noisette.data.pictures import Pictures
from noisette.data.text import open_encoder
from noisette.models.task import Segment, Upscale
from tiny_models import tiny

ENV = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
SHOTS = os.environ.get("NOISETTE_SHOTS")  # a folder for screenshots, outside of the repository
READY = 60_000  # timeout in milliseconds, long enough for a busy machine
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


@dataclass(frozen=True)
class Studio:
    address: str  # as printed, with the token
    workspace: Path
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        return self.address.partition("?")[0]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.address.partition('?token=')[2]}"}


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: 16×16 with three labels, without labels, slow, with attributes, with text, for upscaling, for
    segmentation; pictures; a private file."""
    top = tmp_path_factory.mktemp("studio")
    folder = top / "runs"
    tiny(height=16, width=16).save_pretrained(folder / "tiny")
    tiny("L", (), width=12, seed=1).save_pretrained(folder / "gray")
    tiny(height=32, width=32, channels=(32, 64)).save_pretrained(folder / "slow")
    conditioned = {
        "attributes": ("hue", "shape=round", "shape=square"),
        "means": (0.5, 0.0, 0.0),
        "scales": (0.2, 1.0, 1.0),
    }
    tiny(**conditioned).save_pretrained(folder / "attributes")  # type: ignore[arg-type]
    wording = open_encoder(str(random_bert(top / "bert"))).info
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
    """Start `noisette studio` with these arguments; the process, and the address that it printed."""
    command = [sys.executable, "-m", "noisette", "studio", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("the studio is open: "), line
    return process, line.removeprefix("the studio is open: ").strip()


@pytest.fixture(scope="session")
def studio(workspace: Path) -> Iterator[Studio]:
    encoder = workspace.parent / "bert"
    process, url = opened(workspace / "tiny", "--workspace", workspace, "--port", 0, "--trust-encoder", encoder)
    yield Studio(url, workspace, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130)


@dataclass
class Visit:
    """A visitor's page, and the URLs that it requested."""

    page: Any
    requests: list[str] = field(default_factory=list)

    def shot(self, name: str) -> None:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    def settle(self) -> None:
        """Wait for the next frames: Gradio sets the values of a part after showing it."""
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

    def set_number(self, control: str, value: float) -> None:
        """Set a slider or a number field, and check that it keeps the value."""
        field = self.page.locator(f"#{control} input[type=number]")

        def holds() -> bool:
            if field.input_value() != str(value):
                field.fill(str(value))
                field.press("Tab")
                self.settle()
                return False
            return True

        self.until(holds, f"{control} to be {value}")

    def add_label(self, words: str) -> None:
        """Type a label or a mixture, and check that the list keeps it: a new model's update may still empty it."""
        typed = self.page.locator("#labels input")
        chosen = self.page.locator("#labels .token").get_by_text(words, exact=True)

        def holds() -> bool:
            self.settle()
            if chosen.count() == 0:
                typed.fill(words)
                typed.press("Enter")
                self.settle()
                return False
            return True

        self.until(holds, f"{words} among the labels")

    def wait_for_text(self, words: str) -> None:
        """Wait until the page shows this text."""
        self.page.get_by_text(words).first.wait_for(timeout=READY)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until `true` returns True, for READY milliseconds at most."""
        end = time.monotonic() + READY / 1000
        while not true():
            assert time.monotonic() < end, f"waited in vain for {what}"
            self.page.wait_for_timeout(50)

    def pictures(self, where: str = "#canvas") -> list[str]:
        """The addresses of the pictures that a part of the page shows now."""
        found: list[str] = self.page.evaluate(
            "(where) => [...document.querySelectorAll(where + ' img')].map((i) => i.src)", where
        )
        return found


@contextmanager
def visited(browser: Any, studio: Studio, scheme: Any = "light") -> Iterator[Visit]:
    """A new visitor. At the end, checks that the page sent requests to the studio only."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(READY)
    visit = Visit(context.new_page())
    complaints: list[str] = []
    context.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    visit.page.goto(studio.address)
    visit.page.locator("#draw").wait_for(timeout=READY)
    visit.wait_for_text("3 labels")
    visit.settle()
    yield visit
    visit.requests += [c for c in complaints if "Content Security Policy" in c]
    context.close()
    foreign = [url for url in visit.requests if not url.startswith((studio.url, "data:", "blob:"))]
    assert foreign == [] and visit.requests


@pytest.fixture
def visit(browser: Any, studio: Studio) -> Iterator[Visit]:
    with visited(browser, studio) as visit:
        yield visit
