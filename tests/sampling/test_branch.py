import torch

from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import Heun, State
from noisette.sampling.generate import build_denoiser, generate, initial_state, resample_noise, resume_trajectory
from tiny_models import tiny


def states_of(label: str, steps: int = 5) -> list[State]:
    model = tiny()
    grid = model.grid(steps)
    return [initial_state(model, [3], grid)[0], *generate(model, [3], model.condition(label, 1), Heun(), grid)]


def test_a_resumed_trajectory_ends_in_the_same_picture() -> None:
    model, states = tiny(), states_of("sword")
    denoise = build_denoiser(model, model.condition("sword", 1))
    for i, state in enumerate(states[:-1]):
        rest = list(resume_trajectory(denoise, Heun(), model.grid(5), state, Seeded([0])))
        assert torch.equal(rest[-1].x, states[-1].x)
        assert len(rest) == len(states) - 1 - i


def test_another_condition_applies_from_the_branch_on() -> None:
    """From the first noise it is the other walk; later it is neither."""
    model, sword, bread = tiny(), states_of("sword"), states_of("bread")
    denoise = build_denoiser(model, model.condition("bread", 1))
    first, later = (
        list(resume_trajectory(denoise, Heun(), model.grid(5), sword[i], Seeded([0])))[-1].x for i in (0, 2)
    )
    assert torch.equal(first, bread[-1].x)
    assert not torch.equal(later, bread[-1].x) and not torch.equal(later, sword[-1].x)


def test_other_noise_changes_less_the_later_it_comes() -> None:
    model, states = tiny(), states_of("sword", 8)
    denoise, grid = build_denoiser(model, model.condition("sword", 1)), model.grid(8)

    def change(step: int) -> float:
        ends = [
            list(
                resume_trajectory(
                    denoise, Heun(), grid, resample_noise(model.schedule, states[step], Seeded([s])), Seeded([s])
                )
            )[-1].x
            for s in range(8)
        ]
        return float((torch.cat(ends) - states[-1].x).square().mean().sqrt())

    assert change(1) > change(5) > change(7) > 0


def test_renoised_pictures_are_samples_around_x0() -> None:
    model, states = tiny(), states_of("sword")
    state = states[3]
    again = resample_noise(model.schedule, state, Seeded([8]))
    _, sigma = model.schedule(state.t)
    assert again.t == state.t
    assert torch.allclose((again.x - state.preview) / sigma, Seeded([8])(state.x), atol=1e-4)
