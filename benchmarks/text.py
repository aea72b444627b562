"""Does a model generate combinations of words that it never saw? Shapes of eight colors, six kinds, two sizes.

    python benchmarks/text.py [--for 290s] [--work DIR] [--picture docs/pictures/text.png]

Writes 2,160 sprites with captions ("a small red disc", "a little scarlet ball"), without twelve of the 48 pairs of
color and shape. Trains on them for the given time, generates the pairs that were left out, from the captions' plain
words and from words that no caption has ("a tiny crimson circle"), and measures color, shape and size of the samples.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

import noisette
from noisette.data import Dataset
from noisette.data.contact_sheet import LabeledRow, labeled_sheet
from noisette.data.text import open_encoder
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import final_samples, generate

SIDE, FINE = 12, 8  # pixels; how much larger a sprite is drawn before it is shrunk
COLORS = {
    "red": (215, 40, 40), "orange": (245, 140, 30), "yellow": (245, 225, 60), "green": (50, 170, 60),
    "blue": (45, 80, 220), "purple": (140, 60, 190), "pink": (250, 150, 195), "white": (240, 240, 240),
}  # fmt: skip
SHAPES = ("disc", "square", "triangle", "cross", "ring", "diamond")
SIZES = {"small": (2.2, 2.8), "big": (4.3, 5.0)}  # radius in pixels
WAYS = {  # words of the captions; the last one of each is in none
    "red": ("red", "scarlet", "ruby", "crimson"), "orange": ("orange", "apricot", "pumpkin", "tangerine"),
    "yellow": ("yellow", "lemon", "canary", "golden"), "green": ("green", "jade", "olive", "emerald"),
    "blue": ("blue", "azure", "cobalt", "sapphire"), "purple": ("purple", "plum", "lilac", "violet"),
    "pink": ("pink", "salmon", "blush", "rosy"), "white": ("white", "ivory", "chalk", "snowy"),
    "disc": ("disc", "ball", "dot", "circle"), "square": ("square", "block", "cube", "box"),
    "triangle": ("triangle", "wedge", "arrowhead", "pyramid"), "cross": ("cross", "plus", "x", "crucifix"),
    "ring": ("ring", "loop", "donut", "hoop"), "diamond": ("diamond", "lozenge", "kite", "rhombus"),
    "small": ("small", "little", "mini", "tiny"), "big": ("big", "huge", "giant", "large"),
}  # fmt: skip
EACH = 30  # training sprites a caption
DRAWN = 12  # pictures a caption that are measured
GUIDANCE = (1.0, 2.0)


@dataclass(frozen=True)
class SpriteSpec:
    """A size, a color and a shape."""

    size: str
    color: str
    shape: str

    @property
    def caption(self) -> str:
        return f"a {self.size} {self.color} {self.shape}"

    @property
    def paraphrase(self) -> str:
        return f"a {WAYS[self.size][-1]} {WAYS[self.color][-1]} {WAYS[self.shape][-1]}"

    def random_caption(self, rng: np.random.Generator) -> str:
        """A caption with random synonyms: each word is the plain one with probability 1/2."""
        words = [WAYS[word][rng.choice(3, p=(0.5, 0.25, 0.25))] for word in (self.size, self.color, self.shape)]
        return f"a {' '.join(words)}"

    @property
    def numbers(self) -> tuple[int, int, int]:
        return list(COLORS).index(self.color), SHAPES.index(self.shape), list(SIZES).index(self.size)

    @property
    def held_out(self) -> bool:
        """A quarter of the pairs, two colors of each shape."""
        color, shape, _ = self.numbers
        return (color - shape) % 4 == 0


SPECS = [SpriteSpec(size, color, shape) for color in COLORS for shape in SHAPES for size in SIZES]


def sprite(spec: SpriteSpec, rng: np.random.Generator) -> Image.Image:
    """On a dark ground, somewhere, nearly of its color."""
    ground = tuple(int(v) for v in rng.integers(10, 40, 3))
    image = Image.new("RGB", (SIDE * FINE, SIDE * FINE), ground)
    draw, r = ImageDraw.Draw(image), rng.uniform(*SIZES[spec.size]) * FINE
    x, y = rng.uniform(r + FINE / 2, SIDE * FINE - r - FINE / 2, 2)
    color = tuple(int(np.clip(v + rng.integers(-12, 13), 0, 255)) for v in COLORS[spec.color])
    if spec.shape in ("disc", "ring"):
        draw.ellipse((x - r, y - r, x + r, y + r), color)
        if spec.shape == "ring":
            draw.ellipse((x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), ground)
    elif spec.shape == "square":
        draw.rectangle((x - 0.88 * r, y - 0.88 * r, x + 0.88 * r, y + 0.88 * r), color)
    elif spec.shape == "triangle":
        draw.polygon([(x, y - r), (x - r, y + 0.85 * r), (x + r, y + 0.85 * r)], color)
    elif spec.shape == "diamond":
        draw.polygon([(x, y - r), (x - r, y), (x, y + r), (x + r, y)], color)
    else:
        draw.rectangle((x - r, y - 0.3 * r, x + r, y + 0.3 * r), color)
        draw.rectangle((x - 0.3 * r, y - r, x + 0.3 * r, y + r), color)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def pixels_of(specs: Sequence[SpriteSpec], seed: int) -> Tensor:
    """Real sprites, (N, 3, H, W) uint8."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([np.asarray(sprite(w, rng)) for w in specs])).permute(0, 3, 1, 2).contiguous()


