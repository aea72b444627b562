"""Networks, their configs, and the moving average of their weights.

    from noisette.nn import UNet, UNetConfig

The names below are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .architecture import Architecture, TimeEmbeddedConfig, UNetConfig
    from .autoencoder import Autoencoder, AutoencoderConfig
    from .autoencoder_base import AutoencoderArchitecture, AutoencoderNetwork
    from .blocks import Attention, ResBlock
    from .classifier import Classifier, ClassifierConfig
    from .dit import DiT, DiTConfig
    from .ema import EMA
    from .embedding import ClassEmbedding, ConditionEmbedding, TimeEmbedding
    from .muon import Muon
    from .unet import UNet

__all__ = [
    "EMA",
    "Architecture",
    "Attention",
    "Autoencoder",
    "AutoencoderArchitecture",
    "AutoencoderConfig",
    "AutoencoderNetwork",
    "ClassEmbedding",
    "Classifier",
    "ClassifierConfig",
    "ConditionEmbedding",
    "DiT",
    "DiTConfig",
    "Muon",
    "ResBlock",
    "TimeEmbeddedConfig",
    "TimeEmbedding",
    "UNet",
    "UNetConfig",
]
HOMES = {
    "architecture": ("Architecture", "TimeEmbeddedConfig", "UNetConfig"),
    "autoencoder": ("Autoencoder", "AutoencoderConfig"),
    "autoencoder_base": ("AutoencoderArchitecture", "AutoencoderNetwork"),
    "blocks": ("Attention", "ResBlock"),
    "classifier": ("Classifier", "ClassifierConfig"),
    "dit": ("DiT", "DiTConfig"),
    "ema": ("EMA",),
    "embedding": ("ClassEmbedding", "ConditionEmbedding", "TimeEmbedding"),
    "muon": ("Muon",),
    "unet": ("UNet",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
