"""Samplers: rules for moving an image from time t to time s.

A sampler needs only (x0, ε) at t and (α, σ) at s; it knows nothing of networks, labels or guidance. A step returns a
new state: nothing is hidden in the sampler, so the same object may walk many trajectories at once.
"""

from .ancestral import DDIM, DDPM
from .dpm import DPMSolver2M, DPMSolver3M, DPMSolverSDE
from .fitted import cheapest, fitted, jumps
from .heun import Churned, Heun
from .ipndm import IPNDM
from .repaint import Held, Repaint, Resampled
from .unipc import UniPC
from .walk import Sampler, State, sample, trajectory

__all__ = [
    "DDIM",
    "DDPM",
    "IPNDM",
    "Churned",
    "DPMSolver2M",
    "DPMSolver3M",
    "DPMSolverSDE",
    "Held",
    "Heun",
    "Repaint",
    "Resampled",
    "Sampler",
    "State",
    "UniPC",
    "cheapest",
    "fitted",
    "jumps",
    "sample",
    "trajectory",
]
