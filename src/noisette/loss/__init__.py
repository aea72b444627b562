"""The training losses: a weighted squared error in x0, measured where the network lives; and losses made of losses."""

from .importance import ByLoss, Importance, Losses
from .objective import Loss, Network, Objective
from .times import LogNormal, Quantiles, Steps, Stratified, Times, Uniform
from .uncertainty import LogVariance, Uncertain
from .variational import Hybrid, Variational
from .weighting import P2, EDMWeight, FlowMatching, MinSNR, Simple, Weighting

__all__ = [
    "P2",
    "ByLoss",
    "EDMWeight",
    "FlowMatching",
    "Hybrid",
    "Importance",
    "LogNormal",
    "LogVariance",
    "Loss",
    "Losses",
    "MinSNR",
    "Network",
    "Objective",
    "Quantiles",
    "Simple",
    "Steps",
    "Stratified",
    "Times",
    "Uncertain",
    "Uniform",
    "Variational",
    "Weighting",
]
