"""Scanning and preparing many made pictures: pictures per CPU second, peak memory, and recall of the search for near
duplicates.

    python benchmarks/data_scale.py [--counts 10000 100000 1000000] [--png 5000]

Each measurement is a process of its own. CPU seconds are those of the process and its children, without the imports;
peak memory is VmHWM of the process. Linux only.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
NEAR_SHARE = 0.02  # of the pictures that are a near duplicate of another

MEASURE = """
import os, sys, tempfile
from noisette.data import open_source, prepare, scan
def used():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
source, work = sys.argv[1:]
start = used()
with tempfile.TemporaryDirectory() as folder:
    if work == "scan":
        found = scan(source)
        found.to_json()
    else:
        prepare(source, folder + "/run")
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used() - start, int(peak) / 1024)
"""


def make_pictures(n: int, path: Path) -> None:
    """An array of blurry pictures with noise; NEAR_SHARE of them are another one with a little more."""
    rng = np.random.default_rng(0)
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (n, SIDE, SIDE, 3))
    for first in range(0, n, 2000):
        count = min(2000, n - first)
        rough = rng.integers(0, 256, (count, 6, 6, 3)).astype(np.float32)
        smooth = rough.repeat(6, 1).repeat(6, 2)[:, :SIDE, :SIDE]
        pixels[first : first + count] = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255)
    for old, new in rng.integers(0, n, (int(NEAR_SHARE * n), 2)).tolist():
        pixels[new] = (pixels[old].astype(int) + rng.integers(-6, 7, pixels[old].shape)).clip(0, 255)
    pixels.flush()


def measure(source: Path, work: str, n: int) -> None:
    words = [sys.executable, "-c", MEASURE, str(source), work]
    seconds, peak = map(float, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    print(
        f"{n:9,} {source.suffix or 'PNGs':6} {work:8} {n / seconds:8,.0f} pictures/CPU s, {peak:6,.0f} MiB", flush=True
    )


def measure_recall(n: int, source: Path) -> None:
    """Near duplicates that hashing finds, of those of all pairs."""
    from noisette.data.near_duplicates import group_near_duplicates
    from noisette.data.scan_chunk import stack_mode
    from noisette.data.thumbnails import make_thumbnails

    pixels = np.load(source, mmap_mode="r")
    blocks = (np.asarray(pixels[first : first + 1000]) for first in range(0, n, 1000))
    thumbnails = np.concatenate([make_thumbnails(stack_mode(block, "RGBA")) for block in blocks])
    every, hashed = (group_near_duplicates(thumbnails, exact=exact) for exact in (True, False))
    joined = every != np.arange(n)
    print(f"{n:9,} near duplicates: {joined.sum()}, recall of hashing {(hashed[joined] == every[joined]).mean():.4f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--png", type=int, default=5000, help="number of PNG files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for n in options.counts:
            source = Path(folder) / f"{n}.npy"
            make_pictures(n, source)
            measure(source, "scan", n)
            measure(source, "prepare", n)
            if n <= 100_000:
                measure_recall(n, source)
        pngs = Path(folder) / "png"
        pngs.mkdir()
        pixels = np.load(Path(folder) / f"{options.counts[0]}.npy", mmap_mode="r")
        for i, picture in enumerate(pixels[: options.png]):
            file = io.BytesIO()
            Image.fromarray(np.asarray(picture)).save(file, "PNG")
            (pngs / f"{i}.png").write_bytes(file.getvalue())
        measure(pngs, "scan", min(options.png, len(pixels)))


if __name__ == "__main__":
    main()
