"""What films show is what the model draws."""

import pytest
import torch

from noisette.edit.walk import draw_walk, walk_positions
from noisette.errors import InputError
from noisette.report.film import denoising_film, growth_film
from noisette.report.viz.strip import to_unit_scale
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.request import make_request
from tiny_models import tiny

MODEL = tiny()
GRID = MODEL.grid(3)
SAMPLER = MODEL.sampler()


@pytest.mark.parametrize("noisy", [False, True])
def test_a_denoising_film_is_the_trajectory(noisy: bool) -> None:
    """Frame by frame, however many are drawn at once."""
    cond = MODEL.condition(["bread", "sword"], 5)
    request = make_request(MODEL, 5, ["bread", "sword"], steps=3, guidance=2.0, batch=2)
    reel = denoising_film(MODEL, request, show_noisy=noisy)
    states = list(generate(MODEL, range(5), cond, SAMPLER, GRID, 2.0, batch=5))
    assert len(reel.frames) == len(reel.captions) == 4 and not reel.is_loop
    assert (reel.captions[0], reel.captions[-1]) == ("80", "0")
    for frame, state in zip(reel.frames[1:3], states, strict=False):
        x = to_unit_scale(state, MODEL.schedule) if noisy else state.preview
        assert (frame.int() - MODEL.pictures.decode(x).int()).abs().max() <= 1
    assert (reel.frames[-1].int() - MODEL.pictures.decode_samples(states[-1].x).int()).abs().max() <= 1


def test_a_walk_goes_through_its_keyframes() -> None:
    found = walk_positions(2, 4)
    parts = list(draw_walk(MODEL, make_request(MODEL, 2, "bread", seed=3, steps=3, batch=3), found))
    frames = torch.cat(parts).split(1)
    assert len(frames) == 4
    right = MODEL.pictures.decode_samples(
        final_samples(generate(MODEL, [3, 4], MODEL.condition("bread", 2), SAMPLER, GRID), GRID)
    )
    for i, frame in enumerate((frames[0], frames[2])):
        assert (frame.int() - right[i : i + 1].int()).abs().max() <= 1
    assert not torch.equal(frames[0], frames[1])


def test_a_model_without_a_run(tmp_path) -> None:
    with pytest.raises(InputError, match="give a run folder"):
        growth_film(tmp_path, MODEL)
