"""Draw pictures with an exported model: python sample.py -n 16 --out new. Needs numpy, onnxruntime and Pillow.

model.json holds a table of steps. A step asks the network about some pictures, and ends with another: both are sums
of pictures that are known by then, with the weights that the table gives.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

Array = np.ndarray[Any, np.dtype[Any]]
HERE = Path(__file__).parent


def ask(net: Any, call: Any, x: Array, inputs: dict[str, Array], guidance: float) -> tuple[Array, Array]:
    """x0 and eps as the network sees them: guided, and x0 kept within [-1, 1]."""
    feed = {"x": call["scale"] * x, "level": np.full(len(x), call["level"], np.float32)} | inputs
    out = net.run(["out"], feed)[0][:, : x.shape[1]]
    if guidance != 1:
        nothing = {"label": lambda v: np.full_like(v, -1), "vector": lambda v: np.full_like(v, np.nan)}
        away = net.run(["out"], feed | {k: nothing[k](v) for k, v in inputs.items()})[0][:, : x.shape[1]]
        out = away + guidance * (out - away)
    x0 = np.clip(call["x0"][0] * out + call["x0"][1] * x, -1, 1)
    return x0, (x - call["alpha"] * x0) / call["sigma"]


def walk(net: Any, told: Any, inputs: dict[str, Array], guidance: float, noise: Callable[[], Array]) -> Array:
    """From pure noise, of which each call gives as much again, (n, channels, height, width), to [-1, 1]."""
    known, calls = {"x": told["start"] * noise()}, 0

    def total(sums: dict[str, float]) -> Array:
        for name in sums:
            if name.startswith("z.") and name not in known:
                known[name] = noise()
        return np.asarray(np.sum([w * known[name] for name, w in sums.items()], axis=0, dtype=np.float32))

    for step in told["steps"]:
        for call in step["calls"]:
            k = calls % told["kept"]
            known[f"x0.{k}"], known[f"eps.{k}"] = ask(net, call, total(call["x"]), inputs, guidance)
            calls += 1
        known["x"] = total(step["then"])
        known = {name: value for name, value in known.items() if not name.startswith("z.")}
    return known["x"]


def pixels(x: Array, told: Any) -> Array:
    """[-1, 1], colours premultiplied by alpha, to 8 bits, straight alpha (snapped), (n, height, width, channels)."""
    x = np.clip((x + 1) / 2, 0, 1)
    if told["pictures"]["mode"] in ("LA", "RGBA"):
        a, near = x[:, -1:], 0.5 if told["pictures"]["binary_alpha"] else 4.5 / 255
        alpha = np.select([a <= near, a > 1 - near], [0, 1], a)
        x = np.concatenate([np.where(alpha > 0.5 / 255, np.clip(x[:, :-1] / np.maximum(a, 1e-6), 0, 1), 0), alpha], 1)
    return np.round(x * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def one(net: Any, told: Any, seed: int, label: str | None, guidance: float) -> Array:
    """A picture that depends on its seed alone, (height, width, channels). Attributes are left unsaid."""
    stream, shape, inputs = np.random.default_rng(seed), told["inputs"]["x"][1:], {}
    if label is not None:
        inputs["label"] = np.array([told["pictures"]["labels"].index(label)])
    if "vector" in told["inputs"]:
        inputs["vector"] = np.full((1, told["inputs"]["vector"][1]), np.nan, np.float32)
    x = walk(net, told, inputs, guidance, lambda: np.asarray(stream.standard_normal((1, *shape), np.float32)))
    return pixels(x, told)[0]


def main() -> None:
    told = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
    labels: list[str] = told["pictures"]["labels"]
    parser = argparse.ArgumentParser(description="Draw pictures: PNG files at native size.")
    parser.add_argument("--out", type=Path, default=Path("new"), help="the folder to write into")
    parser.add_argument("-n", type=int, default=16, help="how many pictures")
    parser.add_argument("--label", choices=labels, help="what to draw; all in turn unless said")
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; the next has the next")
    parser.add_argument("--guidance", type=float, default=told["guidance"], help="1 is none")
    args = parser.parse_args()
    if args.guidance != 1 and not told["null"]:
        parser.error("this model was not trained without labels, too: there is nothing to guide away from")
    args.out.mkdir(parents=True, exist_ok=True)
    data = (HERE / "model.onnx").read_bytes()  # bytes, not a path: a file that a model names is never opened
    net = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    for i in range(args.n):
        seed, label = args.seed + i, args.label or (labels[i % len(labels)] if labels else None)
        picture = one(net, told, seed, label, args.guidance)
        word = "".join(c if c.isalnum() else "-" for c in f"{label}-".lower()) if label else ""
        path = args.out / f"{word}{seed:06d}.png"
        Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(path)
        print(path)  # noqa: T201


if __name__ == "__main__":
    main()
