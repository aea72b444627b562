"""Training losses: the weighted squared error in x0, the variational bound, and losses that wrap another loss."""

from .autoguided import AutoguidedLoss
from .importance import ImportanceSampledLoss, LossHistory, LossProportionalSteps
from .objective import Loss, LossWrapper, Network, Objective
from .spec import VLB, LossSpec, SquaredError, SquaredErrorAndVLB, chain_steps
from .timesteps import LogNormal, QuantileSampler, Steps, Stratified, TimestepSampler, Uniform
from .uncertainty import LogVariance, UncertaintyWeightedLoss
from .variational import HybridLoss, VariationalLoss
from .weighting import P2, EDMWeight, FlowMatching, MinSNR, Simple, Weighting

__all__ = [
    "P2",
    "VLB",
    "AutoguidedLoss",
    "EDMWeight",
    "FlowMatching",
    "HybridLoss",
    "ImportanceSampledLoss",
    "LogNormal",
    "LogVariance",
    "Loss",
    "LossHistory",
    "LossProportionalSteps",
    "LossSpec",
    "LossWrapper",
    "MinSNR",
    "Network",
    "Objective",
    "QuantileSampler",
    "Simple",
    "SquaredError",
    "SquaredErrorAndVLB",
    "Steps",
    "Stratified",
    "TimestepSampler",
    "UncertaintyWeightedLoss",
    "Uniform",
    "VariationalLoss",
    "Weighting",
    "chain_steps",
]
