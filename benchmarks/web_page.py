"""The page of `noisette export --to web` in Chromium: how soon it draws, how fast, and how far from `noisette sample`.

    python benchmarks/web_page.py MODEL [MODEL …] [--rounds 5] [--keep FOLDER] [--weights] [--kid]

A Markdown row for each model: size of the page; the first picture, from the opening of the file on, and 16 pictures, by
the Draw button afterwards, in seconds (lowest and median of the rounds; each round is a new browser); processor seconds
of the browser up to the first picture; the largest difference of 16 pictures with `noisette.draw`, of 255. The load of
the machine before each model is printed, too. `--keep` takes pages from this folder, and puts new ones there.

`--weights` prints instead, for numbers of bits of mantissa, the packed size of the weights, the largest and the mean
difference of 64 pictures to those in single precision, and how many of them differ by more than 2 of 255 anywhere.
`--kid` prints what half precision costs in KID (MODEL is a run folder).
"""

import argparse
import base64
import copy
import io
import os
import re
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from playwright.sync_api import Playwright, sync_playwright

import noisette
from noisette.interop.web_page import export_page
from noisette.interop.web_weights import FULL_BITS, measure_kid_cost, pack, round_network

CHROMIUM, TIMEOUT, SETTLED = "/usr/bin/chromium", 120_000, re.compile("pictures in|cannot")
FILES = """async () => {
  const all = [];
  for (let i = 0; i < COUNT; i++) all.push(btoa(String.fromCharCode(...await encodeCell(i))));
  return all;
}"""


@dataclass(frozen=True)
class Round:
    """One opening of the page; seconds."""

    first: float
    all: float
    processor: float
    pixels: torch.Tensor


def measure_processor_time() -> float:
    """Processor seconds of the browser's processes so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def open_page(playwright: Playwright, path: Path) -> Round:
    """Open the page in a new browser, wait for 16 pictures, and draw them again."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    page: Any = browser.new_page()
    before = measure_processor_time()
    page.goto(path.resolve().as_uri(), wait_until="commit")
    page.locator("#pictures li:first-child button:enabled").wait_for(timeout=TIMEOUT)
    processor = measure_processor_time() - before
    page.locator("#status", has_text=SETTLED).wait_for(timeout=TIMEOUT)
    first = page.evaluate("performance.getEntriesByName('first picture')[0].startTime")
    page.locator("#draw").click()
    page.locator("#status", has_text=SETTLED).wait_for(timeout=TIMEOUT)
    drawn = page.evaluate("performance.getEntriesByName('drawn').at(-1).duration")
    arrays = [np.array(Image.open(io.BytesIO(base64.b64decode(text)))) for text in page.evaluate(FILES)]
    browser.close()
    pixels = torch.from_numpy(np.stack(arrays).reshape(len(arrays), *arrays[0].shape[:2], -1)).permute(0, 3, 1, 2)
    return Round(first / 1000, drawn / 1000, processor, pixels)


def compare_weights(name: str) -> None:
    """The table of `--weights`."""
    model = noisette.load(name)
    reference = noisette.draw(model, 64).pixels.int()
    print("| bits of mantissa | packed, MB | largest | mean | pictures with more than 2 |\n|---|---|---|---|---|")
    for bits in (10, 12, 14, 15, 16, 18):
        rounded = copy.deepcopy(model)
        round_network(rounded.net, bits)
        weights = np.concatenate([weight.numpy().ravel() for weight in rounded.net.parameters()])
        difference = (noisette.draw(rounded, 64).pixels.int() - reference).abs()
        far = (difference.flatten(1).amax(1) > 2).sum().item()
        print(
            f"| {bits} of {FULL_BITS} | {len(pack(weights.tobytes())) / 1e6:.2f} | {difference.max().item()} | "
            f"{difference.float().mean().item():.3f} | {far} of 64 |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("--kid", action="store_true")
    given = parser.parse_args()
    if given.weights or given.kid:
        for name in given.models:
            if given.weights:
                compare_weights(name)
            if given.kid:
                print(name, measure_kid_cost(noisette.load(name)), flush=True)
        return
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print("| model | page, MB | first picture, s | 16 pictures, s | processor, s | difference | load |")
    print("|---|---|---|---|---|---|---|")
    for name in given.models:
        model, path = noisette.load(name), folder / f"{Path(name).name}.html"
        if not path.exists():
            export_page(model, path)
        load = os.getloadavg()[0]
        with sync_playwright() as playwright:
            rounds = [open_page(playwright, path) for _ in range(given.rounds)]
        difference = (rounds[0].pixels.int() - noisette.draw(model, 16).pixels.int()).abs().max().item()
        columns = [
            f"{min(values):.2f}, {statistics.median(values):.2f}"
            for values in zip(*((one.first, one.all, one.processor) for one in rounds), strict=True)
        ]
        size = path.stat().st_size / 1e6
        print(f"| {Path(name).name} | {size:.1f} | {' | '.join(columns)} | {difference} | {load:.1f} |", flush=True)


if __name__ == "__main__":
    main()
