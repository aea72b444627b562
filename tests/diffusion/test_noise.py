import pytest
import torch

from noisette.diffusion.grid import trailing
from noisette.diffusion.noise import Seeded, derive_seed, make_generator
from noisette.diffusion.oracle import GaussianDenoiser
from noisette.diffusion.sampler import DDIM, DDPM, sample
from noisette.diffusion.schedule import Cosine
from noisette.errors import InputError


def test_an_image_does_not_depend_on_its_batch():
    like = torch.empty(3, 3, 8, 8)
    together, alone = Seeded([10, 11, 12]), Seeded([11])
    for _ in range(3):  # and neither does any later draw
        torch.testing.assert_close(together(like)[1:2], alone(like[:1]), rtol=0, atol=0)


def test_precision_does_not_change_what_is_drawn():
    for dtype in (torch.bfloat16, torch.float64):
        ours = Seeded([3])(torch.empty(1, 1, 8, 8, dtype=dtype))
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, Seeded([3])(torch.empty(1, 1, 8, 8)).to(dtype), rtol=0, atol=0)


def test_neighboring_seeds_are_unrelated():
    draws = Seeded(range(64))(torch.empty(64, 1, 32, 32)).flatten(1)
    off = torch.corrcoef(draws) - torch.eye(64)
    assert off.abs().max() < 0.17  # 5.4 standard deviations of 1/√1024
    assert abs(draws.mean()) < 0.02 and abs(draws.std() - 1) < 0.02


def test_a_key_is_a_function_of_all_its_parts():
    parts = [(0,), (1,), (0, 1), (1, 0), (0, "a"), ("0a",), (0, "step", 12), (0, "step1", 2)]
    assert len({derive_seed(*p) for p in parts}) == len(parts)
    assert derive_seed(7, "step", 3) == derive_seed(7, "step", 3)
    assert all(0 <= derive_seed(*p) < 2**63 for p in parts)
    torch.testing.assert_close(
        torch.rand(4, generator=make_generator(5, "x")), torch.rand(4, generator=make_generator(5, "x"))
    )


def test_parts_with_a_separator_do_not_collide():
    parts = [(1, "a/b"), ("1/a", "b"), (1, "a", "b"), ("1/a/b",), ("", "1/a/b"), ("1/a/b", ""), (1, "a/", "b")]
    assert len({derive_seed(*p) for p in parts}) == len(parts)


def test_seeds_are_those_of_version_0_1():
    """Every picture and every run depends on these numbers."""
    known = {
        (0,): 4761921975702974394,
        (7, "step", 3): 3888550338461533270,
        ("roll", "y", "0x1.0p-1"): 7738851443926833551,
        (0, "optimum", 12): 5016977014005438001,
        ("frechet infinity", 0): 4101456827582090214,
    }
    assert {parts: derive_seed(*parts) for parts in known} == known


def test_a_seeded_stream_advances_and_fresh_starts_it_again():
    like = torch.empty(2, 1, 4, 4)
    noise = Seeded([3, 4])
    first, second = noise(like), noise(like)
    assert not torch.equal(first, second)
    again = noise.fresh()
    assert torch.equal(again(like), first) and torch.equal(again(like), second)
    assert not torch.equal(noise(like), first) and noise.num_calls == 3  # the copy did not rewind it
    assert repr(noise) == "Seeded([3, 4], calls so far: 3)"


def test_a_stream_that_a_trajectory_used_up_is_refused():
    """Otherwise two samplers would be compared on different noises without a word."""
    like, denoiser = torch.zeros(2, 1, 4, 4), GaussianDenoiser(Cosine(), torch.zeros(()), torch.ones(()))
    noise = Seeded([3, 4])
    x = noise(like)
    first = sample(denoiser, DDIM(), trailing(4), x, noise)  # takes no noise: the stream is as before
    second = sample(denoiser, DDPM(), trailing(4), x, noise)
    with pytest.raises(InputError, match=r"noise\.fresh\(\)"):
        sample(denoiser, DDPM(), trailing(4), x, noise)
    again = noise.fresh()
    assert torch.equal(sample(denoiser, DDPM(), trailing(4), again(like), again), second)
    assert not torch.equal(first, second)


def test_a_seed_for_every_image():
    with pytest.raises(InputError, match="2 seeds cannot fill a batch of 3"):
        Seeded([1, 2])(torch.empty(3, 1, 8, 8))
