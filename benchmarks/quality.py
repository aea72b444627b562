"""How good are pictures after a few minutes on two cores? The figures of docs/evaluation.md.

    python benchmarks/quality.py digits --minutes 3     label agreement of digits
    python benchmarks/quality.py emoji16 --minutes 10   distance to held-out emoji, next to a floor and a peer

Training and drawing run through the command line, as anybody would. The peer (benchmarks/peer.py) is given the same
training pictures and the same minutes; `--peer-cache FILE.npz` keeps its samples for the next time. Prints a table and
writes everything to WORK/quality.json.
"""

import argparse
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import peer
from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.diffusion.noise import make_generator
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.evaluator import (
    PRDC_RESAMPLES,
    SampleEvaluator,
    SampleSet,
    SetScore,
    score_with_baselines,
)
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.evaluation.metrics.interval import wilson_interval
from noisette.evaluation.metrics.memorization import measure_memorization
from noisette.shapes import UInt8Images

SETS = {"digits": ("digits", 8), "emoji16": ("emoji", 16), "emoji32": ("emoji", 32)}


def noisette(*words: str | Path) -> float:
    """Run a command; return its seconds."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "noisette", *map(str, words)], check=True)
    return time.monotonic() - began


def shares(labels: torch.Tensor, names: tuple[str, ...], n: int) -> dict[str, int]:
    """n divided among the labels as they are in `labels`, by largest remainders."""
    exact = torch.bincount(labels, minlength=len(names)).double() * n / len(labels)
    whole = exact.floor()
    for i in (exact - whole).argsort(descending=True, stable=True)[: n - int(whole.sum())]:
        whole[i] += 1
    return {name: int(count) for name, count in zip(names, whole, strict=True) if count}


def drawn(run: Path, out: Path, counts: Mapping[str, int], options: list[str]) -> tuple[UInt8Images, list[str], float]:
    """Pictures of each label by `noisette sample`, their labels, and the seconds that it took."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    requested = [word for name in labels for word in ("--label", name)]
    seconds = noisette("sample", run, "--out", out, "-n", str(len(labels)), "--seed", "0", *requested, *options)
    files = sorted((f for f in out.glob("*.png") if f.name != "grid.png"), key=lambda f: int(f.stem[-6:]))  # by seed
    if len(files) != len(labels):
        raise RuntimeError(f"{out} holds {len(files)} pictures, not {len(labels)}: give --work a new folder")
    array = torch.from_numpy(np.stack([np.asarray(Image.open(f)) for f in files]))
    return (array[:, None] if array.ndim == 3 else array.permute(0, 3, 1, 2)).contiguous(), labels, seconds


def digits(args: argparse.Namespace) -> dict[str, Any]:
    """Label agreement of 100 digits of each kind, by a classifier trained on the training split."""
    from sklearn.svm import SVC

    run = args.work / "run"
    training = noisette("train", "digits", "--out", run, "--for", f"{args.minutes:g}m", "--seed", str(args.seed))
    data = Dataset.open(run)
    names = data.pictures.labels
    pictures, requested, drawing = drawn(run, args.work / "drawn", dict.fromkeys(names, 100), args.sample)

    def flat(pixels: UInt8Images) -> np.ndarray:
        return pixels.flatten(1).numpy() / 255

    assert data.train.labels is not None and data.held_out.labels is not None
    reader = SVC(C=10).fit(flat(all_pixels(data.train)), data.train.labels.numpy())
    known = reader.predict(flat(all_pixels(data.held_out))) == data.held_out.labels.numpy()
    agreed = reader.predict(flat(pictures)) == np.array([names.index(label) for label in requested])
    of_label = {name: float(agreed[[label == name for label in requested]].mean()) for name in names}
    copies = measure_memorization(pictures, all_pixels(data.train)).share
    contact_sheet(pictures[::10], columns=10).save(args.work / "drawn.png")
    reading, reality = wilson_interval(int(agreed.sum()), len(agreed)), wilson_interval(int(known.sum()), len(known))
    print(f"\nassigned to the requested label: {reading.scaled(100.0):.1f} % of {len(agreed)}")
    print(f"classifier accuracy on held-out digits: {reality.scaled(100.0):.1f} % of {len(known)}")
    print(f"memorized: {copies.scaled(100.0):.1f} %; training {training:.0f} s, drawing {drawing:.0f} s")
    return {
        "assigned to the requested label": asdict(reading), "by label": of_label,
        "classifier accuracy": asdict(reality),
        "memorized": asdict(copies), "seconds training": training, "seconds drawing": drawing,
    }  # fmt: skip


