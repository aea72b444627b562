"""Networks, and the moving average of their weights."""

from .ema import EMA
from .unet import UNet, UNetConfig

__all__ = ["EMA", "UNet", "UNetConfig"]
