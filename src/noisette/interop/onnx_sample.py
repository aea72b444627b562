"""Sample from an exported model: python sample.py -n 16 --out new. Needs numpy, onnxruntime and Pillow.

model.json has a table of steps, each with network calls and a result: weighted sums of arrays that are known by then.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image, PngImagePlugin

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).parent


def predict(net: Any, call: Any, x: Array, inputs: dict[str, Array], guidance: float) -> tuple[Array, Array]:
    """Predicted x0, clipped to [-1, 1], and eps; with classifier-free guidance."""
    feed = {"x": call["c_in"] * x, "noise_label": np.full(len(x), call["noise_label"], np.float32)} | inputs
    out = net.run(["out"], feed)[0][:, : x.shape[1]]
    if guidance != 1:
        null = {"label": lambda v: np.full_like(v, -1), "vector": lambda v: np.full_like(v, np.nan)}
        unguided = net.run(["out"], feed | {k: null[k](v) for k, v in inputs.items()})[0][:, : x.shape[1]]
        out = unguided + guidance * (out - unguided)
    x0 = np.clip(call["x0"][0] * out + call["x0"][1] * x, -1, 1)
    return x0, (x - call["alpha"] * x0) / call["sigma"]


def sample(net: Any, table: Any, inputs: dict[str, Array], guidance: float, noise: Callable[[], Array]) -> Array:
    """A sample in [-1, 1]. Each call of `noise` returns new normal noise (n, channels, height, width)."""
    known, calls = {"x": table["initial_scale"] * noise()}, 0

    def total(sums: dict[str, float]) -> Array:
        known.update({name: noise() for name in sums if name.startswith("z.") and name not in known})
        return np.asarray(np.sum([w * known[name] for name, w in sums.items()], axis=0, dtype=np.float32))

    for step in table["steps"]:
        for call in step["calls"]:
            k = calls % table["history_size"]
            known[f"x0.{k}"], known[f"eps.{k}"] = predict(net, call, total(call["x"]), inputs, guidance)
            calls += 1
        known["x"] = total(step["result"])
        known = {name: value for name, value in known.items() if not name.startswith("z.")}
    return known["x"]


def to_pixels(x: Array, table: Any) -> Array:
    """[-1, 1] with premultiplied alpha (n, c, h, w) to uint8 with straight alpha (n, h, w, c)."""
    x = np.clip((x + 1) / 2, 0, 1)
    if table["pictures"]["mode"] in ("LA", "RGBA"):
        a, (low, high) = x[:, -1:], table["alpha_snap"]  # levels of 255: up to low becomes 0, from high on 255
        alpha = np.select([a * 255 <= low + 0.5, a * 255 > high - 0.5], [0, 1], a)
        x = np.concatenate([np.where(alpha > 0.5 / 255, np.clip(x[:, :-1] / np.maximum(a, 1e-6), 0, 1), 0), alpha], 1)
    return np.round(x * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def draw_image(net: Any, table: Any, seed: int, label: str | None, guidance: float) -> Array:
    """The picture of a seed, uint8 (height, width, channels), without specified attributes."""
    stream, shape = np.random.default_rng(seed), table["inputs"]["x"][1:]
    inputs = {} if label is None else {"label": np.array([table["pictures"]["labels"].index(label)])}
    if "vector" in table["inputs"]:
        inputs["vector"] = np.full((1, table["inputs"]["vector"][1]), np.nan, np.float32)
    x = sample(net, table, inputs, guidance, lambda: np.asarray(stream.standard_normal((1, *shape), np.float32)))
    return to_pixels(x, table)[0]


def main() -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a label may have any letters
    table = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
    labels: list[str] = table["pictures"]["labels"]
    parser = argparse.ArgumentParser(description="Sample pictures, and write PNG files.")
    parser.add_argument("--out", type=Path, default=Path("new"), help="output folder")
    parser.add_argument("-n", type=int, default=16, help="number of pictures")
    parser.add_argument("--label", choices=labels, help="label of the pictures (default: all in turn)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first picture; then seed + 1, …")
    parser.add_argument("--guidance", type=float, default=table["guidance"], help="guidance scale; 1: no guidance")
    args = parser.parse_args()
    if args.guidance != 1 and not table["has_null_class"]:
        parser.error("this model has no null class: --guidance must be 1")
    args.out.mkdir(parents=True, exist_ok=True)
    data = (HERE / "model.onnx").read_bytes()  # bytes, not a path: external files named in the model are never opened
    net = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    mark = PngImagePlugin.PngInfo()  # that a model made the picture: for noisette's training, and in XMP for all
    mark.add_text("Software", "noisette")
    mark.add_itxt("XML:com.adobe.xmp", table["xmp"])
    for i in range(args.n):
        seed, label = args.seed + i, args.label or (labels[i % len(labels)] if labels else None)
        name = "".join(c if c.isalnum() else "-" for c in f"{label or ''}".lower()).encode()[:100]  # of 255 possible
        path = args.out / f"{name.decode(errors='ignore')}{'-' * bool(name)}{seed:06d}.png"
        Image.fromarray(draw_image(net, table, seed, label, args.guidance).squeeze()).save(path, pnginfo=mark)
        print(path)  # noqa: T201


if __name__ == "__main__":
    main()
