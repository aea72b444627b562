"""Do samples show what their captions say? Retrieval of captions from samples, with the frozen encoder's vectors.

    python benchmarks/captions.py RUN [--model base-32] [--n 100] [--guidance 1 2 3] [--seeds 0 1] [--picture FILE]

RUN is a run that was trained with captions: its pictures are compared with, and by default its model draws. A linear
map from picture features to the encoder's vectors is fitted to training pictures (ridge regression; the penalty is
chosen on a part of them). It then maps each sample to a vector, and the captions of `--n` held-out pictures are ranked
by cosine similarity to it. A row: the share of samples whose own caption is the first, and among the first ten. The
held-out pictures themselves show what the measure can reach; samples without captions are at chance.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from noisette.data import Dataset
from noisette.data.contact_sheet import contact_sheet
from noisette.data.dataset import Subset
from noisette.data.png import write_png
from noisette.diffusion.noise import make_generator
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.models.picture_model import load
from noisette.sampling.draw import draw

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of the ridge regression, times the number of pictures
MAX_TRAINING, TUNING = 12_000, 2_000  # pictures that the map is fitted to, and those that choose the penalty


def caption_vectors(subset: Subset, rows: list[int]) -> Tensor:
    """The encoder's vector of each picture's whole caption, (N, D)."""
    assert subset.captions is not None
    vectors = [torch.from_numpy(subset.captions.embedding(str(subset.texts[i]))[0].copy()) for i in rows]
    return torch.stack(vectors).float()


@dataclass(frozen=True)
class CaptionMap:
    """A linear map from picture features to caption vectors, both less their means."""

    features_mean: Tensor
    features_scale: Tensor
    weight: Tensor
    vectors_mean: Tensor

    @classmethod
    def fit(cls, features: Tensor, vectors: Tensor, penalty: float) -> "CaptionMap":
        mean, scale, center = features.mean(0), features.std(0).clamp(min=1e-4), vectors.mean(0)
        x, y = (features - mean) / scale, vectors - center
        gram = x.T @ x + penalty * len(x) * torch.eye(x.shape[1])
        return cls(mean, scale, torch.linalg.solve(gram, x.T @ y), center)

    def rank(self, features: Tensor, vectors: Tensor) -> Tensor:
        """The rank of each row's own vector among all rows', by cosine similarity; 0: the first."""
        predicted = F.normalize(((features - self.features_mean) / self.features_scale) @ self.weight)
        similarity = predicted @ F.normalize(vectors - self.vectors_mean).T
        return (similarity > similarity.diagonal()[:, None]).sum(1)


def top(ranks: Tensor, k: int) -> float:
    return float((ranks < k).float().mean())


def fit_map(subset: Subset, extractor: EfficientNetExtractor, seed: int) -> CaptionMap:
    """Fitted to training pictures; the penalty is the best of PENALTIES on others of them."""
    captioned = torch.tensor([i for i, text in enumerate(subset.texts) if text])
    order = captioned[torch.randperm(len(captioned), generator=make_generator("captions", seed))][:MAX_TRAINING]
    features, vectors = extractor(subset.pixels(order)), caption_vectors(subset, order.tolist())
    tuning, rest = slice(0, TUNING), slice(TUNING, None)

    def mean_score(penalty: float) -> float:
        fitted = CaptionMap.fit(features[rest], vectors[rest], penalty)
        parts = zip(features[tuning].split(100), vectors[tuning].split(100), strict=True)
        return sum(top(fitted.rank(f, v), 10) for f, v in parts)

    return CaptionMap.fit(features, vectors, max(PENALTIES, key=mean_score))


def choose_captions(data: Dataset, n: int, seed: int) -> Tensor:
    """The rows of n held-out pictures with different captions, none of which is a training picture's."""
    known = set(data.train.texts)
    rows: list[int] = []
    for i in torch.randperm(len(data.held_out), generator=make_generator("captions held out", seed)).tolist():
        text = data.held_out.texts[i]
        if text and text not in known:
            known.add(text)
            rows.append(i)
    if len(rows) < n:
        raise SystemExit(f"{len(rows)} held-out pictures have captions that no training picture has, {n} are needed")
    return torch.tensor(rows[:n])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model", help="draws instead of RUN's model")
    parser.add_argument("--n", type=int, default=100, help="captions")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--picture", type=Path, help="samples of the last row")
    args = parser.parse_args()
    data, model, extractor = Dataset.open(args.run), load(args.model or args.run), EfficientNetExtractor()
    held_out = all_pixels(data.held_out)
    print("| seed | pictures | own caption first, % | among the first ten, % |\n|---|---|---|---|")
    for seed in args.seeds:
        fitted = fit_map(data.train, extractor, seed)
        rows = choose_captions(data, args.n, seed)
        vectors = caption_vectors(data.held_out, rows.tolist())

        def report(
            name: str, pixels: Tensor, seed: int = seed, fitted: CaptionMap = fitted, v: Tensor = vectors
        ) -> None:
            ranks = fitted.rank(extractor(pixels), v)
            print(f"| {seed} | {name} | {100 * top(ranks, 1):.0f} | {100 * top(ranks, 10):.0f} |", flush=True)

        report("held-out pictures with these captions", held_out[rows])
        report("samples without captions", draw(model, args.n, seed=seed).pixels)
        texts = [str(data.held_out.texts[i]) for i in rows.tolist()]
        for scale in args.guidance:
            pixels = draw(model, args.n, text=texts, guidance=scale, seed=seed).pixels
            report(f"samples, guidance {scale:g}", pixels)
            if args.picture:
                write_png(args.picture, contact_sheet(pixels))


if __name__ == "__main__":
    main()
