"""Kill training, and every other command that writes, again and again, and see what is left. Run by test_kills.py.

    python tests/kills.py FOLDER train 200              kill runs at random moments and inside their writes
    python tests/kills.py FOLDER commands 50 [NAME …]   kill each command at so many of its calls that change the disk

Everything happens in forked children, so that only the parent imports torch. After each kill, what stands under its own
name is whole: the same bytes as without the kill. After the same command again, everything is as if nothing had
happened, and nothing is left over. Prints a line per command, and exits with 1 if anything was wrong.
"""

import contextlib
import hashlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from commands import SMALL, TINY
from faults import calls, counted, killing
from noisette.cli import main as noisette
from noisette.io.files import LEFTOVER_PATTERN
from noisette.training import TrainOptions, train
from noisette.training.autoencoder import AutoencoderOptions, train_autoencoder

Tree = dict[str, str]  # path within a folder → SHA-256
OPTIONS = TrainOptions(preset="tiny", images=48, batch=8, precision="fp32", recipe=SMALL, save_every=0.0)
VOLATILE = ("metrics.jsonl", "state.json", "config.json")  # of a run: hold seconds and speeds, which differ every time


def make_pictures(folder: Path, count: int = 60) -> Path:
    """Pictures of 8×8 with two labels."""
    numbers = np.random.default_rng(0)
    for i in range(count):
        path = folder / "ab"[i % 2] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return folder


