from dataclasses import dataclass, replace

import pytest
import torch

from noisette.diffusion.guidance import Clipped, DenoiserWrapper, Guided
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, DDPM, Heun, sample
from noisette.errors import InputError
from noisette.models.config import from_json, to_json
from noisette.sampling.generate import Guidance, final_samples, generate, initial_state, set_eta
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from tiny_models import tiny


def test_is_the_plain_composition() -> None:
    """What it says: noise of σ at the first time, guided, clipped, sampled."""
    model = tiny()
    grid, cond = model.grid(5), model.condition(["sword", None, "bread"], 3)
    noise = Seeded([4, 5, 6])
    x = noise(torch.empty(3, 4, 8, 8)) * 80
    plain = sample(Clipped(Guided(model.given(cond), model.given(cond.null()), 2.5)), DDPM(), grid, x, noise)
    ours = final_samples(generate(model, [4, 5, 6], cond, DDPM(), grid, guidance=2.5), grid)
    assert torch.equal(plain, ours)
    assert ours.abs().max() <= 1 + 1e-6


def test_yields_every_state_of_every_batch() -> None:
    model = tiny()
    grid = model.grid(4)
    states = list(generate(model, range(5), model.condition(None, 5), Heun(), grid, batch=2))
    assert [len(s.x) for s in states] == [2] * 8 + [1] * 4
    assert [float(s.t) for s in states[:4]] == grid[1:].tolist()


@pytest.mark.parametrize("sampler", [Heun(), DDPM()])
def test_a_picture_does_not_depend_on_its_neighbors(sampler) -> None:
    """To rounding across batch sizes; to the last bit within one."""
    model = tiny()
    grid, labels = model.grid(3), ["bread", "sword", None, "sword"]
    seeds = [9, 3, 7, 1]

    def drawn(order: list[int], batch: int) -> torch.Tensor:
        cond = model.condition([labels[i] for i in order], len(order))
        walk = generate(model, [seeds[i] for i in order], cond, sampler, grid, guidance=1.5, batch=batch)
        return final_samples(walk, grid)[torch.tensor(order).argsort()]

    together = drawn([0, 1, 2, 3], 4)
    assert torch.equal(together, drawn([3, 1, 0, 2], 4))
    for batch in (1, 3):
        apart = drawn([0, 1, 2, 3], batch)
        torch.testing.assert_close(together, apart, atol=2e-5, rtol=0)
        moved = model.pictures.decode(together).int() - model.pictures.decode(apart).int()
        assert moved.abs().max() <= 1 and (moved != 0).float().mean() < 0.01


def test_guidance_needs_a_label_to_guide_to() -> None:
    model = tiny(labels=())
    grid = model.grid(2)
    with pytest.raises(InputError, match="without labels"):
        list(generate(model, [0], model.condition(None, 1), Heun(), grid, guidance=2.0))
    assert model.condition(None, 1) is None
    assert final_samples(generate(model, [0], None, Heun(), grid), grid).shape == (1, 4, 8, 8)


def test_start_scales_by_the_schedule() -> None:
    model = tiny()
    state, _ = initial_state(model, [1], model.grid(3))
    assert torch.equal(state.x, Seeded([1])(state.x) * 80)


def test_a_lower_temperature_equals_a_higher_noise_level_for_the_network() -> None:
    """On the ODE the two are one: dx = (x − x0) dσ/σ does not change if σ is counted in another unit."""
    model, cool = tiny(), 0.9

    @dataclass(frozen=True)
    class HigherNoiseLevel(DenoiserWrapper):
        def __call__(self, x, t):
            return self.denoiser(x, t / cool).with_x0(self.denoiser(x, t / cool).x0, x, *self.schedule.at(t, x))

    grid, cond = model.grid(6), model.condition("sword", 2)
    state, noise = initial_state(model, [1, 2], grid, temperature=cool)
    torch.testing.assert_close(state.x, Seeded([1, 2])(state.x) * cool * 80)
    plain = sample(Clipped(model.given(cond)), DDIM(), grid, state.x, noise)
    rescaled = sample(Clipped(HigherNoiseLevel(model.given(cond))), DDIM(), cool * grid, state.x, noise)
    torch.testing.assert_close(plain, rescaled, atol=1e-5, rtol=0)


