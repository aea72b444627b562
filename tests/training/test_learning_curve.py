"""What more pictures would bring: the power law in closed form, and two sets of which one knows the answer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from commands import SMALL
from noisette.data import Dataset, prepare
from noisette.errors import InputError
from noisette.training import TrainOptions
from noisette.training.learning_curve import (
    DATA_SHARES,
    DataForecast,
    LearningCurvePoint,
    fit_power_law,
    forecast_more_data,
    forecast_to_json,
    trial_subsets,
    with_training_subset,
)

SIZES = (100, 100, 200, 200, 400, 400)


def law(exponent: float, noise: float = 0.0, seed: int = 0) -> DataForecast:
    """400 pictures, 50 more; losses that follow 2 · n^(−exponent) but for the luck of each run."""
    generator = torch.Generator().manual_seed(seed)
    luck = (noise * torch.randn(len(SIZES), generator=generator, dtype=torch.float64)).exp()
    means = 2 * torch.tensor(SIZES).double() ** -exponent * luck
    of_picture = 1 + 0.3 * torch.randn(200, generator=generator, dtype=torch.float64)  # some are harder than others
    losses = means[:, None] * of_picture / of_picture.mean()
    points = [LearningCurvePoint(n, loss, 1000) for n, loss in zip(SIZES, losses.mean(1).tolist(), strict=True)]
    return fit_power_law(points, losses, 400, 50, 8000)


def test_a_power_law_is_found():
    found = law(0.3)
    assert found.exponent.value == pytest.approx(0.3, abs=1e-9)
    assert found.exponent.high - found.exponent.low < 1e-6  # what all pictures share is no doubt
    assert found.gain.value == pytest.approx(100 * (1 - (450 / 400) ** -0.3))
    assert found.summary.startswith("More pictures help: 50 more pictures would lower the held-out loss by 3.5 % [3.5")


def test_no_gain_and_an_uncertain_gain():
    assert "would hardly help" in law(0.0, 0.003).summary
    assert "help a little" in law(0.1, 0.02).summary
    assert "not certain" in law(0.1, 0.2).summary
    data = forecast_to_json(law(0.1, 0.2))
    assert json.loads(json.dumps(data)) == data | {"points": list(data["points"])} and data["summary"]


def test_the_interval_has_its_nominal_coverage():
    held = [law(0.2, 0.05, seed).exponent for seed in range(200)]
    share = sum(e.low <= 0.2 <= e.high for e in held) / len(held)
    assert 0.91 <= share <= 0.99


def pictures(folder: Path, kind: str, n: int) -> Path:
    """ "noise": around one gray, as any others are. "family": sums of waves of which each picture has its own."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    y, x = np.mgrid[0:8, 0:8] / 8
    for i in range(n):
        if kind == "noise":
            gray = 128 + 40 * rng.standard_normal((8, 8))
        else:
            a = rng.standard_normal((4, 4))
            waves = sum(a[j, k] * np.cos(np.pi * (j * y + k * x)) for j in range(4) for k in range(4) if j + k)
            gray = 128 + 40 * waves
        Image.fromarray(gray.clip(0, 255).astype(np.uint8), "L").save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    home = tmp_path_factory.mktemp("family")
    return prepare(str(pictures(home / "pictures", "family", 60)), home / "run")


def test_parts_are_of_the_training_pictures_alone(data: Dataset):
    n = len(data.train)
    rows = trial_subsets(n)
    assert [len(r) for r in rows] == [int(share * n) for share in DATA_SHARES]
    for one, other in ((0, 1), (2, 3)):
        assert not set(rows[one].tolist()) & set(rows[other].tolist())
    part = with_training_subset(data, rows[0])
    assert len(part.train) == len(rows[0]) and len(part.held_out) == len(data.held_out)
    assert torch.equal(part.train.pixels(torch.arange(len(rows[0]))), data.train.pixels(rows[0]))


def test_too_few_to_learn_from_parts(sprites: Path, tmp_path: Path):
    few = prepare(str(sprites), tmp_path / "run")
    with pytest.raises(InputError, match="too few to learn from parts of them"):
        forecast_more_data(few, TrainOptions(images=64))


@pytest.mark.slow
def test_more_pictures_of_noise_do_not_help(tmp_path: Path):
    data = prepare(str(pictures(tmp_path / "pictures", "noise", 160)), tmp_path / "run")
    seen: list[tuple[int, int]] = []
    options = TrainOptions(images=1024, preset="tiny", batch=64, precision="fp32", recipe=SMALL)
    found = forecast_more_data(data, options, 50, lambda *progress: seen.append(progress))
    assert "would hardly help" in found.summary, found
    assert seen[-1] == (6 * 1024, 6 * 1024)
