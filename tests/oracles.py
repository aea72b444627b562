"""diffusers' schedulers on a toy network, in float64: the peer that ours are compared with."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from noisette.diffusion.denoiser import Denoiser, DiffusionModel, Prediction
from noisette.diffusion.noise import Noise
from noisette.diffusion.parametrization import X0, Epsilon, Flow, V
from noisette.diffusion.schedule import (
    Cosine,
    LinearBeta,
    Quadratic,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreserving,
)

CHAINS: dict[str, VariancePreserving] = {
    "linear": LinearBeta(),
    "squaredcos_cap_v2": Cosine(),
    "scaled_linear": Quadratic(),
}
TARGETS = {"epsilon": Epsilon(), "sample": X0(), "v_prediction": V()}


class Toy(nn.Module):
    """A fixed nonlinear function of the picture and of the noise label: not a denoiser, but whatever is done with its
    answers shows. `outputs` halves as large again as the input, for schedulers that want a variance."""

    def __init__(self, variance: bool = False) -> None:
        super().__init__()
        self.variance = variance

    def forward(self, x: Tensor, label: Tensor, cond: object = None) -> Tensor:
        out = torch.tanh(x + (label.reshape(-1, 1, 1, 1) / 1000).sin())
        return torch.cat([out, (3 * x).sin()], 1) if self.variance else out


def toy(chain: str = "linear", target: str = "epsilon", variance: bool = False) -> DiffusionModel:
    return DiffusionModel(Toy(variance), CHAINS[chain], TARGETS[target])


def toy_flow() -> DiffusionModel:
    return DiffusionModel(Toy(), RectifiedFlow(), Flow())


def exact(scheduler: Any, schedule: VariancePreserving) -> Any:
    """The scheduler with its float32 tables replaced by ours in float64, so that only its rule is compared."""
    scheduler.betas = schedule.betas()
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = scheduler.alphas.cumprod(0)
    scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    scheduler.final_alpha_cumprod = scheduler.one
    return scheduler


def run_scheduler(scheduler: Any, net: nn.Module, x: Tensor, **step: Any) -> Tensor:
    """Sample with a diffusers scheduler whose steps are set, as their pipelines do; its sigmas widened to float64."""
    if hasattr(scheduler, "sigmas"):
        scheduler.sigmas = scheduler.sigmas.double()
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(net(scaled, t.double().expand(len(x))), t, x, **step, return_dict=False)[0]
    return x


def their_grid(scheduler: Any, schedule: Schedule | None = None) -> Tensor:
    """The times that their sigmas are, so that the grid is theirs and only the rule is compared. Their sigma is our
    σ/α, except on a flow, where it is the time."""
    sigmas = scheduler.sigmas.double().unique().flip(0)  # Heun's are there twice
    return schedule.time_at_ratio(sigmas) if schedule else sigmas


@dataclass(frozen=True)
class AsExploding:
    """A denoiser of another schedule as one of a variance-exploding schedule: x/α at the same σ/α.

    diffusers' Euler and Heun schedulers do all their steps there.
    """

    denoiser: Denoiser

    @property
    def schedule(self) -> Schedule:
        return VarianceExploding(self.denoiser.schedule.ratio(torch.ones((), dtype=torch.float64)).item())

    def __call__(self, x: Tensor, t: Tensor) -> Prediction:
        inner = self.denoiser.schedule
        t = inner.time_at_ratio(self.schedule.ratio(t))
        return self.denoiser(inner(t)[0] * x, t)


def start(std: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64) * std


class Stream:
    """Noise as diffusers draws it, one generator for the batch."""

    def __init__(self, seed: int, dtype: torch.dtype = torch.float64) -> None:
        self.generator, self.dtype = torch.Generator().manual_seed(seed), dtype

    def __call__(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, dtype=self.dtype).to(like)


def unused(like: Tensor) -> Tensor:
    raise AssertionError("a deterministic sampler drew noise")


DETERMINISTIC: Noise = unused
