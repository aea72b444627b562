"""Damage to every file of a run folder: noticed, or without effect on any weight or picture.

    PYTHONPATH=src:tests python -m robustness.damage --count 500

damages one file of a stopped run or of a finished one (a flipped bit, a truncation, zeros), and then diagnoses it,
resumes it and samples from it. The result must be a refusal in one sentence, or what it is without the damage.
"""

import argparse
import contextlib
import hashlib
import random
import shutil
import signal
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from noisette.cli.diagnosis import diagnose_run
from noisette.errors import InputError
from noisette.io.files import file_sha256
from noisette.io.json_files import read_json
from noisette.models.picture_model import load
from noisette.sampling.request import make_request
from noisette.sampling.run import draw_request
from noisette.training import Progress, TrainOptions, train

from .mutation import HANG_SECONDS, stop_hang

RECIPE = {"model": {"net": {"channels": [16, 16], "blocks": 1, "groups": 4, "time_channels": 16}}}
OPTIONS = TrainOptions(
    images=24, batch=8, preset="tiny", precision="fp32", recipe=RECIPE, save_every=1e-9, evaluations=0
)
IGNORED = ("samples",)  # of a run, what nothing is made of: sheets that people look at


class Stop(KeyboardInterrupt):
    """Ends a run as Ctrl-C does."""


@dataclass
class Outcome:
    """What became of the damaged runs."""

    refused: int = 0
    same: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.refused} refused, {self.same} without effect, {len(self.faults)} faults"


def make_runs(folder: Path) -> tuple[Path, Path, Path]:
    """A source of pictures, a run that was stopped half-way, and the same run finished."""
    rng, source = np.random.default_rng(0), folder / "pictures"
    for i in range(16):
        path = source / "ab"[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)

    def stop(progress: Progress) -> None:
        if progress.images >= OPTIONS.images // 2:
            raise Stop

    try:
        train(source, folder / "half", OPTIONS, on_progress=stop)
    except BaseException as error:  # Interrupted, which is no Exception
        if isinstance(error, SystemExit | InputError):
            raise
    shutil.copytree(folder / "half", folder / "whole")
    train(source, folder / "whole", OPTIONS)
    return source, folder / "half", folder / "whole"


def result_of(run: Path, source: Path, resume: bool = True) -> tuple[str, str, bytes]:
    """Resume a run, and sample from it: hash of its weights, of its config, and pixels."""
    if resume:
        train(source, run, OPTIONS)
    model = load(run)
    pixels = draw_request(model, make_request(model, 2, steps=2))
    config = repr(read_json(run / "model" / "config.json"))
    weights = file_sha256(run / "model" / "model.safetensors")
    return weights, hashlib.sha256(config.encode()).hexdigest(), pixels.numpy().tobytes()


def damage(path: Path, draw: random.Random) -> str:
    """Damage a file; returns how."""
    data = bytearray(path.read_bytes())
    kind = draw.choice(("flip", "flip", "truncate", "zero")) if data else "append"
    if kind == "flip":
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == "truncate":
        del data[draw.choice((0, draw.randrange(len(data)), len(data) - 1)) :]
    elif kind == "zero":
        first = draw.randrange(len(data))
        size = draw.choice((1, 512, len(data)))
        data[first : first + size] = bytes(len(data[first : first + size]))
    else:
        data.append(0)
    path.write_bytes(data)
    return kind


def damage_runs(count: int, seed: int, folder: Path) -> Outcome:
    """Damage the runs `count` times, each file about as often as every other."""
    source, *runs = make_runs(folder)
    outcome, expected = Outcome(), result_of(Path(shutil.copytree(runs[0], folder / "expected")), source)
    files = [(run, path.relative_to(run)) for run in runs for path in sorted(run.rglob("*")) if path.is_file()]
    files = [(run, path) for run, path in files if path.parts[0] not in IGNORED]
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        run, name = files[number % len(files)]
        copied = Path(shutil.copytree(run, folder / "copy"))
        kind = damage(copied / name, draw)
        resume = run == runs[0] or draw.random() < 0.5  # a finished run is also sampled from as it is
        _attempt(copied, source, resume, expected, f"{number}: {kind} of {run.name}/{name}", outcome)
        shutil.rmtree(copied)
        if (number + 1) % 25 == 0:
            print(f"{number + 1} of {count}: {outcome}", file=sys.stderr, flush=True)
    return outcome


def _attempt(
    run: Path, source: Path, resume: bool, expected: tuple[str, str, bytes], title: str, outcome: Outcome
) -> None:
    signal.alarm(HANG_SECONDS)
    try:
        with contextlib.suppress(InputError):  # doctor refuses in a sentence, too
            diagnose_run(run)
        found = result_of(run, source, resume)
    except InputError as error:
        outcome.refused += 1
        if "\n" in str(error):
            outcome.faults.append(f"{title}: a refusal of several lines: {error}")
    except Exception as error:
        outcome.faults.append(f"{title}: {type(error).__name__}: {str(error)[:300]}")
    else:
        outcome.same += 1
        for one, other, what in zip(found, expected, ("weights", "config", "pictures"), strict=True):
            if one != other:
                outcome.faults.append(f"{title}: other {what}")
    finally:
        signal.alarm(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stop_hang)
    with tempfile.TemporaryDirectory() as folder:
        outcome = damage_runs(options.count, options.seed, Path(folder))
    print(outcome)
    for line in outcome.faults[:40]:
        print("   ", line[:400])
    sys.exit(bool(outcome.faults))


if __name__ == "__main__":
    main()
