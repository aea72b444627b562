"""A noisy classifier: it is trained, reports its accuracy by noise level, and guides samples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.cli.units import parse_duration
from noisette.data import Dataset, prepare
from noisette.data.pictures import Pictures
from noisette.diffusion.sampler import DDIM
from noisette.diffusion.schedule import LinearBeta, VarianceExploding
from noisette.errors import InputError
from noisette.models.classifier import PictureClassifier
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.steering import GuidanceModels, build_guidance
from noisette.training.noisy_classifier import ClassifierOptions, accuracy_by_noise, classifier_config, fit_classifier
from tiny_models import tiny

FEW = ClassifierOptions(images=1600, batch=32, width=8, dropout=0.0, lr=3e-3)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Gray pictures that are bright above or bright below."""
    folder, rng = tmp_path_factory.mktemp("halves"), np.random.default_rng(0)
    for i in range(80):
        label = ("above", "below")[i % 2]
        (folder / label).mkdir(exist_ok=True)
        pixels = rng.integers(0, 60, (8, 8)).astype(np.uint8)
        pixels[slice(0, 4) if i % 2 == 0 else slice(4, 8)] += 150
        Image.fromarray(pixels, "L").save(folder / label / f"{i:02d}.png")
    return prepare(folder, tmp_path_factory.mktemp("data"), held_out=0.3)


@pytest.mark.parametrize("schedule", [VarianceExploding(), LinearBeta()], ids=["exploding", "preserving"])
def test_a_noisy_classifier_is_accurate_at_low_noise_and_not_at_pure_noise(halves: Dataset, schedule) -> None:
    """Clean pictures rightly, pure noise no better than by chance; on any schedule."""
    readings = accuracy_by_noise(fit_classifier(halves, schedule, FEW), halves.held_out)
    rates = {r.noise: r.accuracy.value for r in readings}
    assert rates[0.2] > 0.95 and rates[0.5] > 0.9
    assert rates[20.0] < 0.8 and readings[-1].accuracy.low < 0.6
    assert list(rates) == sorted(rates)


def test_the_same_seed_is_the_same_classifier(halves: Dataset) -> None:
    few = ClassifierOptions(images=64, batch=32, width=8)
    one, two = (fit_classifier(halves, VarianceExploding(), few) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.training and not any(p.requires_grad for p in one.parameters())


def test_a_time_box_ends(halves: Dataset) -> None:
    fractions: list[float] = []
    fit_classifier(
        halves, VarianceExploding(), ClassifierOptions(seconds=0.3, width=8), lambda now: fractions.append(now.progress)
    )
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_it_guides_a_model_without_labels(halves: Dataset) -> None:
    """More of what is drawn up its gradient is read as the label than of what is drawn without."""
    classifier = fit_classifier(halves, VarianceExploding(), FEW)
    model, n = tiny("L", ()), 8
    grid, names = model.grid(8), ["below"] * n

    def score(aides: GuidanceModels) -> float:
        how = build_guidance(model, names, 1.0, steering=None, models=aides)
        drawn = final_samples(generate(model, range(n), None, DDIM(), grid, how), grid)
        t = torch.tensor(0.2 / 80, dtype=torch.float64)
        return classifier.log_prob("below", n)(drawn, drawn, t).mean().item()

    assert score(GuidanceModels(classifier=classifier)) > score(GuidanceModels()) + 0.1


def test_pictures_that_it_cannot_read(halves: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs square pictures, got 16×8"):
        classifier_config(Pictures("L", 8, 16, ("a", "b")), FEW)
    for side in (8, 10, 12, 14, 16, 20, 32, 64):
        assert side % classifier_config(Pictures("L", side, side, ("a", "b")), FEW).encoder.size_multiple == 0
    for i in range(4):
        Image.new("L", (8, 8), 40 * i).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match="at least two labels"):
        fit_classifier(prepare(tmp_path, tmp_path / "data"), VarianceExploding(), FEW)
    with pytest.raises(InputError, match=r"either a time .* or a number"):
        ClassifierOptions(seconds=parse_duration("2m"), images=5)


def test_written_and_read(halves: Dataset, tmp_path: Path) -> None:
    made = fit_classifier(halves, VarianceExploding(), ClassifierOptions(images=32, batch=32, width=8))
    made.save_pretrained(tmp_path / "classifier")
    read = PictureClassifier.from_pretrained(tmp_path / "classifier")
    x, t = torch.randn(3, 1, 8, 8), torch.tensor(0.01, dtype=torch.float64)
    assert torch.equal(read(x, t), made(x, t)) and len(read.hash) == 64
    with pytest.raises(InputError, match="is a classifier"):
        noisette.load(tmp_path / "classifier")
