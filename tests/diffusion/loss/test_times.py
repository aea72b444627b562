import math

import pytest
import torch
from scipy.stats import kstest

from closed_forms import name
from noisette.diffusion.loss import LogNormal, Steps, Stratified, Uniform
from noisette.diffusion.noise import make_generator
from noisette.diffusion.schedule import LinearBeta, RectifiedFlow, VarianceExploding

RULES = [Steps(), Uniform(), LogNormal(), LogNormal(0.0, 1.0)]


def test_steps_are_uniform_over_the_chain():
    t = Steps(10)(LinearBeta(10), 20000, make_generator("t"))
    counts = torch.bincount((t * 10).round().long(), minlength=11)
    assert counts[0] == 0 and t.dtype == torch.float64
    assert ((counts[1:] - 2000).abs() < 5 * math.sqrt(2000)).all()


def test_uniform_times_are_uniform():
    t = Uniform()(RectifiedFlow(), 4000, make_generator("t"))
    assert t.min() > 0 and t.max() <= 1
    assert kstest(t.numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("schedule", [VarianceExploding(), LinearBeta(), RectifiedFlow()], ids=name)
def test_lognormal_noise_is_lognormal_on_any_schedule(schedule):
    t = LogNormal(-1.2, 1.2)(schedule, 4000, make_generator("t"))
    assert t.min() > 0
    z = (schedule.ratio(t).log() + 1.2) / 1.2
    assert kstest(z.numpy(), "norm").pvalue > 0.01


def test_on_a_flow_lognormal_noise_is_logit_normal_time():
    """Esser et al. 2024, eq. 19: t = sigmoid of a normal number."""
    t = LogNormal(-0.5, 0.8)(RectifiedFlow(), 4000, make_generator("t"))
    assert kstest((t.logit().numpy() + 0.5) / 0.8, "norm").pvalue > 0.01


@pytest.mark.parametrize("times", [*RULES, *map(Stratified, RULES)], ids=name)
def test_times_are_a_function_of_the_generator(times):
    a, b = (times(LinearBeta(), 16, make_generator("t")) for _ in range(2))
    assert torch.equal(a, b) and not torch.equal(a, times(LinearBeta(), 16, make_generator("u")))
    assert ((a > 0) & (a <= 1)).all() and a.dtype == torch.float64


@pytest.mark.parametrize("times", RULES, ids=name)
def test_strata_are_even(times):
    """Each of n equal strata is sampled once, and the distribution over many batches is the same."""
    schedule, n = RectifiedFlow(), 64
    edges = times.quantile(schedule, torch.arange(n + 1, dtype=torch.float64) / n)
    drawn = torch.stack([Stratified(times)(schedule, n, make_generator("t", i)) for i in range(100)])
    ordered = drawn.sort(1).values
    assert (ordered >= edges[:-1]).all() and (ordered <= edges[1:]).all()
    independent = times(schedule, 6400, make_generator("i"))
    assert kstest(drawn.flatten().numpy(), independent.numpy()).pvalue > 0.01
    assert not torch.equal(drawn, ordered)  # in random order: which picture gets which stratum is chance


def test_strata_lower_the_variance_of_a_mean():
    def spread(times):
        return torch.stack(
            [times(RectifiedFlow(), 32, make_generator("t", i)).square().mean() for i in range(200)]
        ).std()

    assert spread(Stratified(Uniform())) < spread(Uniform()) / 10
