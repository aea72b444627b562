"""The papers' presets: their settings, for pictures of any size.

Lengths that a paper counts in steps are shares of its whole run here. Otherwise than in the papers, one label in ten is
forgotten, so that guidance works, and gradients are clipped at 1 throughout.
"""

import math

from . import loss, parametrization, schedule
from .config import ModelConfig, Sampling
from .nn.architecture import UNetConfig
from .nn.context_unet import ContextUNetConfig
from .nn.dit import DiTConfig
from .pictures import Pictures
from .recipe import Preset, Recipe, Training


def half_life(decay: float, steps: int) -> float:
    """Of an average that keeps `decay` of itself at each of so many steps, as a share of them."""
    return math.log(0.5) / math.log(decay) / steps


def attending(pictures: Pictures, levels: int, *sides: int) -> tuple[bool, ...]:
    """Which levels attend, where the paper says it of the sides that the pictures have there."""
    side = min(pictures.height, pictures.width)
    return tuple(side // 2**i in sides for i in range(levels))


def ddpm_cifar10(pictures: Pictures, sigma_data: float) -> Recipe:
    """Ho et al. 2020, appendix B: 800 thousand steps of 128 pictures."""
    net = UNetConfig(
        in_channels=pictures.channels,
        out_channels=pictures.channels,
        channels=(128, 256, 256, 256),
        attention=attending(pictures, 4, 16),
        dropout=0.1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.tokens,
        pad="end",
        eps=1e-6,
        time_channels=128,
        time_order="sin_cos",
        freq_shift=1,
    )
    sampling = Sampling("ddpm", "trailing", 1000)
    model = ModelConfig(net, schedule.LinearBeta(), parametrization.Epsilon(), pictures, sampling)
    training = Training(
        batch=128,
        lr=2e-4,
        warmup=5_000 / 800_000,
        floor=1.0,
        beta2=0.999,
        ema=half_life(0.9999, 800_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(1000),
    )
    return Recipe(model, training)


def iddpm_cifar10(pictures: Pictures, sigma_data: float) -> Recipe:
    """Nichol & Dhariwal 2021, L_hybrid with the cosine schedule: 500 thousand steps of 128 pictures."""
    net = UNetConfig(
        in_channels=pictures.channels,
        out_channels=2 * pictures.channels,
        channels=(128, 256, 256, 256),
        blocks=3,
        attention=attending(pictures, 4, 16, 8),
        heads=4,
        dropout=0.3,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.tokens,
        modulation="scale_shift",
    )
    chain, sampling = schedule.Cosine(4000, shown=1000), Sampling("ddpm-learned", "strided", 250)
    model = ModelConfig(net, chain, parametrization.Epsilon(), pictures, sampling)
    training = Training(
        batch=128,
        lr=1e-4,
        warmup=0.0,
        floor=1.0,
        beta2=0.999,
        ema=half_life(0.9999, 500_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(4000),
        measure=loss.SquaredErrorAndBound(),
    )
    return Recipe(model, training)


def adm_64(pictures: Pictures, sigma_data: float) -> Recipe:
    """Dhariwal & Nichol 2021, ImageNet at 64 pixels: 540 thousand steps of 2048 pictures."""
    net = UNetConfig(
        in_channels=pictures.channels,
        out_channels=2 * pictures.channels,
        channels=(192, 384, 576, 768),
        blocks=3,
        attention=attending(pictures, 4, 32, 16, 8),
        head_channels=64,
        dropout=0.1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.tokens,
        modulation="scale_shift",
        resample="block",
        time_channels=192,
    )
    sampling = Sampling("ddpm-learned", "strided", 250)
    model = ModelConfig(net, schedule.Cosine(), parametrization.Epsilon(), pictures, sampling)
    training = Training(
        batch=2048,
        lr=3e-4,
        warmup=0.0,
        floor=1.0,
        beta2=0.999,
        ema=half_life(0.9999, 540_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(1000),
        measure=loss.SquaredErrorAndBound(),
    )
    return Recipe(model, training)


def sprites_course(pictures: Pictures, sigma_data: float) -> Recipe:
    """DeepLearning.AI's "How Diffusion Models Work": 28.6 thousand steps of 100 pictures.

    It keeps no average: here its half-life is next to nothing. Its rate falls along a line, and here along a cosine.
    """
    net = ContextUNetConfig(
        in_channels=pictures.channels,
        out_channels=pictures.channels,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.tokens,
        height=pictures.height,
        width=pictures.width,
    )
    chain, sampling = schedule.LinearBeta(500), Sampling("ddpm", "trailing", 500)
    model = ModelConfig(net, chain, parametrization.Epsilon(), pictures, sampling)
    training = Training(
        batch=100,
        warmup=0.0,
        floor=0.0,
        beta2=0.999,
        ema=1e-5,
        weighting=loss.Simple(),
        times=loss.Steps(500),
    )
    return Recipe(model, training)


def dit_tiny(pictures: Pictures, sigma_data: float) -> Recipe:
    """Peebles & Xie 2023 with a quarter of DiT-S, trained as our own presets are (EDM)."""
    net = DiTConfig(
        in_channels=pictures.channels,
        out_channels=pictures.channels,
        patch=2 if min(pictures.height, pictures.width) >= 16 else 1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.tokens,
    )
    model = ModelConfig(net, schedule.VarianceExploding(), parametrization.EDM(sigma_data), pictures)
    return Recipe(model, Training(weighting=loss.EDMWeight(sigma_data), fit=0.02))


PAPERS: dict[str, Preset] = {
    "sprites-course": sprites_course,
    "ddpm-cifar10": ddpm_cifar10,
    "iddpm-cifar10": iddpm_cifar10,
    "adm-64": adm_64,
    "dit-tiny": dit_tiny,
}
