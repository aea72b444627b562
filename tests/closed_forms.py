"""Processes, parametrizations and data whose answers are known in closed form."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.oracle import GaussianDenoiser, GaussianMixtureDenoiser
from noisette.diffusion.parametrization import EDM, X0, Epsilon, Flow, Parametrization, V
from noisette.diffusion.schedule import (
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

_beta = {"beta_start": st.floats(1e-5, 1e-3), "beta_end": st.floats(2e-3, 0.2)}
_steps = {"steps": st.integers(2, 300)}
some_chain = st.one_of(
    st.builds(LinearBeta, **_steps, **_beta),
    st.builds(Quadratic, **_steps, **_beta),
    st.builds(Sigmoid, **_steps, **_beta),
    st.builds(Cosine, **_steps, offset=st.floats(1e-3, 0.1), max_beta=st.floats(0.9, 0.9999)),
    st.builds(GammaSigmoid, **_steps, start=st.floats(-4, 0), end=st.floats(0.5, 4), tau=st.floats(0.3, 2)),
)
some_schedule = st.one_of(
    st.sampled_from(SCHEDULES),
    some_chain,
    st.builds(ZeroTerminalSNR, chain=some_chain),
    st.builds(RectifiedFlow),
    st.builds(VarianceExploding, sigma_max=st.floats(0.5, 1000)),
)


def name(value: object) -> str:
    """A test id."""
    return repr(value) if hasattr(value, "__dataclass_fields__") else str(value)


def times(*t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def gaussian(schedule: Schedule, mean: float = 0.3, std: float = 0.4) -> GaussianDenoiser:
    return GaussianDenoiser(schedule, torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


def mixture(schedule: Schedule, shape: tuple[int, int, int] = (1, 2, 2)) -> GaussianMixtureDenoiser:
    """Three blobs of different weight and width."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn((3, *shape), generator=generator, dtype=torch.float64) * 0.6
    return GaussianMixtureDenoiser(schedule, means, times(0.1, 0.2, 0.3), times(0.5, 0.3, 0.2))


@dataclass(frozen=True, eq=False)
class Correlated:
    """x0 ~ N(0, cov) with pixels that know of each other: E[x0 | x_t] = α C (α² C + σ²)⁻¹ x_t. cov is (D, D)."""

    schedule: Schedule
    cov: torch.Tensor

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> Prediction:
        alpha, sigma = self.schedule(t)
        off = torch.linalg.solve(alpha**2 * self.cov + sigma**2 * torch.eye(len(self.cov)).to(self.cov), self.cov)
        x0 = alpha * (x.flatten(1).to(off) @ off).reshape(x.shape)
        return Prediction(x0.to(x), ((x - alpha * x0) / sigma.clamp(min=1e-12)).to(x))
