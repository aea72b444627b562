"""Networks: the U-Net, and the average of its weights."""

from .ema import EMA
from .unet import UNet, UNetConfig

__all__ = ["EMA", "UNet", "UNetConfig"]
