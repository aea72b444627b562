"""diffusers' schedulers on a toy network, in float64: the peer that ours are compared with."""

from typing import Any

import torch
from torch import Tensor, nn

from noisette.denoiser import DiffusionModel
from noisette.noise import Noise
from noisette.parametrization import X0, Epsilon, V
from noisette.schedule import Cosine, LinearBeta, Quadratic

CHAINS = {"linear": LinearBeta(), "squaredcos_cap_v2": Cosine(), "scaled_linear": Quadratic()}
TARGETS = {"epsilon": Epsilon(), "sample": X0(), "v_prediction": V()}


class Toy(nn.Module):
    """A fixed nonlinear function of the picture and of the noise label: not a denoiser, but whatever is done with its
    answers shows."""

    def forward(self, x: Tensor, label: Tensor, cond: object = None) -> Tensor:
        return torch.tanh(x + (label.reshape(-1, 1, 1, 1) / 1000).sin())


def toy(chain: str = "linear", target: str = "epsilon") -> DiffusionModel:
    return DiffusionModel(Toy(), CHAINS[chain], TARGETS[target])


def doubled(scheduler: Any) -> Any:
    """The scheduler with its float32 tables widened, so that less is blamed on rounding."""
    for name, value in vars(scheduler).items():
        if isinstance(value, Tensor) and value.dtype == torch.float32:
            setattr(scheduler, name, value.double())
    return scheduler


def walked(scheduler: Any, net: nn.Module, x: Tensor, steps: int, **step: Any) -> Tensor:
    """Sample with a diffusers scheduler, as their pipelines do."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        label = t.double().expand(len(x))
        x = scheduler.step(net(scheduler.scale_model_input(x, t), label), t, x, **step, return_dict=False)[0]
    return x


def start(schedule_std: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64) * schedule_std


class Stream:
    """Noise as diffusers draws it, one generator for the batch."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype)


def unused(like: Tensor) -> Tensor:
    raise AssertionError("a deterministic sampler drew noise")


DETERMINISTIC: Noise = unused
