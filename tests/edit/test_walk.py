import pytest
import torch

from noisette.diffusion.condition import Condition
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDPM, Heun, sample
from noisette.edit.walk import (
    InterpolatedNoise,
    WalkPosition,
    class_weights,
    interpolate_condition,
    interpolate_noise,
    slerp,
    walk_positions,
)
from noisette.errors import InputError
from noisette.sampling.generate import initial_noise
from tiny_models import tiny

A, B = torch.randn(2, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0)).unbind(0)


def test_slerp_stays_on_the_sphere_and_its_ends_are_exact() -> None:
    for w in (0.25, 0.5, 0.9):
        turned = slerp(A, B, torch.full((5,), w))
        norm = turned.flatten(1).norm(dim=1)
        torch.testing.assert_close(norm, torch.full((5,), 768.0).sqrt(), rtol=0.06, atol=0)
        line = ((1 - w) * A + w * B).flatten(1).norm(dim=1)
        assert (line < norm).all() and abs(turned.std() - 1) < 0.03
    w = torch.tensor([0.0, 1, 0, 1, 0])
    assert torch.equal(slerp(A, B, w), torch.where(w[:, None, None, None] == 0, A, B))
    half = torch.full((5,), 0.5)
    torch.testing.assert_close(slerp(A, B, half), slerp(B, A, half))
    torch.testing.assert_close(slerp(A, A, half), A)
    assert slerp(A, -A, half).isfinite().all()


def test_equal_weights_are_equal_angles() -> None:
    w = torch.linspace(0, 1, 6)
    a, b = (z[:1] / z[:1].norm() for z in (A, B))
    turned = torch.cat([slerp(a, b, w[i : i + 1]) for i in range(6)]).flatten(1).double()
    cos = torch.nn.functional.cosine_similarity(turned[:-1], turned[1:])
    torch.testing.assert_close(cos, cos[:1].expand(5), rtol=1e-5, atol=1e-6)


def test_positions_of_closed_and_open_walks() -> None:
    assert walk_positions(2, 4) == [
        WalkPosition(0, 1, 0.0),
        WalkPosition(0, 1, 0.5),
        WalkPosition(1, 0, 0.0),
        WalkPosition(1, 0, 0.5),
    ]
    assert walk_positions(3, 3, is_loop=False) == [
        WalkPosition(0, 1, 0.0),
        WalkPosition(1, 2, 0.0),
        WalkPosition(1, 2, 1.0),
    ]
    assert [p.start for p in walk_positions(3, 7)] == [0, 0, 0, 1, 1, 2, 2]
    for stops, frames in ((1, 5), (3, 1)):
        with pytest.raises(InputError, match="needs at least 2 keyframes and 2 frames"):
            walk_positions(stops, frames)


@pytest.mark.parametrize("sampler", [Heun(), DDPM()])
def test_a_loop_closes_to_the_last_bit_and_moves_by_small_steps(sampler) -> None:
    """Whatever the sampler draws: the frame after the last is the first."""
    model = tiny()
    full_condition = model.condition(["sword", "bread", None], 3)
    stops = full_condition if full_condition is not None else Condition()

    def frames(found: list[WalkPosition]) -> torch.Tensor:
        noise, grid = interpolate_noise([5, 6, 7], found), model.grid(5)
        d = model.given(interpolate_condition(stops, found, 3))
        return sample(d, sampler, grid, initial_noise(d, grid, torch.empty(len(found), 4, 8, 8), noise), noise)

    drawn = frames([*walk_positions(3, 60), WalkPosition(2, 0, 1.0)])
    torch.testing.assert_close(drawn[60], drawn[0], rtol=0, atol=1e-5)
    step = (drawn[1:60] - drawn[:59]).flatten(1).norm(dim=1)
    assert step.max() < (drawn[0] - drawn[20]).norm()


def test_noise_in_the_middle_of_a_trajectory_is_rotated_too() -> None:
    noise = InterpolatedNoise(Seeded([1]), Seeded([2]), torch.tensor([0.5]))
    one, other = Seeded([1]), Seeded([2])
    like = torch.empty(1, 3, 8, 8)
    for _ in range(3):
        assert torch.equal(noise(like), slerp(one(like), other(like), torch.tensor([0.5])))


def test_conditions_are_mixed_by_weight() -> None:
    stops = Condition(label=torch.tensor([0, 2, -1]), vector=torch.tensor([[0.0], [4.0], [torch.nan]]))
    found = [WalkPosition(0, 1, 0.25), WalkPosition(1, 2, 0.25), WalkPosition(1, 2, 0.75), WalkPosition(0, 1, 1.0)]
    mixed = interpolate_condition(stops, found, 3)
    assert mixed.label is not None and mixed.vector is not None
    assert mixed.label[[0, 1, 3]].tolist() == [[0.75, 0, 0.25], [0, 0, 1], [0, 0, 1]]
    assert mixed.label[2].isnan().all()
    assert mixed.vector[[0, 1, 3], 0].tolist() == [1.0, 4.0, 4.0] and mixed.vector[2].isnan().all()
    assert torch.equal(class_weights(torch.tensor([1]), 2), torch.tensor([[0.0, 1.0]]))