def test_the_temperature_is_the_models_default_and_is_recorded() -> None:
    model = tiny()
    model.config = replace(model.config, sampling=replace(model.config.sampling, temperature=0.8))
    grid = model.grid(2)
    assert torch.equal(initial_state(model, [1], grid)[0].x, initial_state(model, [1], grid, 0.8)[0].x)
    drawn = final_samples(generate(model, [1], None, Heun(), grid), grid)
    origin = SampleRecord(
        model=model.hash,
        seed=1,
        label=None,
        sampler="heun",
        grid="karras",
        steps=2,
        guidance=1.0,
        batch=1,
        temperature=0.8,
    )
    model.config = replace(model.config, sampling=replace(model.config.sampling, temperature=1.0))
    assert torch.equal(reproduce(model, origin), drawn)
    assert not torch.equal(reproduce(model, replace(origin, temperature=1.0)), drawn)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_reproducing_is_bit_exact(batch: int) -> None:
    model = tiny()
    grid, n = model.grid(2), 8
    labels = ["bread", "health potion", "sword"]
    cond = model.condition(labels, n)
    walk = generate(model, range(n), cond, model.sampler("ddpm"), grid, 1.5, batch)
    drawn = final_samples(walk, grid)
    for i in (0, 5, 7):
        size = batch if i < n - n % batch else n % batch
        origin = SampleRecord(
            model=model.hash,
            seed=i,
            label=labels[i % 3],
            sampler="ddpm",
            grid="karras",
            steps=2,
            guidance=1.5,
            batch=size,
        )
        assert torch.equal(reproduce(model, from_json(SampleRecord, to_json(origin)))[0], drawn[i])


def test_reproducing_refuses_another_model() -> None:
    model = tiny()
    with pytest.raises(InputError, match="of another model"):
        reproduce(
            model,
            SampleRecord(
                model="f" * 64, seed=0, label=None, sampler="heun", grid="karras", steps=4, guidance=1.0, batch=1
            ),
        )


@pytest.mark.parametrize("batch", [0, -3, 10**9])
def test_an_origin_that_cannot_be_is_refused(batch: int) -> None:
    with pytest.raises(InputError, match=r"batch must be (a whole number of at least 1|at most 4096)"):
        SampleRecord(
            model="f" * 64, seed=0, label=None, sampler="heun", grid="karras", steps=4, guidance=1.0, batch=batch
        )


def test_eta_is_ddims_alone() -> None:
    assert set_eta(DDIM(), 0.4) == DDIM(0.4)
    assert set_eta(Heun(), None) == Heun()
    with pytest.raises(InputError, match="choose ddim"):
        set_eta(Heun(), 0.4)
    with pytest.raises(InputError, match="eta must be between 0 and 1, got 2"):
        set_eta(DDIM(), 2.0)


def test_guidance_guides_within_its_interval_alone() -> None:
    """In an interval that holds only the first time, the first step is guided and the others are not."""
    model = tiny()
    grid, cond = model.grid(3), model.condition("sword", 1)

    def walk(guidance: float, interval: tuple[float, float]) -> list[torch.Tensor]:
        return [s.x for s in generate(model, [1], cond, DDIM(), grid, Guidance(guidance, interval), 1)]

    first = float(grid[0])
    inside, always, plain = walk(3.0, (first, 1.0)), walk(3.0, (0.0, 1.0)), walk(1.0, (0.0, 1.0))
    assert torch.equal(inside[0], always[0]) and not torch.equal(inside[0], plain[0])
    assert not torch.equal(inside[1], always[1])
    assert torch.equal(walk(3.0, (0.0, 0.0))[2], plain[2])
