"""How likely a model finds a picture, in bits a dimension.

Two measures: the variational bound of the chain that a sampler walks, term by term, and the density that the
probability-flow ODE carries from noise to data. Both are for 8-bit values as model space has them: 256 levels of
[-1, 1]. (Premultiplied colours under a part-transparent alpha are not on those levels: there the figures are densities
that compare models, not code lengths.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from . import normal
from .denoiser import Denoiser
from .errors import InputError
from .loss.variational import term
from .noise import Noise
from .posterior import FixedSmall, Variance
from .sampler import Heun, State
from .shapes import Grid, Images, PerImage


@dataclass(frozen=True)
class Bound:
    """The variational bound on −log₂ p(x0), in bits a dimension (Ho et al. 2020, eq. 5)."""

    prior: PerImage  # L_T: what q(x_T | x0) still tells
    steps: Float[Tensor, "b steps"]  # L_{T−1} … L_1, in the order in which a sampler walks
    decoder: PerImage  # L_0: the 8-bit values, given x at the last time above 0

    @property
    def total(self) -> PerImage:
        return self.prior + self.steps.sum(1) + self.decoder


@torch.no_grad()
def variational_bound(
    denoise: Denoiser, x0: Images, grid: Grid, noise: Noise, variance: Variance | None = None
) -> Bound:
    """The bound of `DDPM(variance)` on this grid, with one noise a step.

    x_T is drawn from N(0, σ_T²), as a sampler starts. The grid's last time above 0 should not be far below σ = 0.01: a
    model of continuous values pays for noise that is finer than a bin.
    """
    if len(grid) < 2 or grid[-1] != 0 or not (grid.diff() < 0).all():
        raise InputError("a bound needs a grid that decreases to t = 0")
    variance = FixedSmall() if variance is None else variance
    alpha, sigma = denoise.schedule.at(grid[0], x0)
    zero, std = torch.zeros_like(x0), sigma * torch.ones_like(x0)
    prior = normal.kl(alpha * x0, std, zero, std).flatten(1).mean(1) / math.log(2)
    terms = []
    for t, s in pairwise(grid):
        x_t = denoise.schedule.diffuse(x0, t, noise)
        terms.append(term(denoise.schedule, denoise(x_t, t), x0, x_t, t, s, variance))
    *steps, decoder = terms
    return Bound(prior, torch.stack(steps, 1) if steps else x0.new_zeros(len(x0), 0), decoder)


Divergence = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]  # (f, x) -> the trace of ∂f/∂x


@dataclass(frozen=True, eq=False)
class Hutchinson:
    """vᵀ (∂f/∂x) v for one v of random signs, kept along the way (Grathwohl et al. 2019): right on average."""

    signs: Images

    @classmethod
    def drawn(cls, noise: Noise, like: Images) -> "Hutchinson":
        return cls(torch.where(noise(like) < 0, -1.0, 1.0).to(like))

    def __call__(self, f: Callable[[Tensor], Tensor], x: Images) -> PerImage:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (grad,) = torch.autograd.grad((f(leaf) * self.signs).sum(), leaf)
        return (grad * self.signs).flatten(1).sum(1)


def exact_divergence(f: Callable[[Tensor], Tensor], x: Images) -> PerImage:
    """The trace itself, one backward pass a dimension: for small pictures."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        out = f(leaf).flatten(1)
        columns = [torch.autograd.grad(out[:, i].sum(), leaf, retain_graph=True)[0] for i in range(out.shape[1])]
    return torch.stack([c.flatten(1)[:, i] for i, c in enumerate(columns)], 1).sum(1)


@torch.no_grad()
def ode_log_density(denoise: Denoiser, x: Images, grid: Grid, divergence: Divergence) -> PerImage:
    """ln p(x) in nats, of x as the model's x_t at t = grid[-1], a small time above 0 (Song et al. 2021, section 4.3).

    The ODE carries x up the grid to N(0, σ²) at grid[0], where α must not be 0. With λ = ln(σ/α) and D dimensions,
    d ln p(x/α) = −(D − α tr ∂x0/∂x) dλ, integrated by the trapezoid rule; `Heun` moves x. Grids even in λ serve best.
    """
    if len(grid) < 2 or grid[-1] == 0:
        raise InputError("a density is taken just above t = 0, not at 0: leave the grid's last time out")
    schedule, climb = denoise.schedule, grid.flip(0)
    if schedule(grid[0])[0] == 0:
        raise InputError("where α is 0 the picture is lost: begin the grid just below t = 1")
    dims, start = x[0].numel(), schedule(climb[0])[0]
    lam = schedule.ratio(climb).log()

    def rate(x: Tensor, t: Tensor) -> Tensor:
        return dims - schedule(t)[0] * divergence(lambda y: denoise(y, t).x0, x)

    state, total, before = State(x, climb[0]), torch.zeros_like(x[:, 0, 0, 0]), rate(x, climb[0])
    for t, step in zip(climb[1:], lam.diff(), strict=True):
        state = Heun().step(denoise, state, t, _none)
        after = rate(state.x, t)
        total, before = total + step * (before + after) / 2, after
    alpha, sigma = schedule(grid[0])
    z, std = state.x / alpha, sigma / alpha
    prior = -0.5 * ((z / std) ** 2 + (2 * math.pi * std**2).log()).flatten(1).sum(1)
    return prior + total - dims * start.log()


def dequantised(x0: Images, noise: Noise) -> Images:
    """8-bit values of [-1, 1], spread evenly over 256 bins of width 2/256 that fill it."""
    u = normal.cdf(noise(x0))
    return (x0 * 127.5 + 127.5 + u) / 128 - 1


def bits(log_density: PerImage, dims: int) -> PerImage:
    """Nats of a density over [-1, 1] as bits a dimension of 256 values: a bin is 2/256 wide."""
    return -log_density / (dims * math.log(2)) + 7


def _none(like: Tensor) -> Tensor:
    raise AssertionError("Heun's step is deterministic")
