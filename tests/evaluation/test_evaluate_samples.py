"""`noisette.evaluate`: pictures of any origin against real ones, in closed cases."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import noisette
from noisette.data import prepare
from noisette.errors import InputError
from noisette.evaluation.evaluate import Evaluation
from noisette.evaluation.verdict import summarize


class Pixels:
    """Features that are the pixels themselves."""

    name, hash = "pixels", "0"

    def __call__(self, pixels):
        return pixels.flatten(1).float() / 64 - 2


def squares(n: int, seed: int) -> torch.Tensor:
    """RGB pictures of 10×10: a square of any color and place on another color."""
    g = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (n, 3, 1, 1), generator=g).expand(-1, -1, 10, 10).clone()
    for picture in pictures:
        top, left, side = (int(torch.randint(0, 5, (), generator=g)) for _ in range(3))
        picture[:, top : top + 2 + side, left : left + 2 + side] = torch.randint(0, 256, (3, 1, 1), generator=g)
    return pictures.to(torch.uint8)


REAL, NEW = squares(120, 0), squares(60, 1)


def measured(samples, reference=REAL, **settings) -> Evaluation:
    return noisette.evaluate(samples, reference, extractor=Pixels(), **settings)


def test_exact_copies_are_all_memorized_as_bytes_and_as_floats() -> None:
    as_bytes = measured(REAL[:40])
    assert as_bytes.model.memorized.value == 1.0 and as_bytes.model.memorized.low > 0.9
    as_floats = measured(REAL[:40].float() / 127.5 - 1, REAL.float() / 127.5 - 1, value_range=(-1, 1))
    assert as_floats.model == as_bytes.model
    assert "the model memorizes them" in " ".join(summarize(as_bytes)) and as_bytes.bits_per_dim is None


def test_mirrored_copies_count_with_flips() -> None:
    mirrored = REAL[:40].flip(-1)
    assert measured(mirrored, max_shift=0, flips=True).model.memorized.value == 1.0
    assert measured(mirrored, max_shift=0).model.memorized.value < 0.5


def test_new_pictures_score_like_real_data_and_noise_does_not() -> None:
    found = measured(NEW)
    real, samples, copies, noise = found.scores
    assert [score.name for score in found.scores] == ["real data", "samples", "training copies", "noise"]
    assert samples.kid.low < real.kid.high < noise.kid.low
    assert samples.memorized.value < 0.2 and copies.memorized.value == 1.0 and samples.closeness_p_value > 0.001
    assert samples.prdc.coverage > 0.5 > noise.prdc.coverage
    assert found.settings["samples"] == 60 and found.settings["training"] + found.settings["held_out"] == 120


def test_arrays_of_either_layout_folders_and_runs(tmp_path: Path) -> None:
    for name, pixels in (("new", NEW), ("real", REAL)):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(pixels):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i:03d}.png")
    Image.new("RGB", (99, 33)).save(tmp_path / "new" / "grid.png")  # the sheet that sample writes
    array = measured(NEW.permute(0, 2, 3, 1).numpy())
    assert measured(NEW).model == array.model
    assert measured(tmp_path / "new", tmp_path / "real").model.n == 60
    prepare(tmp_path / "real", tmp_path / "run", held_out=0.4)
    in_run = measured(NEW, tmp_path / "run")
    assert in_run.settings["training"] == 72 and in_run.settings["held_out"] == 48


def test_floats_may_be_compared_with_bytes() -> None:
    """One of the two is floats: value_range is for that one."""
    expected = measured(REAL[:40], REAL).model
    for samples, reference in ((REAL[:40].float() / 255, REAL), (REAL[:40], REAL.double() / 255)):
        found = measured(samples, reference, value_range=(0, 1)).model
        assert (found.kid, found.memorized) == (expected.kid, expected.memorized)
    with pytest.raises(InputError, match="neither samples nor reference is one: leave it out"):
        measured(REAL[:40], REAL, value_range=(0, 1))


@pytest.mark.parametrize(
    ("samples", "reference", "says"),
    [
        (NEW.float() / 255, REAL, "samples are float32: give value_range="),
        (NEW, REAL.float() / 255, "reference are float32: give value_range="),
        (NEW[:10], REAL, "at least 20 samples, got 10"),
        (NEW, REAL[:30], "at least 20 training pictures, got 15"),
        (NEW[:, :, :8, :8], REAL, "the samples are RGB 8×8 and the reference is RGB 10×10"),
        (NEW, None, "give them as reference"),
    ],
)
def test_what_is_refused(samples, reference, says) -> None:
    with pytest.raises(InputError, match=says):
        measured(samples, reference)
