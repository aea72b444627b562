"""A sampler's numbers, followed by hand, take the same walk as the sampler."""

import pytest
import torch
from torch import Tensor

from noisette.diffusion.grid import karras, trailing, uniform
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.parametrization import Flow
from noisette.diffusion.sampler import DPMSolver3M, Heun, sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding
from noisette.interop.sampler_table import HISTORY_SIZE, LinearCombination, unroll_sampler
from noisette.models.registry import SAMPLERS
from oracles import Stream, Toy, toy


def followed(steps, denoise, start: Tensor, noise) -> Tensor:
    """The walk of a table, as docs/export.md tells it."""
    known, calls = {"x": start}, 0

    def total(weights: LinearCombination) -> Tensor:
        for name in weights:
            if name.startswith("z.") and name not in known:
                known[name] = noise(start)
        return sum(w * known[name] for name, w in weights.items())

    for step in steps:
        for call in step.calls:
            pred = denoise(total(call.x), call.t)
            known[f"x0.{calls % HISTORY_SIZE}"], known[f"eps.{calls % HISTORY_SIZE}"] = pred.x0, pred.eps
            calls += 1
        known["x"] = total(step.result)
        known = {k: v for k, v in known.items() if not k.startswith("z.")}
    return known["x"]


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n != "ddpm-learned"])
@pytest.mark.parametrize("steps", [1, 2, 13])
def test_every_sampler(name: str, steps: int):
    model = toy("squaredcos_cap_v2", "v_prediction")
    denoise, grid, sampler = Clipped(model.given()), trailing(steps), SAMPLERS[name]()
    start = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    expected = sample(denoise, sampler, grid, start, Stream(5))
    seen = followed(unroll_sampler(sampler, model.schedule, grid), denoise, start, Stream(5))
    torch.testing.assert_close(seen, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("schedule", [VarianceExploding(), RectifiedFlow()])
def test_other_processes(schedule):
    from noisette.diffusion.denoiser import DiffusionModel

    model = DiffusionModel(Toy(), schedule, Flow())
    grid = karras(schedule, 9) if isinstance(schedule, VarianceExploding) else uniform(9)
    start = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    expected = sample(model.given(), Heun(), grid, start, Stream(5))
    seen = followed(unroll_sampler(Heun(), schedule, grid), model.given(), start, Stream(5))
    torch.testing.assert_close(seen, expected, rtol=1e-9, atol=1e-9)


def test_a_step_is_a_few_numbers():
    """Whatever the length of the walk, and never of anything older than is kept."""
    steps = unroll_sampler(DPMSolver3M(), Cosine(), trailing(500))
    assert len(steps) == 500 and sum(len(s.calls) for s in steps) == 500
    assert max(len(s.result) for s in steps) <= 4
