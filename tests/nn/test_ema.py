"""The average of weights, exactly."""

import pytest
import torch
from torch import nn

from noisette.errors import InputError
from noisette.nn import EMA


def test_edm_rule() -> None:
    """decay = 0.5 ^ (batch / min(half_life, ramp · images)), of weights; buffers are copied."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    ema = EMA(model, half_life=1000, ramp=0.1)
    mean = model[0].weight.detach().clone()
    images = 0
    for batch in (10, 10, 50, 30_000, 20):
        with torch.no_grad():
            model[0].weight.normal_()
            model(torch.randn(4, 2, dtype=torch.float64))  # moves the batch norm's buffers
        images += batch
        decay = 0.5 ** (batch / min(1000, 0.1 * images))
        mean = decay * mean + (1 - decay) * model[0].weight.detach()
        ema.update(model, images, batch)
        torch.testing.assert_close(ema.model[0].weight.detach(), mean, rtol=1e-12, atol=1e-12)
        assert ema.model[1].running_mean.equal(model[1].running_mean)
    assert ema.decay(10**9, 1000) == 0.5
    assert ema.decay(1, 10) == 0.5**100
    assert ema.decay(0, 10) == 0.0


def test_it_is_a_model_of_its_own() -> None:
    model = nn.Linear(2, 2)
    ema = EMA(model, half_life=100)
    assert not ema.model.training and not any(p.requires_grad for p in ema.model.parameters())
    assert ema.model.weight.data_ptr() != model.weight.data_ptr()


@pytest.mark.parametrize("half_life,ramp", [(0, 0.05), (-1, 0.05), (100, 0)])
def test_refused(half_life: float, ramp: float) -> None:
    with pytest.raises(InputError):
        EMA(nn.Linear(1, 1), half_life, ramp)
