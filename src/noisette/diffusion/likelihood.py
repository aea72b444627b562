"""Likelihood of pictures under a model, in bits per dimension.

Two measures: the variational bound of ancestral sampling, term by term, and the density given by the probability-flow
ODE. Both are for 8-bit values, 256 levels of [-1, 1]. Premultiplied colors under a partly transparent alpha are not on
these levels: for such pictures the numbers can compare models but are not code lengths.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..shapes import Grid, Images, PerImage
from . import normal
from .denoiser import Denoiser
from .loss.variational import vlb_term
from .noise import Noise
from .posterior import FixedSmall, Variance
from .sampler import Heun, State


@dataclass(frozen=True)
class VariationalBound:
    """The terms of the variational bound on −log₂ p(x0), in bits per dimension (Ho et al. 2020, eq. 5)."""

    prior: PerImage  # L_T: KL(q(x_T | x0) ‖ N(0, σ_T²))
    step_terms: Float[Tensor, "b steps"]  # L_{T−1} … L_1, in sampling order
    decoder: PerImage  # L_0: −log₂ p(x0 | x_t) of the 8-bit values, at the last time above 0

    @property
    def total(self) -> PerImage:
        """The sum of all terms."""
        return self.prior + self.step_terms.sum(1) + self.decoder


@torch.no_grad()
def variational_bound(
    denoise: Denoiser, x0: Images, grid: Grid, noise: Noise, variance: Variance | None = None
) -> VariationalBound:
    """The bound of sampling with `DDPM(variance)` on this grid; each term is estimated from one noise sample.

    Sampling starts from N(0, σ_T²). variance: default `FixedSmall()`. The last time above 0 should not have a σ far
    below 0.01, since noise finer than an 8-bit step costs bits. Raises `InputError` unless the grid decreases to 0.
    """
    if len(grid) < 2 or grid[-1] != 0 or not (grid.diff() < 0).all():
        raise InputError("the variational bound needs a time grid that decreases to t = 0")
    variance = FixedSmall() if variance is None else variance
    alpha, sigma = denoise.schedule.at(grid[0], x0)
    zero, std = torch.zeros_like(x0), sigma * torch.ones_like(x0)
    prior = normal.kl(alpha * x0, std, zero, std).flatten(1).mean(1) / math.log(2)
    terms = []
    for t, s in pairwise(grid):
        x_t = denoise.schedule.diffuse(x0, t, noise)
        terms.append(vlb_term(denoise.schedule, denoise(x_t, t), x0, x_t, t, s, variance))
    *steps, decoder = terms
    return VariationalBound(prior, torch.stack(steps, 1) if steps else x0.new_zeros(len(x0), 0), decoder)


DivergenceFn = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]  # (f, x) -> the trace of ∂f/∂x


@dataclass(frozen=True, eq=False)
class HutchinsonDivergence:
    """vᵀ (∂f/∂x) v, an unbiased estimate of the trace for v of random signs (Grathwohl et al. 2019).

    The same v is used for the whole trajectory.
    """

    signs: Images

    @classmethod
    def from_noise(cls, noise: Noise, like: Images) -> "HutchinsonDivergence":
        """With the signs of one call of `noise`."""
        return cls(torch.where(noise(like) < 0, -1.0, 1.0).to(like))

    def __call__(self, f: Callable[[Tensor], Tensor], x: Images) -> PerImage:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (grad,) = torch.autograd.grad((f(leaf) * self.signs).sum(), leaf)
        return (grad * self.signs).flatten(1).sum(1)


def exact_divergence(f: Callable[[Tensor], Tensor], x: Images) -> PerImage:
    """The exact trace of ∂f/∂x, (B,), with one backward pass per dimension: for small pictures only."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        out = f(leaf).flatten(1)
        columns = [torch.autograd.grad(out[:, i].sum(), leaf, retain_graph=True)[0] for i in range(out.shape[1])]
    return torch.stack([c.flatten(1)[:, i] for i, c in enumerate(columns)], 1).sum(1)


@torch.no_grad()
def ode_log_density(denoise: Denoiser, x: Images, grid: Grid, divergence: DivergenceFn) -> PerImage:
    """ln p(x) in nats, where x is x_t at t = grid[-1], a small time above 0 (Song et al. 2021, section 4.3).

    `Heun` integrates the ODE along the grid in reverse to grid[0], where α must not be 0 and the density is N(0, σ²).
    With λ = ln(α/σ) and D dimensions, d ln p(x/α) = (D − α tr ∂x0/∂x) dλ, by the trapezoid rule. Grids with equal
    steps in λ (`logsnr`) are the most accurate. Raises `InputError` if the grid ends at 0 or starts at α = 0.
    """
    if len(grid) < 2 or grid[-1] == 0:
        raise InputError("ode_log_density needs a grid that ends just above t = 0, not at 0: remove its last time")
    schedule, times = denoise.schedule, grid.flip(0)
    if schedule(grid[0])[0] == 0:
        raise InputError("ode_log_density needs α > 0 at the grid's first time: start the grid just below t = 1")
    dims, alpha_start = x[0].numel(), schedule(times[0])[0]
    log_ratio = schedule.ratio(times).log()  # −λ

    def rate(x: Tensor, t: Tensor) -> Tensor:
        return dims - schedule(t)[0] * divergence(lambda y: denoise(y, t).x0, x)

    state, total, rate_before = State(x, times[0]), torch.zeros_like(x[:, 0, 0, 0]), rate(x, times[0])
    for t, step in zip(times[1:], log_ratio.diff(), strict=True):
        state = Heun().step(denoise, state, t, _no_noise)
        rate_after = rate(state.x, t)
        total, rate_before = total + step * (rate_before + rate_after) / 2, rate_after
    alpha, sigma = schedule(grid[0])
    z, std = state.x / alpha, sigma / alpha
    prior = -0.5 * ((z / std) ** 2 + (2 * math.pi * std**2).log()).flatten(1).sum(1)
    return prior + total - dims * alpha_start.log()


def dequantize(x0: Images, noise: Noise) -> Images:
    """Uniform dequantization: x0 with 256 levels of [-1, 1] to a uniform value in its bin, of width 2/256."""
    u = normal.cdf(noise(x0))
    return (x0 * 127.5 + 127.5 + u) / 128 - 1


def bits_per_dim(log_density: PerImage, num_dims: int) -> PerImage:
    """Bits per dimension of 8-bit values from a log density in nats over [-1, 1], whose bins are 2/256 wide."""
    return -log_density / (num_dims * math.log(2)) + 7


def ode_bits_per_dim(
    denoise: Denoiser, x0: Images, grid: Grid, noise: Noise, divergence: DivergenceFn | None = None
) -> PerImage:
    """−log₂ p of 8-bit pictures by the probability-flow ODE, in bits per dimension (Song et al. 2021, Table 2).

    x0 is dequantized and its density taken by `ode_log_density` at grid[-1], which should have a σ below a bin's width,
    2/256. divergence: default `HutchinsonDivergence.from_noise(noise, x0)`.
    """
    x = dequantize(x0, noise)
    if divergence is None:
        divergence = HutchinsonDivergence.from_noise(noise, x)
    return bits_per_dim(ode_log_density(denoise, x, grid, divergence), x0[0].numel())


def _no_noise(like: Tensor) -> Tensor:
    raise AssertionError("Heun's step is deterministic")
