"""The diffusion process: everything that needs neither a particular network nor a data set.

    from noisette.diffusion import Clipped, Cosine, DDIM, Guided, Seeded, V, karras, sample

    x_t = α_t x0 + σ_t ε,   ε ~ N(0, 1),   t ∈ [0, 1],   t = 0 is data, t = 1 is noise

Images are float tensors (B, C, H, W) in [-1, 1]; times are float64 of shape () or (B,). The parts, bottom up:

schedule         t → (α, σ): `LinearBeta`, `Cosine`, `RectifiedFlow`, `VarianceExploding`, …
parametrization  what the network predicts: `Epsilon`, `X0`, `V`, `Flow`, `EDM`
noise            reproducible noise: `Seeded` (one seed per image), `derive_seed`, `make_generator`
condition        the network's other inputs: `Condition` (label, attributes, text, image)
denoiser         (x_t, t) → `Prediction`(x0, ε): the `Denoiser` interface, and `DiffusionModel`, a network as a denoiser
posterior        one reverse step: `posterior_mean`, and the variances `FixedSmall`, `FixedLarge`, `LearnedRange`
grid             the times of a sampler: `uniform`, `trailing`, `karras`, `logsnr`, …
operator         linear measurements of a picture: `Mask`, `AveragePool`
guidance         denoisers from denoisers: `Guided`, `GradientGuided`, `Consistent`, `Asyrp`, `Rescheduled`, `Clipped`
regions          two conditions on one picture, and pixels that stay equal: `RegionDenoiser`, `TiedDenoiser`
windows          pictures of any size, and seamless ones: `WindowedDenoiser` on a `Canvas`
sampler          steps along a grid: `DDIM`, `DDPM`, `Heun`, `DPMSolver2M`, `UniPC`, …; `sample` and `trajectory`
loss             training objectives: `Objective` with its weightings and times, `VariationalLoss`, `HybridLoss`, …
likelihood       bits per dimension: `variational_bound`, `ode_log_density`, `ode_bits_per_dim`
oracle           optimal denoisers in closed form: `GaussianDenoiser`, `GaussianMixtureDenoiser`, `EmpiricalDenoiser`
normal           formulas of the normal distribution

A trained model becomes a denoiser by `model.given(condition)`, guidance wraps it, and a sampler calls it:

    guided = Clipped(Guided(model.given(cond), away=model.given(cond.null()), scale=3.0))
    noise = Seeded(range(16))
    grid = karras(model.schedule, 20)
    images = sample(guided, Heun(), grid, model.schedule(grid[0])[1] * noise(like), noise)
"""

from . import normal
from .condition import Condition
from .denoiser import ConditionalDenoiser, Denoiser, DiffusionModel, Prediction, predict_both
from .gaussian_prior import GaussianPrior, PriorConfig
from .grid import (
    grid_from_times,
    karras,
    leading,
    logsnr,
    quadratic,
    resample_grid,
    signal_range,
    strided,
    trailing,
    uniform,
)
from .guidance import (
    Asyrp,
    CallCounter,
    Clipped,
    Consistent,
    DenoiserWrapper,
    GradientGuided,
    Guided,
    LogProbFn,
    Rescheduled,
    hook_output,
)
from .likelihood import (
    DivergenceFn,
    HutchinsonDivergence,
    VariationalBound,
    bits_per_dim,
    dequantize,
    exact_divergence,
    ode_bits_per_dim,
    ode_log_density,
    variational_bound,
)
from .loss import (
    P2,
    VLB,
    AutoguidedLoss,
    EDMWeight,
    FlowMatching,
    HybridLoss,
    ImportanceSampledLoss,
    LogNormal,
    LogVariance,
    Loss,
    LossHistory,
    LossProportionalSteps,
    LossSpec,
    LossWrapper,
    MinSNR,
    Network,
    Objective,
    QuantileSampler,
    Simple,
    SquaredError,
    SquaredErrorAndVLB,
    Steps,
    Stratified,
    TimestepSampler,
    UncertaintyWeightedLoss,
    Uniform,
    VariationalLoss,
    Weighting,
    chain_steps,
)
from .noise import Noise, Seeded, ShardedNoise, derive_seed, make_generator
from .operator import AveragePool, Mask, Operator
from .oracle import EmpiricalDenoiser, GaussianDenoiser, GaussianMixtureDenoiser
from .parametrization import EDM, X0, Epsilon, Flow, Parametrization, V
from .posterior import (
    FixedLarge,
    FixedSmall,
    LearnedRange,
    Variance,
    added_variance_ratio,
    clipped_small_std,
    fixed_large_std,
    fixed_small_std,
    posterior_mean,
)
from .regions import RegionDenoiser, TiedDenoiser, TiedNoise, TiedPixels
from .sampler import (
    DDIM,
    DDPM,
    IPNDM,
    Churned,
    DPMSolver2M,
    DPMSolver3M,
    DPMSolverSDE,
    Heun,
    Repaint,
    ReplaceKnown,
    Resampled,
    Sampler,
    ScaledNoise,
    State,
    UniPC,
    compute_jump_costs,
    find_cheapest_grid,
    fit_grid,
    sample,
    scale_noise,
    trajectory,
)
from .schedule import (
    Cosine,
    DiscreteSchedule,
    GammaSigmoid,
    GivenBetas,
    LinearBeta,
    Quadratic,
    RectifiedFlow,
    Schedule,
    Sigmoid,
    VarianceExploding,
    VariancePreserving,
    ZeroTerminalSNR,
    broadcast_like,
)
from .windows import Canvas, WindowedDenoiser

