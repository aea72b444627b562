"""No step waits for the device. Tensors on "meta" have a shape and no values, so whatever would fetch a value from the
device, to branch on it or to compute a coefficient, fails there."""

import pytest
import torch

from closed_forms import name
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import Clipped, Guided
from noisette.diffusion.noise import Seeded
from noisette.diffusion.parametrization import V
from noisette.diffusion.sampler import sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding
from oracles import Toy

from .test_trajectory import ODE, SDE


@pytest.mark.parametrize("sampler", ODE + SDE, ids=name)
@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow(), VarianceExploding()], ids=name)
def test_nothing_is_fetched_from_the_device(sampler, schedule):
    model = DiffusionModel(Toy(), schedule, V())
    cond = Condition(label=torch.zeros(2, dtype=torch.int64, device="meta"))
    d = Clipped(Guided(model.given(cond), model.given(), 2.0, interval=(0.1, 0.9)))
    x = torch.empty(2, 3, 8, 8, device="meta")
    assert sample(d, sampler, karras(schedule, 5), x, Seeded([1, 2])).shape == x.shape


def test_fetching_would_fail():
    with pytest.raises(RuntimeError, match="meta"):
        bool(torch.empty((), device="meta") > 0)
