"""Samplers: rules for a step of x from time t to time s.

A sampler needs the denoiser's (x0, ε) and the schedule's (α, σ) only; it does not depend on networks, labels or
guidance. A step returns a new state and samplers have no state of their own, so that one object can be used for many
trajectories at once.
"""

from .grid_fitting import compute_jump_costs, find_cheapest_grid, fit_grid
from .multistep import IPNDM, DPMSolver2M, DPMSolver3M, DPMSolverSDE, UniPC
from .repaint import Repaint, ReplaceKnown, Resampled
from .single_step import DDIM, DDPM, Churned, Heun, ScaledNoise, scale_noise
from .trajectory import Sampler, State, sample, trajectory

__all__ = [
    "DDIM",
    "DDPM",
    "IPNDM",
    "Churned",
    "DPMSolver2M",
    "DPMSolver3M",
    "DPMSolverSDE",
    "Heun",
    "Repaint",
    "ReplaceKnown",
    "Resampled",
    "Sampler",
    "ScaledNoise",
    "State",
    "UniPC",
    "compute_jump_costs",
    "find_cheapest_grid",
    "fit_grid",
    "sample",
    "scale_noise",
    "trajectory",
]
