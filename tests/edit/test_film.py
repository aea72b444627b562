"""What films show is what the model draws."""

import pytest
import torch

from noisette.edit.film import denoising, growth
from noisette.edit.generate import ends, generate
from noisette.edit.walk import places, walked
from noisette.errors import InputError
from noisette.viz.strip import at_unit_scale
from tiny_models import tiny

MODEL = tiny()
GRID = MODEL.grid(3)
SAMPLER = MODEL.sampler()


@pytest.mark.parametrize("noisy", [False, True])
def test_a_denoising_is_the_walk(noisy: bool) -> None:
    """Frame by frame, however many are drawn at once."""
    cond = MODEL.condition(["bread", "sword"], 5)
    reel = denoising(MODEL, range(5), cond, SAMPLER, GRID, 2.0, batch=2, noisy=noisy)
    states = list(generate(MODEL, range(5), cond, SAMPLER, GRID, 2.0, batch=5))
    assert len(reel.frames) == len(reel.said) == 4 and not reel.loops
    assert (reel.said[0], reel.said[-1]) == ("80", "0")
    for frame, state in zip(reel.frames[1:3], states, strict=False):
        x = at_unit_scale(state, MODEL.schedule) if noisy else state.preview
        assert (frame.int() - MODEL.pictures.decode(x).int()).abs().max() <= 1
    assert (reel.frames[-1].int() - MODEL.pictures.finished(states[-1].x).int()).abs().max() <= 1


def test_a_walk_goes_through_its_stops() -> None:
    found = places(2, 4)
    parts = list(walked(MODEL, [3, 4], MODEL.condition("bread", 2), found, SAMPLER, GRID, batch=3))
    frames = torch.cat(parts).split(1)
    assert len(frames) == 4
    right = MODEL.pictures.finished(ends(generate(MODEL, [3, 4], MODEL.condition("bread", 2), SAMPLER, GRID), GRID))
    for i, frame in enumerate((frames[0], frames[2])):
        assert (frame.int() - right[i : i + 1].int()).abs().max() <= 1
    assert not torch.equal(frames[0], frames[1])


def test_a_model_that_did_not_grow_here(tmp_path) -> None:
    with pytest.raises(InputError, match="give a run folder"):
        growth(tmp_path, MODEL)