def emoji(args: argparse.Namespace) -> dict[str, Any]:
    """Held-out KID of our model, next to half of the training pictures, a peer, a copycat and noise."""
    source, side = SETS[args.set]
    run = args.work / "run"
    size = ["--size", str(side), "--for", f"{args.minutes:g}m", "--seed", str(args.seed)]
    training = noisette("train", source, "--out", run, *size)
    data = Dataset.open(run)
    assert data.train.labels is not None
    n = len(data.train) // 2
    ours, _, drawing = drawn(run, args.work / "drawn", shares(data.train.labels, data.pictures.labels, n), args.sample)
    theirs = the_peer(data, n, args)
    net = EfficientNetExtractor()
    yardstick = SampleEvaluator(all_pixels(data.train), all_pixels(data.held_out), net)
    model = SampleSet("ours", ours, description=f"{training:.0f} s training, {drawing:.0f} s drawing")
    peers = [SampleSet(f"peer, DDIM {k}", x, description=f"{theirs.images} images, {theirs.precision}")
             for k, x in theirs.samples.items()]  # fmt: skip
    rows = score_with_baselines(
        yardstick, model, extra_sets=peers, on_score=lambda score: print(f"{score.name}: scored", flush=True)
    )
    for name, pictures in {"ours": ours, "peer": next(iter(theirs.samples.values()))}.items():
        picked = torch.randperm(n, generator=make_generator("sheet"))[:100]
        contact_sheet(pictures[picked], columns=10).save(args.work / f"{name}.png")
    table(rows, len(data.held_out))
    return {
        "rows": [asdict(row) for row in rows], "held out": len(data.held_out), "training": len(data.train),
        "extractor": net.name, "extractor hash": net.hash, "images of the peer": theirs.images,
        "seconds training": training, "seconds drawing": drawing,
    }  # fmt: skip


def the_peer(data: Dataset, n: int, args: argparse.Namespace) -> peer.PeerRun:
    """From the cache, if it was made from these pictures in this time; otherwise trained now, in its own process."""
    pixels, file = args.work / "train.npy", args.peer_cache or args.work / "peer.npz"
    np.save(pixels, all_pixels(data.train).numpy())
    mark = peer.mark(pixels, args.minutes, n, args.seed)
    if file.is_file() and peer.marked(file) == mark:
        return peer.load(file)
    words = [
        pixels,
        "--minutes",
        args.minutes,
        "--n",
        n,
        "--seed",
        args.seed,
        "--out",
        file,
        "--steps",
        *args.peer_steps,
    ]
    environ = {"GOMP_SPINCOUNT": "10000"} | os.environ  # as our own commands have it
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("peer.py")), *map(str, words)], check=True, env=environ
    )
    return peer.load(file)


def table(rows: Sequence[SetScore], held_out: int) -> None:
    print(
        f"\nagainst {held_out} held-out pictures; precision to coverage with {held_out} pictures each, "
        f"{PRDC_RESAMPLES} draws"
    )
    heads = "".join(f"{head:>7}" for head in ("prec.", "recall", "dens.", "cover.", "FD-PCA"))
    print(f"{'':16}{'n':>5} {'KID × 10³':>24}{heads}   memorized %")
    for r in rows:
        shares = "".join(f"{share:7.2f}" for share in asdict(r.prdc).values())
        copies = r.memorized.scaled(100.0)
        print(f"{r.name:16}{r.n:5} {format(r.kid, '.1f'):>24}{shares}{r.fd or math.nan:8.1f}   {copies:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--minutes", type=float, default=10, help="of training, for us and for the peer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="work folder; a temporary one by default")
    parser.add_argument("--peer-cache", type=Path, help="an .npz of the peer's samples, read or written")
    parser.add_argument("--peer-steps", type=int, nargs="+", default=[50, 250], help="of DDIM, by which the peer draws")
    parser.add_argument("--sample", default="", type=str.split, help='options of noisette sample, as "--steps 30"')
    args = parser.parse_args()
    args.work = args.work or Path(tempfile.mkdtemp(prefix="quality-"))
    args.work.mkdir(parents=True, exist_ok=True)
    figures = digits(args) if args.set == "digits" else emoji(args)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    about = {
        "set": args.set,
        "minutes": args.minutes,
        "seed": args.seed,
        "sample": args.sample,
        "cores": os.cpu_count(),
    }
    out = args.work / "quality.json"
    out.write_text(json.dumps(about | versions | figures, indent=1) + "\n", encoding="utf8")
    print(f"\n{out.resolve()}")


if __name__ == "__main__":
    main()