def child(work: Callable[[], object], at: int = 0, seconds: float | None = None) -> int:
    """Do the work in a child that dies at its `at`-th call that changes the disk, or after `seconds`.

    Returns its exit code, negative for a signal.
    """
    pid = os.fork()
    if pid == 0:
        quiet = os.open(os.devnull, os.O_RDWR)
        os.dup2(quiet, 1)
        code = 1
        try:
            with counted(killing(at)) if at else counted():
                work()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            os._exit(code)
    if seconds is not None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_calls(work: Callable[[], object]) -> int:
    """How many calls of the work change the disk. What it imports is imported here, so that later children start with
    it: those of one command would spend most of their time on imports."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        before = set(sys.modules)
        try:
            with counted():
                work()
        except SystemExit:
            pass
        finally:
            with os.fdopen(writing, "w") as pipe:
                json.dump([len(calls), [name for name in sys.modules if name not in before]], pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        count, modules = json.load(pipe)
    os.waitpid(pid, 0)
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return int(count)


def tree(folder: Path) -> Tree:
    """The files in a folder and below, except those that hold times."""
    files = [p for p in folder.rglob("*") if p.is_file() and not is_volatile(p)]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def is_volatile(path: Path) -> bool:
    return path.name in VOLATILE and (path.name != "config.json" or (path.parent / "data.json").exists())


def is_leftover(name: str) -> bool:
    return any(LEFTOVER_PATTERN.fullmatch(part) for part in Path(name).parts)


def kill_training(folder: Path, count: int) -> list[str]:
    """Kill runs until they have been killed `count` times; each of them ends as one that was left alone."""
    pictures, draw, wrong, killed, runs = make_pictures(folder / "pictures"), random.Random(0), [], 0, 0
    start = time.monotonic()
    assert child(lambda: train(pictures, folder / "whole", OPTIONS)) == 0
    usual, total = time.monotonic() - start, count_calls(lambda: train(pictures, folder / "counted", OPTIONS))
    whole = tree(folder / "whole")
    while killed < count:
        runs += 1
        out = folder / f"run{runs}"

        def work(out: Path = out) -> None:
            train(pictures, out, OPTIONS)

        while True:
            inside = draw.random() < 0.5
            code = child(work, draw.randint(1, total)) if inside else child(work, 0, draw.uniform(0, usual))
            killed += code == -signal.SIGKILL
            if killed % 10 == 0:
                print(f"train: {killed} kills, {runs} runs, {len(wrong)} wrong so far", file=sys.stderr, flush=True)
            if code not in (0, -signal.SIGKILL):
                wrong.append(f"run {runs} after {killed} kills: exit {code}")
            if code != -signal.SIGKILL or killed >= count:
                break
        if (code := child(work)) != 0 or tree(out) != whole:
            wrong.append(f"run {runs} after {killed} kills: exit {code}, {difference(tree(out), whole)}")
        shutil.rmtree(out)
    print(f"train: {killed} kills of {runs} runs, {len(wrong)} wrong", flush=True)
    return wrong


def difference(found: Tree, wanted: Tree) -> str:
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return f"other files: {', '.join(names[:5])}"


def command_lines(folder: Path) -> dict[str, Callable[[Path], list[object]]]:
    """Name → the words of a command that writes into a folder; the models that they need are made first."""
    from noisette.data.pictures import Pictures
    from noisette.models.task import Segment
    from tiny_models import tiny

    pictures, run = make_pictures(folder / "pictures", 220), folder / "run"  # evaluate needs 20 held-out ones
    if not run.exists():
        train(pictures, run, OPTIONS)
        tiny().save_pretrained(folder / "model")
        tiny("L", (), task=Segment(Pictures("RGB", 8, 8))).save_pretrained(folder / "segmenter")
    picture, mask = folder / "from.png", folder / "mask.png"
    Image.new("RGBA", (8, 8), (200, 40, 90, 255)).save(picture)
    Image.new("RGBA", (4, 4), (200, 40, 90, 255)).save(folder / "small.png")
    Image.fromarray(np.repeat(np.uint8([0, 255]), 32).reshape(8, 8)).save(mask)
    small = make_pictures(folder / "few pictures", 24)
    if not (folder / "autoencoder").exists():
        train_autoencoder(small, folder / "autoencoder", AutoencoderOptions(images=16, size=(32, 32)))
    model, few = folder / "model", ("-n", 4, "--steps", 2, "--batch", 2)
    other = folder / "of-diffusers"
    if not other.exists() and child(lambda: call(["export", model, other, "--to", "diffusers"])) != 0:
        raise RuntimeError("the model cannot be exported")
    return {
        "sample": lambda out: ["sample", model, "--out", out, *few],
        "vary": lambda out: ["edit", "vary", model, picture, "--out", out, "-n", 2, "--steps", 2],
        "walk": lambda out: ["edit", "walk", model, "--out", out, "--steps", 2, "--frames", 3, "--keyframes", 2],
        "inpaint": lambda out: ["edit", "inpaint", model, picture, "--mask", mask, "--out", out, "-n", 2, "--steps", 2],
        "upscale": lambda out: ["edit", "upscale", model, folder / "small.png", "--out", out, "-n", 2, "--steps", 2],
        "tile": lambda out: ["edit", "tile", model, "--out", out, "-n", 2, "--steps", 2],
        "invert": lambda out: ["edit", "invert", model, picture, "--out", out, "--steps", 2],
        "hspace": lambda out: ["edit", "hspace", model, "--out", out, "-n", 4, "--components", 2, "--steps", 2],
        "segment": lambda out: ["edit", "segment", folder / "segmenter", picture, "--out", out, "-n", 2, "--steps", 2],
        "palette": lambda out: ["palette", "apply", small, "--palette", "#202020,#ff8000,#ffffff", "--out", out],
        "sheet": lambda out: ["sheet", small, "--to", "phaser", "--out", out],
        "tileset": lambda out: ["tileset", model, "--terrain", "bread", "--terrain", "sword", "--out", out],
        "course": lambda out: ["course", "--no-open", "--out", out],
        "editors": lambda out: ["editors", "--out", out],
        "provenance": lambda out: ["provenance", run, "--out", out],
        "film": lambda out: ["film", model, "--out", out / "film.gif", "-n", 2, "--steps", 3],
        "mp4": lambda out: ["film", model, "--out", out / "film.mp4", "--strip", out / "s.png", "-n", 2, "--steps", 3],
        "hub": lambda out: ["export", model, out, "--to", "hub"],
        "diffusers": lambda out: ["export", model, out, "--to", "diffusers"],
        "onnx": lambda out: ["export", model, out, "--to", "onnx"],
        "web": lambda out: ["export", model, out / "page.html", "--to", "web"],
        "web-folder": lambda out: ["export", model, out, "--to", "web-folder"],
        "convert": lambda out: ["convert", other, out],
        "train-autoencoder": lambda out: ["train-autoencoder", small, "--out", out, "--images", 32, "--size", 16,
                                          "--crop", 0],
        "train-latent": lambda out: ["train", small, "--out", out, "--autoencoder", folder / "autoencoder",
                                     "--size", 32, "--images", 16, *TINY, "--recipe", SMALL],
        "train-classifier": lambda out: ["train-classifier", run, "--out", out, "--images", 64, "--batch", 32],
        "distill": lambda out: ["distill", run, "--out", out, "--images", 64, "--batch", 32,
                                 "--precision", "fp32", "--any-quality"],
        "evaluate": lambda out: ["evaluate", run, "--out", out, "-n", 20],
        "steps": lambda out: ["steps", run, "--data", pictures, "--out", out, "-n", 20, "--sampler", "ddim",
                              "--steps", 2, "--steps", 3, "--grid", "karras", "--keep-default"],
        "demo": lambda out: ["demo", "--images", 80, "--out", out],
        "explain": lambda out: ["explain", run, "--out", out / "page.html", "--lesson", "no-time"],
    }  # fmt: skip


def call(words: list[object]) -> None:
    noisette([str(word) for word in words])


def kill_command(folder: Path, name: str, words: Callable[[Path], list[object]], count: int) -> list[str]:
    """Kill a command at `count` of its calls that change the disk, in turn; then let it do its work."""
    wrong, killed, refused = [], 0, 0
    for whole in ("whole", "again"):
        if (code := child(lambda whole=whole: call(words(folder / name / whole)))) != 0:  # type: ignore[misc]
            return [f"{name}: exit {code} without a kill"]
    first, second = tree(folder / name / "whole"), tree(folder / name / "again")
    fixed = {path for path in first if first[path] == second.get(path)}  # the other files hold times or paths
    out = folder / name / "killed"
    total = count_calls(lambda: call(words(out)))
    shutil.rmtree(out)
    for k in itertools.count():
        if killed >= count or k >= 2 * count:  # a child can need fewer calls, and then lives
            break
        at = 1 + k * total // count if k < count < total else 1 + k % total
        killed += child(lambda: call(words(out)), at) == -signal.SIGKILL
        left = tree(out) if out.exists() else {}
        torn = [p for p, digest in left.items() if not is_leftover(p) and p in fixed and digest != first[p]]
        if torn:
            wrong.append(f"{name}, killed at call {at}: {torn[0]} is not whole")
        code = child(lambda: call(words(out)))
        left = tree(out) if out.exists() else {}
        complete = left.keys() == first.keys() and all(left[p] == first[p] for p in fixed)
        refused += code == 2 and complete  # the kill came after the last step: there is nothing left to do
        if not complete or code not in (0, 2):
            wrong.append(f"{name}, killed at call {at}: then exit {code}, {difference(left, first)}")
        beside = [p.name for p in out.parent.iterdir() if is_leftover(p.name)]
        if beside or any(map(is_leftover, left)):
            wrong.append(f"{name}, killed at call {at}: {(beside or list(left))[0]} was left over")
        shutil.rmtree(out, ignore_errors=True)
        if (k + 1) % 5 == 0:
            print(f"{name}: {killed} kills, {len(wrong)} wrong so far", file=sys.stderr, flush=True)
    print(f"{name}: {killed} kills in {total} calls, {len(wrong)} wrong", flush=True)
    return wrong


def main(folder: Path, what: str, count: int, *names: str) -> int:
    torch.set_num_threads(1)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder.mkdir(parents=True, exist_ok=True)
    if what == "train":
        wrong = kill_training(folder, count)
    else:
        lines = command_lines(folder)
        wrong = [w for name in names or lines for w in kill_command(folder, name, lines[name], count)]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
