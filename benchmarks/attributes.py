"""Requested against measured attributes of new pictures: discs of any hue and size.

    python benchmarks/attributes.py [--for 3m] [--work DIR]

Draws 2,000 discs, trains on them for so long with their hue and radius as attributes, generates 100 new ones, and
measures these.
"""

import argparse
import colorsys
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

import noisette
from noisette.sampling.generate import final_samples, generate


def attributes(work: Path, minutes: str) -> list[dict[str, Any]]:
    """Requested against measured hue and radius of new discs."""
    folder, rng, lines = work / "discs", np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(2000):
        hue, radius = rng.uniform(0, 0.66), rng.uniform(2, 7)
        disc(hue, radius, rng).save(folder / f"{i:04d}.png")
        lines.append(json.dumps({"file_name": f"{i:04d}.png", "hue": round(hue, 4), "radius": round(radius, 4)}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "noisette", "train", str(folder), "--out", str(work / "run"), "--for", minutes]
    subprocess.run(command, check=True)
    model, n = noisette.load(work / "run"), 100
    requested = [{"hue": float(rng.uniform(0, 0.66)), "radius": float(rng.uniform(2, 7))} for _ in range(n)]
    rows: list[dict[str, Any]] = []
    for scale in (1.0, 2.0):
        cond, grid = model.condition(None, n, attributes=requested), model.grid()
        pictures = model.pictures.decode(
            final_samples(generate(model, range(n), cond, model.sampler(), grid, scale), grid)
        )
        found = np.array([seen(p) for p in pictures])
        for i, name in enumerate(("hue", "radius")):
            values = np.array([a[name] for a in requested])
            r, error = np.corrcoef(values, found[:, i])[0, 1], np.abs(values - found[:, i]).mean()
            rows.append({"guidance": scale, "attribute": name, "correlation": float(r), "mean error": float(error)})
    return rows


def disc(hue: float, radius: float, rng: np.random.Generator) -> Image.Image:
    """16×16, drawn four times as large and shrunk: soft edges."""
    image = Image.new("RGBA", (64, 64))
    x, y = rng.uniform(4 * radius, 64 - 4 * radius, 2)
    color = tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.9, 0.9))
    ImageDraw.Draw(image).ellipse((x - 4 * radius, y - 4 * radius, x + 4 * radius, y + 4 * radius), (*color, 255))
    return image.resize((16, 16), Image.Resampling.BOX)


def seen(pixels: Tensor) -> tuple[float, float]:
    """The hue of the mean color, and the radius of a disc of that area."""
    rgba = pixels.double() / 255
    color = (rgba[:3] * rgba[3:]).sum((1, 2)) / rgba[3].sum().clamp(min=1e-9)
    hue = colorsys.rgb_to_hsv(*color.tolist())[0]
    return hue - (hue > 0.83), float((rgba[3].sum() / np.pi).sqrt())  # a red next to 0 is next to 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="minutes", default="3m", help="how long to train")
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    rows = attributes(args.work or Path(tempfile.mkdtemp(prefix="attributes-")), args.minutes)
    print("\n| guidance | attribute | correlation | mean error |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r['guidance']:g} | {r['attribute']} | {r['correlation']:.3f} | {r['mean error']:.3f} |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
