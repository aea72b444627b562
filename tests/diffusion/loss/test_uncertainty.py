import torch

from closed_forms import times
from noisette.diffusion.loss import EDMWeight, LogNormal, LogVariance, Loss, Objective, UncertaintyWeightedLoss
from noisette.diffusion.noise import make_generator
from noisette.diffusion.parametrization import EDM
from noisette.diffusion.schedule import RectifiedFlow, VarianceExploding

SCHEDULE = VarianceExploding(80.0)


def objective():
    return Objective(SCHEDULE, EDM(), EDMWeight(), LogNormal())


def test_at_first_it_is_the_plain_loss():
    x0, eps = torch.randn(2, 4, 1, 4, 4, generator=make_generator("batch"))
    t = times(0.001, 0.01, 0.1, 1.0)
    loss = UncertaintyWeightedLoss(objective(), LogVariance())
    torch.testing.assert_close(loss(lambda x, t, c: x, x0, t, eps), objective()(lambda x, t, c: x, x0, t, eps))
    assert isinstance(loss, Loss) and loss.times == LogNormal() and loss.schedule == SCHEDULE


def test_it_learns_the_logarithm_of_the_expected_loss():
    """The minimum of L / e^u + u is at e^u = E[L] (Karras et al. 2024, eq. 14); there every level's share is one."""
    log_variance = LogVariance()
    loss = UncertaintyWeightedLoss(objective(), log_variance)
    optimizer = torch.optim.Adam(log_variance.parameters(), 0.02)
    x0 = torch.zeros(256, 1, 2, 2)

    def net(x, t, cond):
        """EDM's weight makes the loss the plain error in F: here (1 + σ)^½, all bias."""
        return ((1 + SCHEDULE.ratio(t)) ** 0.25).float().reshape(-1, 1, 1, 1).expand_as(x)

    for step in range(300):
        t = LogNormal()(SCHEDULE, 256, make_generator("t", step))
        optimizer.zero_grad()
        loss(net, x0, t, torch.zeros_like(x0)).mean().backward()
        optimizer.step()
    sigma = times(0.05, 0.3, 1.0, 3.0)
    torch.testing.assert_close(log_variance(sigma.log().float()), 0.5 * (1 + sigma).log().float(), rtol=0, atol=0.06)


def test_pure_noise_has_a_finite_weight():
    x0, eps = torch.randn(2, 2, 1, 2, 2, generator=make_generator("batch"))
    loss = UncertaintyWeightedLoss(Objective(RectifiedFlow(), EDM(), EDMWeight()), LogVariance())
    assert loss(lambda x, t, c: x, x0, times(1.0, 0.5), eps).isfinite().all()


def test_its_features_are_part_of_its_state():
    """They are random, so a restored one must not depend on how torch draws."""
    other = LogVariance()
    other.freqs.zero_()
    other.load_state_dict(LogVariance().state_dict())
    assert torch.equal(other.freqs, LogVariance().freqs)