# ── measuring ─────────────────────────────────────────────────────────────────────────────────────────────────────


def colors(pixels: Tensor) -> Tensor:
    """The number of the nearest color to the brightest pixels' mean, (N,)."""
    flat = pixels.float().flatten(2)
    place = flat.amax(1).topk(6).indices
    mean = flat.gather(2, place[:, None].expand(-1, 3, -1)).mean(2)
    return torch.cdist(mean, torch.tensor(list(COLORS.values())).float()).argmin(1)


class Reader(nn.Module):
    """Shape and size of a sprite, whatever its color."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
            nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.shape, self.size = nn.Linear(64, len(SHAPES)), nn.Linear(64, len(SIZES))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        light = pixels.float().amax(1, keepdim=True)
        low, high = light.amin((2, 3), keepdim=True), light.amax((2, 3), keepdim=True)
        h = self.body((light - low) / (high - low).clamp(min=1))
        return self.shape(h), self.size(h)


def reader(steps: int = 700) -> Reader:
    """Trained on real sprites of all pairs, those that the model never saw among them."""
    torch.manual_seed(0)
    net, specs = Reader(), SPECS * 40
    x, y = pixels_of(specs, 1), torch.tensor([w.numbers for w in specs])
    adam, generator = torch.optim.AdamW(net.parameters(), 2e-3), torch.Generator().manual_seed(0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,), generator=generator)
        shape, size = net(x[rows])
        loss = F.cross_entropy(shape, y[rows, 1]) + F.cross_entropy(size, y[rows, 2])
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def right(pixels: Tensor, specs: Sequence[SpriteSpec], read: Reader) -> dict[str, float]:
    """How often color, shape, size and all of them are the requested ones."""
    shape, size = read(pixels)
    seen = torch.stack([colors(pixels), shape.argmax(1), size.argmax(1)], dim=1)
    hit = seen == torch.tensor([w.numbers for w in specs])
    names = ("color", "shape", "size")
    return dict(zip(names, hit.double().mean(0).tolist(), strict=True)) | {"all": hit.all(1).double().mean().item()}


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(model: PictureModel, texts: Sequence[str | None], guidance: float = 1.0) -> Tensor:
    """A picture a text, seeds 0, 1, …"""
    grid = model.grid(10, "karras")
    cond = model.condition(n=len(texts), text=texts)
    walk = generate(model, range(len(texts)), cond, model.sampler("unipc"), grid, guidance, 96)
    return model.pictures.decode_samples(final_samples(walk, grid))


def trained(work: Path, time: str) -> Path:
    """Sprites of the pairs that are not left out, and a model of them."""
    folder, rng, lines = work / "shapes", np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for number, spec in enumerate([w for w in SPECS if not w.held_out] * EACH):
        sprite(spec, rng).save(folder / f"{number:04d}.png")
        lines.append(json.dumps({"file_name": f"{number:04d}.png", "text": spec.random_caption(rng)}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    words = ["train", str(folder), "--text", "--preset", "tiny", "--out", str(work / "run"), "--for", time]
    subprocess.run([sys.executable, "-m", "noisette", *words], check=True)
    return work / "run"


def nearest_pictures(run: Path, specs: Sequence[SpriteSpec]) -> Tensor:
    """The training picture with the caption nearest to each spec: the best that a memorizing model can do."""
    data, encoder = Dataset.open(run).train, open_encoder()
    known = sorted({t for t in data.texts if t is not None})
    near = (encoder([w.caption for w in specs]).pooled @ encoder(known).pooled.T).argmax(1)
    rows = [[i for i, text in enumerate(data.texts) if text == known[n]] for n in near.tolist()]
    return data.pixels(torch.tensor([own[k % len(own)] for k, own in enumerate(rows)]))


def closer(model: PictureModel, specs: Sequence[SpriteSpec]) -> float:
    """How often a sprite lies nearer to that of its paraphrase than to that of another caption, of the same noise."""
    n = len(specs)
    grid = model.grid(10, "karras")
    shares = []
    for seed in range(4):
        pictures = []
        for texts in ([w.caption for w in specs], [w.paraphrase for w in specs]):
            cond = model.condition(n=n, text=texts)
            pictures.append(
                final_samples(generate(model, [seed] * n, cond, model.sampler("unipc"), grid, 2.0, 96), grid)
            )
        across = torch.cdist(pictures[1].flatten(1), pictures[0].flatten(1))
        shares.append(((across > across.diagonal()[:, None]).sum() / (n * (n - 1))).item())
    return float(np.mean(shares))


def table(rows: dict[str, dict[str, float]]) -> str:
    names = ("color", "shape", "size", "all")
    lines = [f"| | {' | '.join(names)} |", "|---|---|---|---|---|"]
    lines += [f"| {k} | {' | '.join(f'{100 * row[n]:.1f} %' for n in names)} |" for k, row in rows.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="time", default="290s")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp())
    run = work / "run" if (work / "run" / "model").is_dir() else trained(work, arguments.time)
    model, read = noisette.load(run), reader()
    unseen = [w for w in SPECS if w.held_out] * DRAWN
    seen = [w for w in SPECS if not w.held_out] * (DRAWN // 3)
    rows = {
        "chance": {"color": 1 / 8, "shape": 1 / 6, "size": 1 / 2, "all": 1 / 96},
        "real sprites, of the pairs left out": right(pixels_of(unseen, 2), unseen, read),
        "nearest caption's own picture": right(nearest_pictures(run, unseen), unseen, read),
        "no caption": right(drawn(model, [None] * len(unseen)), unseen, read),
        "pairs it was trained on": right(drawn(model, [w.caption for w in seen]), seen, read),
    }
    for scale in GUIDANCE:
        pictures = drawn(model, [w.caption for w in unseen], scale)
        rows[f"pairs left out, guidance {scale:g}"] = right(pictures, unseen, read)
        pictures = drawn(model, [w.paraphrase for w in unseen], scale)
        rows[f"pairs left out, in other words, guidance {scale:g}"] = right(pictures, unseen, read)
    print(table(rows))
    print(f"\nnearer to its paraphrase than to another caption's sprite: {100 * closer(model, unseen[:24]):.1f} %")
    if arguments.picture is not None:
        figure(model).save(arguments.picture, optimize=True)


def figure(model: PictureModel) -> Image.Image:
    """A pair of each shape that was left out, in its own words and in others."""
    unseen = [w for w in SPECS if w.held_out]
    rows = []
    for i, shape in enumerate(SHAPES):
        spec = [w for w in unseen if w.shape == shape][[1, 2, 0, 3, 1, 2][i]]
        for text in (spec.caption, spec.paraphrase):
            rows.append(LabeledRow(text, drawn(model, [text] * 10, 2.0)))
    return labeled_sheet(
        rows, "Color and shape were never seen together; the second line of each has other words", scale=4
    )


if __name__ == "__main__":
    main()
