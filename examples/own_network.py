"""Train a network of one's own from a tensor of pictures, uint8 N×H×W×3.

python examples/own_network.py pictures.npy runs/plain 20k     (a new run folder, training images)
"""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import noisette
from noisette.nn.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class PlainConfig(Architecture):
    width: int = 32
    size_multiple = 1  # heights and widths of any size are taken


class Plain(nn.Module):
    # two convolutions; the noise level is one more input channel
    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.into = nn.Conv2d(config.in_channels + 1, config.width, 5, padding=2)
        self.out = nn.Conv2d(config.width, config.out_channels, 5, padding=2)

    def forward(self, x: Tensor, label: Tensor, cond: object = None) -> Tensor:
        level = label.reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return self.out(torch.relu(self.into(torch.cat([x, level], 1))))


noisette.register(PlainConfig, network=Plain)

if __name__ == "__main__":
    pixels, out, images = torch.from_numpy(np.load(sys.argv[1])), *sys.argv[2:]
    run = noisette.train(pixels, out, images=images, recipe={"model": {"net": {"is": "PlainConfig", "width": 48}}})
    noisette.draw(run.model, 16).save(f"{out}/drawn.png")
