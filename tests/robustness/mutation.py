"""Seeded mutations of files, and what a reader makes of them: nothing but its own refusals, in little time and memory.

    PYTHONPATH=src:tests python -m robustness.mutation --count 10000

prints, for every kind of input, how many mutated ones were read, how many were refused, what else happened, the longest
time and the memory that the process took beyond what it had.
"""

import argparse
import copy
import json
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from noisette.errors import InputError
from noisette.io.json_files import json_sha256

MAX_SECONDS, MAX_BYTES = 2.0, 500e6  # of one input; processor time and resident memory
HANG_SECONDS = 60
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**18, 10**30, 1e300, -1e300, 1e-300, 0.5, "", "x", "heun",
    "a" * 10_000, "../../etc/passwd", "hf://a/b", "\u0000", "é" * 50, [], {}, [[]], [1], [None] * 50, {"is": "Cosine"},
    {"is": 3}, {"a": {"b": {}}}, [1, 2, 3], ["a", "b"], [0.5, 0.25],
)  # fmt: skip


@dataclass
class Outcome:
    """What became of the mutated inputs of one kind."""

    read: int = 0
    refused: int = 0
    other: list[str] = field(default_factory=list)  # anything that is not a refusal, with its seed
    seconds: float = 0.0  # the longest time
    memory: float = 0.0  # bytes beyond what the process had before

    def __str__(self) -> str:
        counts = f"{self.read:6} read, {self.refused:6} refused, {len(self.other)} other"
        return f"{counts}; at most {self.seconds:.2f} s, {self.memory / 1e6:.0f} MB"


@dataclass(frozen=True)
class Kind:
    """A kind of input: its files in a fresh folder, and a function that reads them as the package does."""

    name: str
    make: Callable[[Path], list[str]]  # writes good files into the folder; returns the names of those to mutate
    read: Callable[[Path], object]


def mutate_bytes(data: bytes, draw: random.Random) -> bytes:
    """Flips, truncations, zeroed and repeated stretches, insertions and random stretches."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        if not changed:
            break
        near_start = int(draw.expovariate(8 / len(changed)))  # where headers are
        at = min(near_start, len(changed) - 1) if draw.random() < 0.5 else draw.randrange(len(changed))
        size = draw.choice((1, 1, 4, 16, 200))
        match draw.randrange(7):
            case 0 | 1:
                changed[at] ^= 1 << draw.randrange(8)
            case 2:
                del changed[at:]
            case 3:
                changed[at : at + size] = bytes(len(changed[at : at + size]))
            case 4:
                changed[at:at] = changed[at : at + size] * draw.choice((1, 2, 50))
            case 5:
                changed[at : at + size] = draw.randbytes(size)
            case _:
                del changed[at : at + size]
    return bytes(changed)


def mutate_json(data: bytes, draw: random.Random) -> bytes:
    """Valid JSON with other values, keys and lengths somewhere; with a right checksum where it had one."""
    value = json.loads(data)
    for _ in range(draw.choice((1, 1, 2))):
        places = list(_places(value))
        if not places:
            break
        parent, key = draw.choice(places)
        match draw.randrange(8):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[str(key) + draw.choice(("x", "", "é"))] = parent.pop(key)
            case 2 if isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
                parent[key] = parent[key] * draw.choice((-1, 10, 1000, 10**6, 10**12, 0, 0.5))
            case 3 if isinstance(parent[key], list):
                parent[key] = parent[key] * draw.choice((0, 2, 100))
            case 4:
                other, place = draw.choice(places)
                parent[key] = copy.deepcopy(other[place])
            case _:
                parent[key] = copy.deepcopy(draw.choice(VALUES))
    if isinstance(value, dict) and "sha256" in value and draw.random() < 0.9:
        del value["sha256"]
        value = {"sha256": json_sha256(value), **value}
    return json.dumps(value).encode()


def _places(value: Any) -> "list[tuple[Any, Any]]":
    """Every (container, key or index) in a value of JSON."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        one = stack.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        stack += [one[key] for key in keys]
    return found


def run_kind(kind: Kind, count: int, seed: int, folder: Path) -> Outcome:
    """Mutate one file of the kind and read it, `count` times."""
    outcome, good = Outcome(), folder / "good"
    good.mkdir(parents=True)
    names = kind.make(good)
    contents = {name: (good / name).read_bytes() for name in names}
    kind.read(good)  # what is whole is read
    before = psutil.Process().memory_info().rss
    for number in range(count):
        draw = random.Random(f"{seed}/{kind.name}/{number}")
        name = draw.choice(names)
        is_json = name.endswith(".json") and draw.random() < 0.7
        (good / name).write_bytes((mutate_json if is_json else mutate_bytes)(contents[name], draw))
        _attempt(kind, good, f"{kind.name} {number} ({name})", outcome)
        (good / name).write_bytes(contents[name])
    outcome.memory = _peak() - before
    return outcome


def _attempt(kind: Kind, folder: Path, title: str, outcome: Outcome) -> None:
    start = time.process_time()
    signal.alarm(HANG_SECONDS)
    try:
        kind.read(folder)
        outcome.read += 1
    except InputError as error:
        outcome.refused += 1
        if "\n" in str(error):
            outcome.other.append(f"{title}: a refusal of several lines: {error}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome.other.append(f"{title}: {type(error).__name__}: {str(error)[:300]}")
    finally:
        signal.alarm(0)
    seconds = time.process_time() - start
    outcome.seconds = max(outcome.seconds, seconds)
    if seconds > MAX_SECONDS:
        outcome.other.append(f"{title}: {seconds:.1f} s")


def _peak() -> float:
    """The most resident memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def stop_hang(*_: object) -> None:
    raise TimeoutError(f"no answer in {HANG_SECONDS} s")


def main() -> None:
    from .kinds import KINDS

    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000, help="mutated inputs of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", help="only kinds whose names contain this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stop_hang)
    kinds = [kind for kind in KINDS if options.kind is None or options.kind in kind.name]
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            outcome = run_kind(
                kind, -(-options.count // len(kinds)), options.seed, Path(folder) / kind.name.replace(" ", "-")
            )
            print(f"{kind.name:24}{outcome}", flush=True)
            for line in outcome.other[:8]:
                print("   ", line[:400], flush=True)
            faults += len(outcome.other) + (outcome.memory > MAX_BYTES)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
