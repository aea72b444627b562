"""How far a model's predictions are from its training pictures on average, by noise level; what subtracting it does.

    python benchmarks/mean_bias.py RUN [RUN …] [--pictures 512] [--n 300] [--seed 0] [--scales 0 1]

At each noise level the network predicts x0 of training pictures with noise; the mean of prediction minus picture, by
channel, should be 0. Then the run's own way draws n pictures while `scale` times this mean is subtracted from every
prediction of the network (0: as it is), and a row says how they compare with the held-out pictures: KID × 10³, recall,
coverage, mean and deviation of each premultiplied channel in levels of 255.
"""

import argparse
import math

import torch

from noisette.data import Dataset
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.noise import derive_seed, make_generator
from noisette.evaluation.evaluate import build_condition
from noisette.evaluation.held_out import all_pixels
from noisette.evaluation.metrics.appearance import channel_statistics
from noisette.evaluation.metrics.distribution import compute_prdc
from noisette.evaluation.metrics.features import EfficientNetExtractor
from noisette.evaluation.metrics.kid import kid
from noisette.models.picture_model import PictureModel, load
from noisette.sampling.generate import sample_images
from noisette.shapes import Images, Time, UInt8Images

LEVELS = (40.0, 20.0, 10.0, 7.0, 5.0, 3.5, 2.5, 1.8, 1.2, 0.8, 0.5, 0.3, 0.1)  # σ/α
BATCH = 50


class Corrected(PictureModel):
    """A model whose predictions are shifted by `scale` times a bias that depends on the noise level, (levels, C)."""

    scale: float
    levels: torch.Tensor  # ln σ/α, ascending
    bias: torch.Tensor

    def predict(self, x: Images, t: Time, cond: Condition | None = None) -> Prediction:
        found = super().predict(x, t, cond)
        if not self.calls_network(t):
            return found
        ratio = self.schedule.ratio(t).log().clamp(self.levels[0], self.levels[-1])
        upper = torch.searchsorted(self.levels, ratio).clamp(1, len(self.levels) - 1)
        low, high = self.levels[upper - 1], self.levels[upper]
        bias = torch.lerp(self.bias[upper - 1], self.bias[upper], (ratio - low) / (high - low))
        alpha, sigma = self.schedule.at(t, x)
        x0 = found.x0 - self.scale * bias.to(x)[None, :, None, None]
        return Prediction(x0, (x - alpha * x0) / sigma, found.variance)


@torch.no_grad()
def measure_bias(model: PictureModel, data: Dataset, number: int, seed: int) -> dict[float, torch.Tensor]:
    """σ/α → the mean of prediction minus picture by channel, where the network is called."""
    generator = make_generator(seed, "mean bias")
    rows = torch.randperm(len(data.train), generator=generator)[:number]
    x0, cond = data.train.x0(rows), build_condition(model, data.train, rows)
    found = {}
    for level in LEVELS:
        t = model.schedule.time_at_ratio(torch.tensor(level, dtype=torch.float64))
        if not model.calls_network(t):
            continue
        alpha, sigma = model.schedule.at(t, x0)
        x = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator)
        parts = [slice(i, i + BATCH) for i in range(0, len(x0), BATCH)]
        predicted = [model.predict(x[part], t, None if cond is None else cond[part]).x0 for part in parts]
        found[level] = (torch.cat(predicted) - x0).double().mean((0, 2, 3))
    return found


def draw(model: PictureModel, data: Dataset, number: int, seed: int) -> UInt8Images:
    rows = torch.randint(len(data.train), (number,), generator=make_generator(seed, "labels"))
    seeds = [derive_seed(seed, "mean bias", i) for i in range(number)]
    x = sample_images(model, seeds, build_condition(model, data.train, rows), batch=BATCH)
    return model.pictures.decode_samples(x).cpu()


def levels_of(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.0, 1.0])
    args = parser.parse_args()
    extract = EfficientNetExtractor()
    for run in args.runs:
        data, model = Dataset.open(run), load(run)
        bias = measure_bias(model, data, args.pictures, args.seed)
        print(f"\n{run}, {args.pictures} pictures: mean of prediction minus picture, in levels of 255\n")
        print("| σ/α | " + " | ".join(f"{level:g}" for level in bias) + " |\n|" + "---|" * (len(bias) + 1))
        for channel in range(model.pictures.channels):
            print(f"| {channel} | " + " | ".join(f"{127.5 * one[channel]:.1f}" for one in bias.values()) + " |")
        corrected = Corrected(model.config, model.prior).eval()
        corrected.net.load_state_dict(model.net.state_dict())
        ascending = sorted(bias)
        corrected.levels = torch.tensor([math.log(level) for level in ascending], dtype=torch.float64)
        corrected.bias = torch.stack([bias[level] for level in ascending])
        held_out = extract(all_pixels(data.held_out))
        print(f"\n{args.n} pictures, seed {args.seed}\n")
        print("| subtracted | KID × 10³ | recall | coverage | mean | deviation |\n|---|---|---|---|---|---|")
        mean, deviation = channel_statistics(all_pixels(data.train))
        print(f"| training pictures | | | | {levels_of(mean)} | {levels_of(deviation)} |")
        for scale in args.scales:
            corrected.scale = scale
            pixels = draw(corrected, data, args.n, args.seed)
            features, (mean, deviation) = extract(pixels), channel_statistics(pixels)
            prdc = compute_prdc(held_out, features)
            print(
                f"| {scale:g} | {1000 * kid(features, held_out):.1f} | {prdc.recall:.2f} | {prdc.coverage:.2f} | "
                f"{levels_of(mean)} | {levels_of(deviation)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
