import io

import pytest
import safetensors.torch
import torch

from closed_forms import times
from noisette.diffusion.loss import ImportanceSampledLoss, Loss, LossHistory, Objective
from noisette.diffusion.noise import make_generator
from noisette.diffusion.parametrization import X0
from noisette.diffusion.schedule import LinearBeta
from noisette.errors import InputError

CHAIN, STEPS = LinearBeta(20, 1e-3, 0.3), 20


def steep(x, t, cond):
    """A network whose error is largest at low noise."""
    return (0.1 / t).reshape(-1, 1, 1, 1).expand_as(x).to(x)


def zeros(n):
    return torch.zeros(n, 1, 2, 2, dtype=torch.float64)


def loss_with_history(rounds=10):
    loss = ImportanceSampledLoss(Objective(CHAIN, X0()), LossHistory.empty(STEPS))
    every = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS
    for _ in range(rounds):
        loss = loss.with_batch(every, loss(steep, zeros(STEPS), every, zeros(STEPS)))
    return loss, every


def test_times_are_even_until_every_step_is_known():
    loss, every = loss_with_history(9)
    torch.testing.assert_close(loss.loss_history.probabilities(), torch.full((STEPS,), 1 / STEPS, dtype=torch.float64))
    torch.testing.assert_close(loss.importance_weight(every), torch.ones(STEPS, dtype=torch.float64))


def test_then_in_proportion_to_the_second_moment():
    """Nichol & Dhariwal 2021, eq. 18."""
    loss, every = loss_with_history(10)
    plain = loss.loss(steep, zeros(STEPS), every, zeros(STEPS))
    expected = 0.999 * plain / plain.sum() + 0.001 / STEPS
    torch.testing.assert_close(loss.loss_history.probabilities(), expected)
    drawn = loss.times(CHAIN, 50_000, make_generator("t"))
    counts = torch.bincount((drawn * STEPS - 1).round().long(), minlength=STEPS) / 50_000
    torch.testing.assert_close(counts.double(), expected, rtol=0, atol=0.01)


def test_importance_sampling_keeps_the_mean_and_lowers_the_variance():
    loss, every = loss_with_history()
    plain = loss.loss(steep, zeros(STEPS), every, zeros(STEPS))
    drawn = loss.times(CHAIN, 5000, make_generator("t"))
    weighted = loss(steep, zeros(5000), drawn, zeros(5000))
    assert weighted.mean().item() == pytest.approx(plain.mean().item(), rel=0.01)
    assert weighted.std() < plain.std() / 20
    # exactly: Σ p L / (T p) = Σ L / T
    torch.testing.assert_close(
        (loss.loss_history.probabilities() * loss.importance_weight(every) * plain).sum(), plain.mean()
    )


def test_the_history_records_unweighted_losses():
    loss, every = loss_with_history()
    again = loss.with_batch(every, loss(steep, zeros(STEPS), every, zeros(STEPS)))
    torch.testing.assert_close(again.loss_history.history, loss.loss_history.history)
    assert (again.loss_history.counts == 11).all() and (loss.loss_history.counts == 10).all()


def test_the_history_is_a_ring():
    losses = LossHistory.empty(2, history_size=3)
    for value in (1.0, 2.0, 3.0, 4.0):
        losses = losses.with_batch(times(0.5), times(value))
    assert losses.history[0].tolist() == [4.0, 2.0, 3.0] and losses.counts.tolist() == [4, 0]
    several = LossHistory.empty(2, history_size=3).with_batch(times(1.0, 1.0, 0.5), times(5.0, 6.0, 7.0))
    assert several.history.tolist() == [[7, 0, 0], [5, 6, 0]]


def test_its_state_survives_a_file():
    loss, _ = loss_with_history()
    file = io.BytesIO(safetensors.torch.save(loss.loss_history.to_tensors()))
    back = LossHistory.from_tensors(safetensors.torch.load(file.read()))
    torch.testing.assert_close(back.probabilities(), loss.loss_history.probabilities())
    assert torch.equal(back.counts, loss.loss_history.counts)
    with pytest.raises(InputError, match="'counts' is missing"):
        LossHistory.from_tensors({"history": back.history})


def test_it_is_a_loss_around_a_loss():
    assert isinstance(loss_with_history(1)[0], Loss)
