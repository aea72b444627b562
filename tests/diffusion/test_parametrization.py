import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import PARAMETRIZATIONS, name, some_schedule, times
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.parametrization import EDM, X0, Epsilon, Flow, V
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from noisette.errors import InputError

any_parametrization = st.sampled_from(PARAMETRIZATIONS)


def pair(seed=0):
    return torch.randn(2, 4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(any_parametrization, some_schedule, st.floats(0.02, 0.98))
def test_solve_inverts_target(p, schedule, t):
    x0, eps = pair()
    alpha, sigma = schedule.at(times(t).expand(4), x0)
    got = p.solve(p.target(x0, eps, alpha, sigma), alpha * x0 + sigma * eps, alpha, sigma)
    torch.testing.assert_close(got, (x0, eps), rtol=1e-6, atol=1e-6)


@given(any_parametrization, some_schedule, st.floats(0.02, 0.98))
def test_gain_is_the_error_in_x0_that_an_error_in_F_makes(p, schedule, t):
    x0, eps = pair()
    alpha, sigma = schedule.at(times(t)[0], x0)
    x_t = alpha * x0 + sigma * eps
    off, _ = p.solve(p.target(x0, eps, alpha, sigma) + 1, x_t, alpha, sigma)
    torch.testing.assert_close((off - x0).abs(), p.x0_gain(alpha, sigma).expand_as(x0), rtol=1e-6, atol=1e-6)


def test_targets_are_those_of_the_papers():
    (x0, eps), (alpha, sigma) = pair(), LinearBeta()(times(0.4)[0])
    for p, paper in (
        (Epsilon(), eps),  # Ho et al. 2020, Algorithm 1
        (X0(), x0),
        (V(), alpha * eps - sigma * x0),  # Salimans & Ho 2022, appendix D
        (Flow(), eps - x0),  # Liu et al. 2022: the derivative of (1 − t) x0 + t ε
    ):
        torch.testing.assert_close(p.target(x0, eps, alpha, sigma), paper)


@pytest.mark.parametrize("sd", [0.3, 0.5, 1.0])
def test_edm_is_table_1_of_karras(sd):
    """D(x; σ) = c_skip x + c_out F(c_in x; c_noise)."""
    schedule, p, F = VarianceExploding(80.0), EDM(sd), pair()[1]
    for sigma in times(0.002, 0.1, 1.0, 80.0):
        x = pair()[0] * sigma
        c_skip = sd**2 / (sigma**2 + sd**2)
        c_out = sigma * sd / (sigma**2 + sd**2).sqrt()
        c_in = 1 / (sigma**2 + sd**2).sqrt()
        t = schedule.time_at_ratio(sigma)
        net_in = []
        model = DiffusionModel(Recorded(net_in, F), schedule, p)
        torch.testing.assert_close(model.given()(x, t).x0, c_skip * x + c_out * F)
        torch.testing.assert_close(net_in[0], c_in * x)
        torch.testing.assert_close(net_in[1], (sigma.log() / 4).expand(4))


class Recorded(torch.nn.Module):
    """Returns `out` and records its inputs."""

    def __init__(self, seen, out):
        super().__init__()
        self.seen, self.out = seen, out

    def forward(self, x, label, cond=None):
        self.seen += [x, label]
        return self.out


@given(some_schedule, st.floats(0.02, 0.98), st.floats(0.1, 3.0))
def test_edm_input_and_target_have_unit_variance(schedule, t, sd):
    """For data of standard deviation σ_d: Var[c_in x_t] = Var[F] = 1 (Karras et al. 2022, appendix B.6)."""
    alpha, sigma = schedule(times(t))
    p = EDM(sd)
    a, b = p.weights(alpha, sigma)
    torch.testing.assert_close(p.input_scale(alpha, sigma) ** 2 * (alpha**2 * sd**2 + sigma**2), times(1.0))
    torch.testing.assert_close(a**2 * sd**2 + b**2, times(1.0))


def test_edm_with_unit_data_is_minus_v_where_variance_is_preserved():
    alpha, sigma = LinearBeta()(torch.rand(7, dtype=torch.float64))
    for edm, v in zip(EDM(1.0).weights(alpha, sigma), V().weights(alpha, sigma), strict=True):
        torch.testing.assert_close(edm, -v)


def test_flow_on_its_own_schedule_is_v_of_a_circle_flattened():
    """On x_t = (1 − t) x0 + t ε, u = dx_t / dt; checked by a finite difference."""
    (x0, eps), schedule, h = pair(), RectifiedFlow(), 1e-6
    path = [(1 - t) * x0 + t * eps for t in (0.4 - h, 0.4 + h)]
    u = Flow().target(x0, eps, *schedule(times(0.4)[0]))
    torch.testing.assert_close((path[1] - path[0]) / (2 * h), u, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [X0(), V(), Flow(), EDM()], ids=name)
def test_all_but_epsilon_live_where_no_signal_is_left(p):
    x0, eps = pair()
    alpha, sigma = RectifiedFlow()(times(1.0)[0])
    got = p.solve(p.target(x0, eps, alpha, sigma), eps, alpha, sigma)
    torch.testing.assert_close(got, (x0, eps))


def test_epsilon_is_refused_where_it_does_not_determine_x0():
    with pytest.raises(InputError, match="choose V, X0, Flow or EDM"):
        DiffusionModel(torch.nn.Identity(), RectifiedFlow(), Epsilon())
    DiffusionModel(torch.nn.Identity(), Cosine(), Epsilon())


def test_sigma_data_is_positive():
    with pytest.raises(InputError, match="sigma_data"):
        EDM(0.0)
