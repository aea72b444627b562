"""What another program costs: training, sampling and the studio's first preview, alone and beside a busy process.

    python benchmarks/busy.py                 two cores, nothing else running; about four minutes
    python benchmarks/busy.py --rounds 1 --seconds 10

Alone and busy take turns. Printed are the medians, and the busy one as a share of the quiet one; wanted are at least
0.6 for training and 0.5 for the others. With --threads 1 or 2 the number of threads is fixed, as a comparison. The
process that takes the turn of another program does nothing but compute, on one core.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from noisette.team import OtherPrograms

WANTED = {"training, images/s": 0.6, "sampling, pictures/s": 0.5, "first preview, 1/s": 0.5}
DISTURBED = 0.1  # cores that other programs may use while this is measured
BUSY = "while True: sum(range(10000))"
PREAMBLE = """
import os, sys, time
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as our own commands have it
from noisette.cli.malloc import tune_malloc
tune_malloc()
import noisette
from noisette.sampling.request import make_request
from noisette.sampling.run import draw_batches, run_request
model = noisette.load("emoji-16")
"""
SAMPLE = """
list(draw_batches(model, make_request(model, 16, batch=16)))
start = time.perf_counter()
list(draw_batches(model, make_request(model, 96, batch=16)))
print(96 / (time.perf_counter() - start))
"""
PREVIEW = """
times = []
for seed in range(8):
    time.sleep(1.0)  # a person looks at the pictures
    request = make_request(model, 8, seed=seed)
    start = time.perf_counter()
    state = next(iter(run_request(model, request)))
    model.pictures.decode_samples(state.preview)
    times.append(time.perf_counter() - start)
print(1 / sorted(times[1:])[len(times) // 2])
"""


@contextmanager
def busy_process() -> Iterator[None]:
    """Another program, which computes on one core."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    time.sleep(1.0)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def used_by_others() -> float:
    """Cores that other programs use now."""
    others = OtherPrograms()
    time.sleep(1.0)
    return others()


def train(seconds: float) -> float:
    """Images per second of the last two thirds of a run with a time box: without the start and the trial steps."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["train", "emoji", "--size", "16", "--preset", "tiny", "--precision", "fp32", "--for", f"{seconds:g}s"]
        subprocess.run(
            [sys.executable, "-m", "noisette", *words, "--from", "none", "--evaluations", "0", "--out", run],
            check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    seen = [(row["images"], row["seconds"]) for row in rows if "seconds" in row]
    first, last = seen[len(seen) // 3], seen[-1]
    return (last[0] - first[0]) / (last[1] - first[1])


def in_process(code: str) -> float:
    """The number that a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", PREAMBLE + code], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="time box of a training run")
    parser.add_argument("--threads", type=int, help="a fixed number of threads")
    given = parser.parse_args()
    if given.threads:
        os.environ["OMP_NUM_THREADS"] = str(given.threads)
    if (others := used_by_others()) > DISTURBED:
        print(f"other programs use {others:.1f} cores already: what is called alone below is not, and shares mislead")
    tasks: dict[str, Callable[[], float]] = {
        "training, images/s": lambda: train(given.seconds),
        "sampling, pictures/s": lambda: in_process(SAMPLE),
        "first preview, 1/s": lambda: in_process(PREVIEW),
    }
    alone: dict[str, list[float]] = {name: [] for name in tasks}
    beside: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(given.rounds):
        for name, measure in tasks.items():
            alone[name].append(measure())
            with busy_process():
                beside[name].append(measure())
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    for name in tasks:
        quiet, busy = statistics.median(alone[name]), statistics.median(beside[name])
        verdict = "" if busy >= WANTED[name] * quiet else f", and should be {WANTED[name]}"
        print(f"{name}: alone {quiet:.1f}, beside a busy process {busy:.1f}: a share of {busy / quiet:.2f}{verdict}")


if __name__ == "__main__":
    main()
