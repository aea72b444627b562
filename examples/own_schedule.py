"""Train with a schedule of one's own, save the model, and load it again.

python examples/own_schedule.py emoji runs/power 20k     (the source, a new run folder, the number of training images)

Another program imports this file before it loads the run; a command takes --import examples/own_schedule.py.
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

import noisette
from noisette.diffusion.schedule import Schedule


@noisette.register
@dataclass(frozen=True)
class Power(Schedule):
    """A flow whose noise grows with a power of time: σ = t^power, α = 1 − σ."""

    power: float = 1.5

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        sigma = t**self.power
        return 1 - sigma, sigma

    def noise_label(self, t: Tensor) -> Tensor:  # what the network's time embedding receives
        return 1000 * t

    def time_at_ratio(self, ratio: Tensor) -> Tensor:  # the inverse of σ/α
        return torch.where(ratio.isinf(), 1.0, ratio / (1 + ratio)) ** (1 / self.power)


if __name__ == "__main__":
    source, out, images = sys.argv[1:]
    noisette.train(source, out, images=images, recipe={"model": {"schedule": {"is": "Power", "power": 2.0}}})
    again = noisette.load(out)
    print(again.config.schedule, len(noisette.draw(again, 4)), "samples")
