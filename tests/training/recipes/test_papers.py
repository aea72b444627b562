"""The papers' presets: as large as the papers say, as trained there, and usable as `noisette train --preset NAME`."""

from pathlib import Path

import pytest
import torch

import noisette
from commands import run
from noisette.data.pictures import Pictures
from noisette.diffusion import loss
from noisette.models.config import build
from noisette.sampling.generate import final_samples, generate
from noisette.training.progress_schedule import lr_factor
from noisette.training.recipes.presets import PRESETS

CIFAR, IMAGENET = Pictures("RGB", 32, 32), Pictures("RGB", 64, 64, tuple(map(str, range(1000))))
COURSE = Pictures("RGB", 16, 16, ("hero", "non-hero", "food", "spell", "side-facing"))


def millions(name: str, pictures: Pictures) -> float:
    """Parameters; a row of the null class and the course's way around are ours, and not counted there."""
    with torch.device("meta"):
        net = build(PRESETS[name](pictures, 0.5).model.net)
    return sum(p.numel() for p in net.parameters()) / 1e6


@pytest.mark.parametrize(("name", "pictures", "published"), [
    ("ddpm-cifar10", CIFAR, 35.7), ("iddpm-cifar10", CIFAR, 52.5), ("adm-64", IMAGENET, 296),
    ("sprites-course", COURSE, 1.48),
])  # fmt: skip
def test_parameters(name: str, pictures: Pictures, published: float) -> None:
    assert millions(name, pictures) == pytest.approx(published, rel=0.003)


def test_our_presets_have_the_documented_sizes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    for name in ("tiny", "small", "base", "patch", "dit-tiny"):
        assert f"{millions(name, CIFAR):.1f}" in page, (name, millions(name, CIFAR))
    assert all(f"`{name}`" in page for name in PRESETS)


def test_lengths_are_shares() -> None:
    ddpm = PRESETS["ddpm-cifar10"](CIFAR, 0.5).training
    assert ddpm.warmup * 800_000 == 5000
    assert 0.9999 ** (ddpm.ema * 800_000) == pytest.approx(0.5)
    assert [lr_factor(p, ddpm.warmup, ddpm.min_lr_ratio) for p in (0.01, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert lr_factor(0.0, 0.0, 1.0) == 1.0
    course = PRESETS["sprites-course"](COURSE, 0.5).training
    assert lr_factor(1.0, course.warmup, course.min_lr_ratio) == 0.0


@pytest.mark.parametrize("name", ["iddpm-cifar10", "adm-64"])
def test_a_learned_variance(name: str) -> None:
    recipe = PRESETS[name](CIFAR, 0.5)
    assert recipe.model.net.out_channels == 6 and isinstance(recipe.build_loss(), loss.HybridLoss)
    assert recipe.model.sampling.sampler == "ddpm-learned"


def test_attention_is_at_the_resolutions_of_the_paper() -> None:
    for side, levels in (
        (32, (False, True, False, False)),
        (16, (True, False, False, False)),
        (64, (False, False, True, False)),
    ):
        assert PRESETS["ddpm-cifar10"](Pictures("RGB", side, side), 0.5).model.net.attention == levels


@pytest.mark.parametrize("name", ["sprites-course", "dit-tiny"])
def test_a_run(name: str, sprites: Path, tmp_path: Path) -> None:
    """Two steps by the command line, and a model folder at the end, which draws."""
    flags = ("--preset", name, "--batch", "4", "--images", "8", "--precision", "fp32")
    done = run("train", sprites, "--out", tmp_path / "run", *flags)
    assert done.returncode == 0, done.stderr
    model = noisette.load(tmp_path / "run")
    assert type(model.net).__name__ == {"sprites-course": "ContextUNet", "dit-tiny": "DiT"}[name]
    grid = model.grid(2)
    drawn = final_samples(generate(model, [0, 1], model.condition("food", 2), model.sampler(), grid), grid)
    assert drawn.shape == (2, 4, 8, 8) and drawn.isfinite().all()
