"""The training losses: a weighted squared error in x0, measured where the network lives; and losses made of losses."""

from .importance import ByLoss, Importance, Losses
from .measure import Bound, Measure, SquaredError, SquaredErrorAndBound, chain_steps
from .objective import Loss, Network, Objective
from .times import LogNormal, Quantiles, Steps, Stratified, Times, Uniform
from .uncertainty import LogVariance, Uncertain
from .variational import Hybrid, Variational
from .weighting import P2, EDMWeight, FlowMatching, MinSNR, Simple, Weighting

__all__ = [
    "P2",
    "Bound",
    "ByLoss",
    "EDMWeight",
    "FlowMatching",
    "Hybrid",
    "Importance",
    "LogNormal",
    "LogVariance",
    "Loss",
    "Losses",
    "Measure",
    "MinSNR",
    "Network",
    "Objective",
    "Quantiles",
    "Simple",
    "SquaredError",
    "SquaredErrorAndBound",
    "Steps",
    "Stratified",
    "Times",
    "Uncertain",
    "Uniform",
    "Variational",
    "Weighting",
    "chain_steps",
]
