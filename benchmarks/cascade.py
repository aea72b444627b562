"""16 → 32 → 64: are pictures of a cascade nearer to held-out ones than small pictures that are merely enlarged?

    noisette train emoji --size 32 --task upscale --for 5m --out runs/up32
    noisette train emoji --size 64 --task upscale --for 5m --out runs/up64
    python benchmarks/cascade.py emoji-16 runs/up32 runs/up64 [--n 400] [--direct emoji-32] [--picture FILE]

At the size of each model after the first: the base's pictures enlarged by bicubic interpolation, and by the models at
several levels of noise; real small pictures enlarged both ways; what --direct draws by itself, at its size; a floor.
Held-out KID × 10³.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

import noisette
from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.diffusion.noise import make_generator
from noisette.diffusion.operator import AveragePool
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.evaluator import SampleEvaluator, SampleSet
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.models.picture_model import PictureModel
from noisette.sampling.cascade import Cascade
from noisette.sampling.generate import final_samples, generate
from noisette.shapes import Images, UInt8Images

LEVELS = (0.0, 0.1, 0.2)
BATCH = 16
SHOWN = 8


def choose_labels(data: Dataset, n: int) -> list[str]:
    """Labels in the proportions of the training pictures."""
    assert data.train.labels is not None
    rows = torch.randperm(len(data.train), generator=make_generator("asked"))[:n]
    return [data.pictures.labels[i] for i in data.train.labels[rows].tolist()]


def drawn(model: PictureModel, labels: list[str]) -> Images:
    grid, own, n = model.grid(), model.config.sampling, len(labels)
    walk = generate(model, range(n), model.condition(labels, n), model.sampler(), grid, own.guidance, BATCH)
    return final_samples(walk, grid)


def bicubic(model: PictureModel, small: Images) -> UInt8Images:
    size = (model.pictures.height, model.pictures.width)
    return model.pictures.decode_samples(F.interpolate(small, size, mode="bicubic", antialias=False).clamp(-1, 1))


def enlarged(
    base: PictureModel, after: tuple[PictureModel, ...], x: Images, labels: list[str], level: float
) -> UInt8Images:
    larger = Cascade(after, level).validate(base).upscale(base, x, range(len(x)), labels, BATCH)
    return after[-1].pictures.decode_samples(larger).cpu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("ups", nargs="+", type=Path)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--direct", default="")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    base, ups, net = noisette.load(args.base), [noisette.load(up) for up in args.ups], EfficientNetExtractor()
    direct = noisette.load(args.direct) if args.direct else None
    small, rows = None, []
    for count, (run, last) in enumerate(zip(args.ups, ups, strict=True), 1):
        data, after = Dataset.open(run), tuple(ups[:count])
        labels = choose_labels(data, args.n)
        small = drawn(base, labels) if small is None else small
        assert data.train.labels is not None
        train, side = all_pixels(data.train), last.pictures.height
        yardstick = SampleEvaluator(train, all_pixels(data.held_out), net)
        real = AveragePool(side // base.pictures.height)(last.pictures.encode(train[: args.n]))
        own = [data.pictures.labels[i] for i in data.train.labels[: args.n].tolist()]
        half = train[torch.randperm(len(train), generator=make_generator("half"))[: args.n]]
        sets = {"real pictures (floor)": half, "real, shrunk, bicubic": bicubic(last, real)}
        sets |= {"real, shrunk, enlarged by the models": enlarged(base, after, real, own, 0.0)}
        sets |= {"drawn, bicubic": bicubic(last, small)}
        sets |= {f"drawn, cascade, level {v:g}": enlarged(base, after, small, labels, v) for v in LEVELS}
        if direct is not None and direct.pictures.height == side:
            sets |= {f"drawn at {side} px at once": direct.pictures.decode_samples(drawn(direct, labels)).cpu()}
        for name, pixels in sets.items():
            kid = yardstick(SampleSet(name, pixels)).kid
            rows.append(
                {"px": side, "what": name, "n": len(pixels), "kid": kid.value, "low": kid.low, "high": kid.high}
            )
            print(f"{side:3} px  {name:38} KID × 10³ {kid:.0f}", flush=True)
    assert small is not None
    if args.picture:
        largest, labels = ups[-1].pictures.height, choose_labels(Dataset.open(args.ups[0]), args.n)
        steps = [base.pictures.decode_samples(small[:SHOWN]).cpu()]
        steps += [enlarged(base, tuple(ups[:k]), small[:SHOWN], labels[:SHOWN], 0.1) for k in range(1, len(ups) + 1)]
        same = [
            s.repeat_interleave(largest // s.shape[2], 2).repeat_interleave(largest // s.shape[3], 3) for s in steps
        ]
        write_png(args.picture, contact_sheet(torch.cat(same), SHOWN))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
