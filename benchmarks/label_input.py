"""How labels enter the network: added, multiplied, or concatenated, compared on the built-in digits.

    python benchmarks/label_input.py OUT [--images 16000] [--seeds 2] [--n 1000]

Trains from scratch, for each seed and each way, on equally many images, and draws n digits, one label as often as the
other, without guidance and with a guidance of 2. Printed for each: the held-out loss, the share of samples that a
support vector machine reads as the digit that was asked for (it was trained on the real training digits; its share of
the real held-out digits is the first line), and KID × 10³ against the held-out digits.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from sklearn.svm import SVC
from torch import Tensor

import noisette
from noisette.data import prepare
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.evaluation.metrics.kid import kid

WAYS: dict[str, dict[str, Any]] = {  # fields of UNetConfig
    "added (shift)": {"modulation": "shift"},
    "multiplied (scale and shift)": {"modulation": "scale_shift"},
    "concatenated (planes)": {"modulation": "shift", "label_input": "planes"},
}


def flat(pixels: Tensor) -> Any:
    return pixels.flatten(1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=16_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--n", type=int, default=1000)
    args = parser.parse_args()
    extract, reader = EfficientNetExtractor(), SVC(gamma="scale")
    with tempfile.TemporaryDirectory() as folder:
        data = prepare("digits", folder)
        train, real = ((all_pixels(part), part.labels) for part in (data.train, data.held_out))
    reader.fit(flat(train[0]), train[1])
    names = data.pictures.labels  # drawn in turn
    asked = torch.arange(args.n) % len(names)
    features = extract(real[0])
    known = (reader.predict(flat(real[0])) == real[1].numpy()).mean()
    print("| labels | seed | held-out loss | guidance | read as asked | KID × 10³ |\n|---|---|---|---|---|---|")
    print(f"| real held-out digits | | | | {known:.1%} | |", flush=True)
    for seed in range(args.seeds):
        for way, fields in WAYS.items():
            out = args.out / f"{way.split()[0]}-{seed}"
            recipe = {"model": {"net": fields}}
            run = noisette.train(
                "digits", out, preset="tiny", start_from="none", images=args.images, seed=seed, recipe=recipe
            )
            loss = next(row["held_out"]["all"] for row in reversed(run.metrics) if "held_out" in row)
            for guidance in (1.0, 2.0):
                drawn = noisette.draw(run.model, args.n, names, seed=seed, guidance=guidance).pixels
                right = (reader.predict(flat(drawn)) == asked.numpy()).mean()
                score = 1000 * kid(extract(drawn), features)
                print(f"| {way} | {seed} | {loss:.4f} | {guidance:g} | {right:.1%} | {score:.1f} |", flush=True)


if __name__ == "__main__":
    main()
