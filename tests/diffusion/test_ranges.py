"""Parameters out of range are refused in one sentence, when the object is made, and not by NaN in the samples."""

import math
from collections.abc import Callable

import pytest
import torch

from noisette.diffusion import (
    DDIM,
    DDPM,
    EDM,
    P2,
    Churned,
    Clipped,
    Cosine,
    EDMWeight,
    GammaSigmoid,
    GaussianDenoiser,
    Heun,
    LinearBeta,
    LogNormal,
    MinSNR,
    Quadratic,
    RectifiedFlow,
    ScaledNoise,
    Sigmoid,
    SquaredErrorAndVLB,
    Uniform,
    VarianceExploding,
)
from noisette.errors import InputError, check_range

CASES: dict[str, tuple[Callable[[float], object], tuple[float, ...]]] = {
    "beta_start of linear": (lambda v: LinearBeta(beta_start=v), (0.0, 1.5, math.nan)),
    "beta_end of linear": (lambda v: LinearBeta(beta_end=v), (-0.1, 2.0, math.inf)),
    "beta_end of quadratic": (lambda v: Quadratic(beta_end=v), (0.0, 2.0)),
    "beta_end of sigmoid": (lambda v: Sigmoid(beta_end=v), (0.0, 2.0)),
    "offset": (lambda v: Cosine(offset=v), (-0.1, math.nan)),
    "max_beta of cosine": (lambda v: Cosine(max_beta=v), (0.0, 1.1)),
    "tau": (lambda v: GammaSigmoid(tau=v), (0.0, -1.0)),
    "start": (lambda v: GammaSigmoid(start=v, end=1.0), (1.0, 2.0, math.nan, -math.inf)),
    "max_beta of gamma": (lambda v: GammaSigmoid(max_beta=v), (0.0, 1.1)),
    "label_scale": (lambda v: RectifiedFlow(label_scale=v), (0.0, math.inf)),
    "sigma_max": (VarianceExploding, (0.0, -80.0, math.inf, math.nan)),
    "sigma_data": (EDM, (0.0, math.nan)),
    "sigma_data of the weight": (EDMWeight, (0.0,)),
    "gamma of Min-SNR": (MinSNR, (0.0, math.nan)),
    "k": (lambda v: P2(k=v), (0.0,)),
    "gamma of P2": (lambda v: P2(gamma=v), (-1.0,)),
    "smallest": (Uniform, (0.0, 1.1)),
    "mean": (lambda v: LogNormal(mean=v), (math.nan, -math.inf)),
    "std": (lambda v: LogNormal(std=v), (0.0, math.inf)),
    "vlb_weight": (SquaredErrorAndVLB, (-1e-3,)),
    "eta": (DDIM, (-0.1, 1.1, math.nan)),
    "noise_scale": (lambda v: DDPM(noise_scale=v), (-1.0,)),
    "gamma of churn": (lambda v: Churned(Heun(), gamma=v), (-0.1,)),
    "noise_scale of churn": (lambda v: Churned(Heun(), noise_scale=v), (-0.1,)),
    "scale": (lambda v: ScaledNoise(Heun(), v), (-1.0, math.nan)),
    "limit": (lambda v: Clipped(GaussianDenoiser(Cosine(), torch.zeros(1), torch.ones(1)), v), (0.0, -1.0)),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, values) in CASES.items() for value in values], ids=str
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^{name.split(' ', maxsplit=1)[0]}\b.* must be .*, got "):
        CASES[name][0](value)


def test_a_chain_at_the_ends_of_its_range_has_betas() -> None:
    """The largest values allowed; none of them gives NaN."""
    for chain in (LinearBeta(20, 1e-9, 1.0), Quadratic(20, 1e-9, 1.0), Sigmoid(20, 1e-9, 1.0), Cosine(20, 0.0, 1.0)):
        betas = chain.betas()
        assert betas.isfinite().all() and (betas > 0).all() and (betas <= 1).all() and chain.angles.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0, 0, 1), "x must be between 0 and 1, got 2"),
        ((-1.0, 0), "x must be 0 or more, got -1"),
        ((math.nan, -math.inf), "x must be finite, got nan"),
    ],
)
def test_the_message_says_what_is_allowed(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError) as raised:
        check_range("x", *arguments)
    assert str(raised.value) == message


def test_above_leaves_the_lower_end_out() -> None:
    for high, allowed in ((math.inf, "above 0"), (1, "above 0 and at most 1")):
        check_range("x", 0.5, 0, high, above=True)
        with pytest.raises(InputError, match=f"x must be {allowed}, got 0"):
            check_range("x", 0, 0, high, above=True)