__all__ = [
    "DDIM",
    "DDPM",
    "EDM",
    "IPNDM",
    "P2",
    "VLB",
    "X0",
    "Asyrp",
    "AutoguidedLoss",
    "AveragePool",
    "CallCounter",
    "Canvas",
    "Churned",
    "Clipped",
    "Condition",
    "ConditionalDenoiser",
    "Consistent",
    "Cosine",
    "DPMSolver2M",
    "DPMSolver3M",
    "DPMSolverSDE",
    "Denoiser",
    "DenoiserWrapper",
    "DiffusionModel",
    "DiscreteSchedule",
    "DivergenceFn",
    "EDMWeight",
    "EmpiricalDenoiser",
    "Epsilon",
    "FixedLarge",
    "FixedSmall",
    "Flow",
    "FlowMatching",
    "GammaSigmoid",
    "GaussianDenoiser",
    "GaussianMixtureDenoiser",
    "GaussianPrior",
    "GivenBetas",
    "GradientGuided",
    "Guided",
    "Heun",
    "HutchinsonDivergence",
    "HybridLoss",
    "ImportanceSampledLoss",
    "LearnedRange",
    "LinearBeta",
    "LogNormal",
    "LogProbFn",
    "LogVariance",
    "Loss",
    "LossHistory",
    "LossProportionalSteps",
    "LossSpec",
    "LossWrapper",
    "Mask",
    "MinSNR",
    "Network",
    "Noise",
    "Objective",
    "Operator",
    "Parametrization",
    "Prediction",
    "PriorConfig",
    "Quadratic",
    "QuantileSampler",
    "RectifiedFlow",
    "RegionDenoiser",
    "Repaint",
    "ReplaceKnown",
    "Resampled",
    "Rescheduled",
    "Sampler",
    "ScaledNoise",
    "Schedule",
    "Seeded",
    "ShardedNoise",
    "Sigmoid",
    "Simple",
    "SquaredError",
    "SquaredErrorAndVLB",
    "State",
    "Steps",
    "Stratified",
    "TiedDenoiser",
    "TiedNoise",
    "TiedPixels",
    "TimestepSampler",
    "UncertaintyWeightedLoss",
    "UniPC",
    "Uniform",
    "V",
    "Variance",
    "VarianceExploding",
    "VariancePreserving",
    "VariationalBound",
    "VariationalLoss",
    "Weighting",
    "WindowedDenoiser",
    "ZeroTerminalSNR",
    "added_variance_ratio",
    "bits_per_dim",
    "broadcast_like",
    "chain_steps",
    "clipped_small_std",
    "compute_jump_costs",
    "dequantize",
    "derive_seed",
    "exact_divergence",
    "find_cheapest_grid",
    "fit_grid",
    "fixed_large_std",
    "fixed_small_std",
    "grid_from_times",
    "hook_output",
    "karras",
    "leading",
    "logsnr",
    "make_generator",
    "normal",
    "ode_bits_per_dim",
    "ode_log_density",
    "posterior_mean",
    "predict_both",
    "quadratic",
    "resample_grid",
    "sample",
    "scale_noise",
    "signal_range",
    "strided",
    "trailing",
    "trajectory",
    "uniform",
    "variational_bound",
]
