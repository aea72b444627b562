"""Processes, parametrizations and data whose answers are known in closed form."""

import torch

from noisette.oracle import Gaussian, Mixture
from noisette.parametrization import EDM, X0, Epsilon, Flow, Parametrization, V
from noisette.schedule import (
    Cosine,
    GammaSigmoid,
    LinearBeta,
    Quadratic,
    RectifiedFlow,
    Schedule,
    Sigmoid,
    VarianceExploding,
    ZeroTerminalSNR,
)

CHAINS = [
    LinearBeta(),
    Cosine(),
    Quadratic(),
    Sigmoid(),
    GammaSigmoid(),
    GammaSigmoid(steps=100, start=0.0, tau=0.5),
    LinearBeta(steps=7, beta_end=0.5),
    Cosine(steps=50),
]
SCHEDULES: list[Schedule] = [
    *CHAINS,
    ZeroTerminalSNR(),
    ZeroTerminalSNR(Cosine(30)),
    RectifiedFlow(),
    VarianceExploding(),
    VarianceExploding(5.0),
]
PARAMETRIZATIONS: list[Parametrization] = [Epsilon(), X0(), V(), Flow(), EDM(), EDM(1.0)]


def name(value: object) -> str:
    """A test id."""
    return repr(value) if hasattr(value, "__dataclass_fields__") else str(value)


def times(*t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def gaussian(schedule: Schedule, mean: float = 0.3, std: float = 0.4) -> Gaussian:
    return Gaussian(schedule, torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


def mixture(schedule: Schedule, shape: tuple[int, int, int] = (1, 2, 2)) -> Mixture:
    """Three blobs of different weight and width."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn((3, *shape), generator=generator, dtype=torch.float64) * 0.6
    return Mixture(schedule, means, times(0.1, 0.2, 0.3), times(0.5, 0.3, 0.2))
