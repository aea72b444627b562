import pytest
import torch

from closed_forms import PARAMETRIZATIONS, SCHEDULES, name
from noisette.diffusion.loss import P2, EDMWeight, FlowMatching, Loss, MinSNR, Objective, Simple
from noisette.diffusion.noise import make_generator
from noisette.diffusion.parametrization import EDM, X0, Epsilon, Flow, V
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding


def batch(n=4):
    x0, eps = torch.randn(2, n, 3, 8, 8, dtype=torch.float64, generator=make_generator("batch"))
    return x0, torch.linspace(0.1, 0.9, n, dtype=torch.float64), eps


def off_by(error, x0, schedule, p):
    """A network whose x0 is always `error` off, in any parametrization."""

    def net(x, t, cond):
        alpha, sigma = schedule.at(t, x)
        guess = x0 + error
        return p.target(guess, (x - alpha * guess) / sigma, alpha, sigma)

    return net


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("weighting", [Simple(), MinSNR(), EDMWeight(0.5), P2(), FlowMatching()], ids=name)
def test_the_loss_is_the_same_in_every_parametrization(schedule, weighting):
    """… and it is w |x̂0 − x0|²."""
    x0, t, eps = batch()
    weight = weighting(*schedule(t))
    for p in PARAMETRIZATIONS:
        loss = Objective(schedule, p, weighting)(off_by(0.1, x0, schedule, p), x0, t, eps)
        torch.testing.assert_close(loss, weight * 0.01, rtol=1e-6, atol=1e-9)


def test_simple_is_the_error_in_epsilon():
    """Ho et al. 2020, eq. 14."""
    x0, t, eps = batch()
    guess = eps + torch.randn(eps.shape, dtype=eps.dtype, generator=make_generator("error"))
    loss = Objective(LinearBeta(), Epsilon(), Simple())(lambda x, t, c: guess, x0, t, eps)
    torch.testing.assert_close(loss, (guess - eps).square().mean((1, 2, 3)))


def test_min_snr_in_v_is_the_papers():
    """Hang et al. 2023, section 3.4: for v, min(SNR, γ) / (SNR + 1) times the error in v."""
    x0, t, eps = batch()
    p, schedule = V(), Cosine()
    alpha, sigma = schedule.at(t, x0)
    v = p.target(x0, eps, alpha, sigma)
    guess = v + torch.randn(eps.shape, dtype=eps.dtype, generator=make_generator("error"))
    snr = (alpha / sigma).flatten() ** 2
    paper = snr.clamp(max=5) / (snr + 1) * (guess - v).square().mean((1, 2, 3))
    torch.testing.assert_close(Objective(schedule, p, MinSNR(5.0))(lambda x, t, c: guess, x0, t, eps), paper)


def test_edm_loss_is_the_papers():
    """Karras et al. 2022, Table 1: λ(σ) = (σ² + σ_d²) / (σ σ_d)², on D; which is the plain error in F."""
    x0, t, eps = batch()
    schedule, p = VarianceExploding(), EDM(0.5)
    out = torch.randn(eps.shape, dtype=eps.dtype, generator=make_generator("out"))
    loss = Objective(schedule, p, EDMWeight(0.5))(lambda x, t, c: out, x0, t, eps)
    sigma = 80 * t
    x = x0 + sigma.reshape(-1, 1, 1, 1) * eps
    D, _ = p.solve(out, x, *schedule.at(t, x))
    paper = (sigma**2 + 0.25) / (sigma * 0.5) ** 2 * (D - x0).square().mean((1, 2, 3))
    torch.testing.assert_close(loss, paper)
    torch.testing.assert_close(loss, (out - p.target(x0, eps, *schedule.at(t, x0))).square().mean((1, 2, 3)))


def test_p2_is_the_papers():
    """Choi et al. 2022, eq. 8: the error in ε over (k + SNR)^γ; with γ = 0, L_simple."""
    x0, t, eps = batch()
    schedule = LinearBeta()
    guess = eps + torch.randn(eps.shape, dtype=eps.dtype, generator=make_generator("error"))
    snr = schedule.ratio(t) ** -2
    plain = (guess - eps).square().mean((1, 2, 3))
    for k, gamma in ((1.0, 1.0), (1.0, 0.5), (3.0, 0.0)):
        loss = Objective(schedule, Epsilon(), P2(k, gamma))(lambda x, t, c: guess, x0, t, eps)
        torch.testing.assert_close(loss, plain / (k + snr) ** gamma)


@pytest.mark.parametrize("schedule", [RectifiedFlow(), Cosine(), VarianceExploding()], ids=name)
def test_flow_matching_is_the_error_in_the_velocity(schedule):
    """Lipman et al. 2023, eq. 23; on any schedule the error in ε − x0."""
    x0, t, eps = batch()
    u = torch.randn(eps.shape, dtype=eps.dtype, generator=make_generator("u"))
    loss = Objective(schedule, Flow(), FlowMatching())(lambda x, t, c: u, x0, t, eps)
    torch.testing.assert_close(loss, (u - (eps - x0)).square().mean((1, 2, 3)))


def test_a_perfect_network_has_no_loss():
    x0, t, eps = batch()
    for schedule in SCHEDULES:
        loss = Objective(schedule, X0())(off_by(0.0, x0, schedule, X0()), x0, t, eps)
        torch.testing.assert_close(loss, torch.zeros_like(loss))


def test_an_objective_is_a_loss():
    assert isinstance(Objective(Cosine(), V()), Loss)
