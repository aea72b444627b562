"""Save checkpoints in child processes that are killed, and see after each what is left. Run by test_checkpoint.py.

Usage: killed.py RUN (random KILLS | calls CALLS) [direct]; prints what was wrong, or nothing.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from faults import counted, killing
from noisette.errors import InputError
from noisette.io import checkpoint


def state(n: int) -> dict[str, dict[str, torch.Tensor]]:
    """400 kB that tell their number."""
    return {part: {f"{i}": torch.full((100, 250), float(n + i)) for i in range(2)} for part in ("model", "ema")}


def train(run: Path, acknowledge: int, at: int) -> None:
    """Go on from the newest checkpoint, and save as fast as it goes; die at the `at`-th call, if any."""
    found = checkpoint.find_latest(run)
    n = found.images if found else 0
    with counted(killing(at)):
        while True:
            n += 1
            checkpoint.save(run, n, state(n), {"n": n})
            os.write(acknowledge, n.to_bytes(8, "big"))


def killed(run: Path, at: int, seconds: float) -> int:
    """The last number that a child, killed at that call or after that time, printed as safe; 0 if none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            train(run, writing, at)
        finally:
            os._exit(1)
    os.close(writing)
    if not at:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child failed of itself"
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    return int.from_bytes(data[-8:], "big")


def wrong(run: Path, safe: int) -> str | None:
    try:
        found = checkpoint.find_latest(run)
    except InputError as error:
        return f"half-written: {error}"
    if found is None:
        return None if safe == 0 else f"{safe} was safe and nothing is left"
    if found.skipped_reasons:
        return f"half-written: {found.skipped_reasons}"
    if found.images < safe:
        return f"{safe} was safe and the newest is {found.images}"
    for part, tensors in state(found.images).items():
        there = found.read_tensors(part)
        if there.keys() != tensors.keys() or any(not torch.equal(there[k], tensors[k]) for k in tensors):
            return f"{found.images} does not hold what was saved"
    return None


@contextmanager
def direct(path: Path, *, required_bytes: int = 0, replace: bool = False) -> Iterator[Path]:
    """What everybody writes at first: the mutation that must be found out."""
    path.mkdir(parents=True, exist_ok=True)
    yield path


def main(run: Path, mode: str, count: int, mutation: bool) -> None:
    torch.set_num_threads(1)
    draw, safe = random.Random(0), 0
    if mutation:
        checkpoint.atomic_folder = direct  # type: ignore[attr-defined, assignment]
    for i in range(1, count + 1):
        safe = max(safe, killed(run, i if mode == "calls" else 0, draw.uniform(0.002, 0.15)))
        if problem := wrong(run, safe):
            print(f"kill {i}: {problem}")
            return
    checkpoint.save(run, 10**9, state(1), {})
    left = [p.name for p in (run / "checkpoints").iterdir()]
    if len(left) != 2 or not all(name.isdecimal() for name in left):
        print(f"left behind: {left}")
    if safe < 5:
        print(f"only {safe} were saved: nothing was tried")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "direct" in sys.argv[4:])
