"""Presets with the settings of papers, for pictures of any size.

Durations that a paper counts in steps are shares of its whole run here. Different from the papers: labels are dropped
with probability 0.1, so that classifier-free guidance works, and gradients are clipped at norm 1.
"""

import math

from ...data.pictures import Pictures
from ...diffusion import loss, parametrization, schedule
from ...models.config import ModelConfig, SamplingDefaults
from ...nn.architecture import UNetConfig
from ...nn.context_unet import ContextUNetConfig
from ...nn.dit import DiTConfig
from .recipe import Preset, Recipe, TrainingConfig


def ema_half_life(decay: float, steps: int) -> float:
    """The half-life, as a share of the run, of an average that keeps `decay` of itself in each of `steps` steps."""
    return math.log(0.5) / math.log(decay) / steps


def attention_levels(pictures: Pictures, levels: int, *sides: int) -> tuple[bool, ...]:
    """Which of `levels` U-Net levels have attention: those where the pictures have one of these `sides`, in pixels."""
    side = min(pictures.model_shape[1:])
    return tuple(side // 2**i in sides for i in range(levels))


def ddpm_cifar10(pictures: Pictures, sigma_data: float) -> Recipe:
    """Ho et al. 2020, appendix B: 800,000 steps of 128 images."""
    net = UNetConfig(
        in_channels=pictures.model_channels,
        out_channels=pictures.model_channels,
        channels=(128, 256, 256, 256),
        attention=attention_levels(pictures, 4, 16),
        dropout=0.1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.token_dim,
        pad="end",
        eps=1e-6,
        time_channels=128,
        time_order="sin_cos",
        freq_shift=1,
    )
    sampling = SamplingDefaults("ddpm", "trailing", 1000)
    model = ModelConfig(net, schedule.LinearBeta(), parametrization.Epsilon(), pictures, sampling)
    training = TrainingConfig(
        batch=128,
        lr=2e-4,
        warmup=5_000 / 800_000,
        min_lr_ratio=1.0,
        beta2=0.999,
        ema=ema_half_life(0.9999, 800_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(1000),
    )
    return Recipe(model, training)


def iddpm_cifar10(pictures: Pictures, sigma_data: float) -> Recipe:
    """Nichol & Dhariwal 2021, L_hybrid with the cosine schedule: 500,000 steps of 128 images."""
    net = UNetConfig(
        in_channels=pictures.model_channels,
        out_channels=2 * pictures.model_channels,
        channels=(128, 256, 256, 256),
        blocks=3,
        attention=attention_levels(pictures, 4, 16, 8),
        heads=4,
        dropout=0.3,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.token_dim,
        modulation="scale_shift",
    )
    chain, sampling = schedule.Cosine(4000, label_steps=1000), SamplingDefaults("ddpm-learned", "strided", 250)
    model = ModelConfig(net, chain, parametrization.Epsilon(), pictures, sampling)
    training = TrainingConfig(
        batch=128,
        lr=1e-4,
        warmup=0.0,
        min_lr_ratio=1.0,
        beta2=0.999,
        ema=ema_half_life(0.9999, 500_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(4000),
        loss_spec=loss.SquaredErrorAndVLB(),
    )
    return Recipe(model, training)


def adm_64(pictures: Pictures, sigma_data: float) -> Recipe:
    """Dhariwal & Nichol 2021, ImageNet at 64 pixels: 540,000 steps of 2048 images."""
    net = UNetConfig(
        in_channels=pictures.model_channels,
        out_channels=2 * pictures.model_channels,
        channels=(192, 384, 576, 768),
        blocks=3,
        attention=attention_levels(pictures, 4, 32, 16, 8),
        head_channels=64,
        dropout=0.1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.token_dim,
        modulation="scale_shift",
        resample="block",
        time_channels=192,
    )
    sampling = SamplingDefaults("ddpm-learned", "strided", 250)
    model = ModelConfig(net, schedule.Cosine(), parametrization.Epsilon(), pictures, sampling)
    training = TrainingConfig(
        batch=2048,
        lr=3e-4,
        warmup=0.0,
        min_lr_ratio=1.0,
        beta2=0.999,
        ema=ema_half_life(0.9999, 540_000),
        flip=True,
        weighting=loss.Simple(),
        times=loss.Steps(1000),
        loss_spec=loss.SquaredErrorAndVLB(),
    )
    return Recipe(model, training)


def sprites_course(pictures: Pictures, sigma_data: float) -> Recipe:
    """DeepLearning.AI's "How Diffusion Models Work": 28,600 steps of 100 images.

    The course has no weight averaging (here its half-life is next to 0), and its learning rate falls linearly, here
    along a cosine.
    """
    net = ContextUNetConfig(
        in_channels=pictures.model_channels,
        out_channels=pictures.model_channels,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.token_dim,
        height=pictures.model_shape[1],
        width=pictures.model_shape[2],
    )
    chain, sampling = schedule.LinearBeta(500), SamplingDefaults("ddpm", "trailing", 500)
    model = ModelConfig(net, chain, parametrization.Epsilon(), pictures, sampling)
    training = TrainingConfig(
        batch=100,
        warmup=0.0,
        min_lr_ratio=0.0,
        beta2=0.999,
        ema=1e-5,
        weighting=loss.Simple(),
        times=loss.Steps(500),
    )
    return Recipe(model, training)


def dit_tiny(pictures: Pictures, sigma_data: float) -> Recipe:
    """A DiT (Peebles & Xie 2023) of a quarter of the size of DiT-S, trained like the presets for laptops (EDM)."""
    net = DiTConfig(
        in_channels=pictures.model_channels,
        out_channels=pictures.model_channels,
        patch=2 if min(pictures.model_shape[1:]) >= 16 else 1,
        classes=len(pictures.labels),
        vector=len(pictures.attributes),
        tokens=pictures.token_dim,
    )
    model = ModelConfig(net, schedule.VarianceExploding(), parametrization.EDM(sigma_data), pictures)
    weighting = loss.EDMWeight(sigma_data)
    training = TrainingConfig(weighting=weighting, grid_fit_share=0.02, gaussian_prior=True, autoguidance=2.0)
    return Recipe(model, training)


PAPER_PRESETS: dict[str, Preset] = {
    "sprites-course": sprites_course,
    "ddpm-cifar10": ddpm_cifar10,
    "iddpm-cifar10": iddpm_cifar10,
    "adm-64": adm_64,
    "dit-tiny": dit_tiny,
}
