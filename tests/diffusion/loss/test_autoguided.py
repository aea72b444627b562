import pytest
import torch

from closed_forms import times
from noisette.diffusion.loss import AutoguidedLoss, EDMWeight, LogNormal, Loss, Objective
from noisette.diffusion.noise import make_generator
from noisette.diffusion.parametrization import EDM
from noisette.diffusion.schedule import VarianceExploding
from noisette.errors import InputError

SCHEDULE = VarianceExploding(80.0)
OBJECTIVE = Objective(SCHEDULE, EDM(), EDMWeight(), LogNormal())
SHAPE = (1, 2, 3, 4)  # of a picture


def constant(value: torch.Tensor):
    """A network with this output for every input."""
    return lambda x, t, cond: value.expand_as(x)


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0])
def test_the_minimum_is_the_guided_network(scale: float):
    """F = D + (s − 1) (D − R), where D is the minimum of the loss itself: here the mean of the targets of a network
    that knows neither x nor t."""
    generator = make_generator("autoguided")
    x0, eps = torch.randn(2, 64, *SHAPE[1:], generator=generator)
    reference, t = torch.randn(SHAPE, generator=generator), times(0.01).expand(64)

    def minimum(loss: Loss) -> torch.Tensor:
        output = torch.zeros(SHAPE, requires_grad=True)
        optimizer = torch.optim.LBFGS([output], max_iter=100, tolerance_grad=1e-9)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            value = loss(constant(output), x0, t, eps).mean()
            value.backward()
            return value

        optimizer.step(closure)
        return output.detach()

    plain = minimum(OBJECTIVE)
    guided = minimum(AutoguidedLoss(OBJECTIVE, constant(reference), scale))
    torch.testing.assert_close(guided, plain + (scale - 1) * (plain - reference), rtol=1e-3, atol=1e-3)


def test_a_guided_network_has_the_loss_of_the_plain_one():
    generator = make_generator("values")
    plain, reference = torch.randn(2, *SHAPE, generator=generator)
    x0, eps = torch.randn(2, 4, *SHAPE[1:], generator=generator)
    t = times(0.001, 0.01, 0.1, 1.0)  # σ/α 0.08, 0.8, 8 and 80
    loss = AutoguidedLoss(OBJECTIVE, constant(reference), 2.5, max_ratio=1.0)
    guided = plain + 1.5 * (plain - reference)
    low = loss(constant(guided), x0, t, eps)[:2]
    torch.testing.assert_close(low, OBJECTIVE(constant(plain), x0, t, eps)[:2])
    high = loss(constant(plain), x0, t, eps)[2:]  # where there is no guidance, the network is the plain one
    torch.testing.assert_close(high, OBJECTIVE(constant(plain), x0, t, eps)[2:])
    assert isinstance(loss, Loss) and loss.times == OBJECTIVE.times and loss.schedule == SCHEDULE


def test_the_reference_gets_the_same_input_and_no_gradient():
    seen = []
    weight = torch.ones((), requires_grad=True)

    def network(x: torch.Tensor, t: torch.Tensor, cond: object) -> torch.Tensor:
        seen.append((x, t, cond))
        return weight * x

    other = torch.ones((), requires_grad=True)
    x0, eps = torch.randn(2, 2, *SHAPE[1:], generator=make_generator("inputs"))
    loss = AutoguidedLoss(OBJECTIVE, lambda x, t, cond: (seen.append((x, t, cond)), other * x)[1], 2.0)
    loss(network, x0, times(0.01, 0.1), eps).sum().backward()
    assert other.grad is None and weight.grad is not None
    (x, t, cond), (y, u, given) = seen
    assert torch.equal(x, y) and torch.equal(t, u) and cond is given


@pytest.mark.parametrize("changes", [{"scale": 0.5}, {"scale": 2.0, "max_ratio": 0.0}])
def test_unusable_settings_are_refused(changes: dict[str, float]):
    with pytest.raises(InputError, match=r"(scale|max_ratio) must be"):
        AutoguidedLoss(OBJECTIVE, constant(torch.zeros(SHAPE)), **changes)
