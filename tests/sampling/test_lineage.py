import math

import pytest
import torch

from noisette.diffusion.noise import Seeded
from noisette.errors import InputError
from noisette.models.config import from_json, to_json
from noisette.sampling.generate import Guidance, final_samples, generate, make_noise
from noisette.sampling.lineage import NoiseLineage, RotatedNoise, Rotation
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from tiny_models import tiny

LARGE = torch.empty(1, 4, 128, 128)


def test_a_lineage_without_rotations_is_the_seed() -> None:
    like = torch.empty(2, 4, 8, 8)
    lineage, seeded = RotatedNoise([NoiseLineage(3), NoiseLineage(4)]), Seeded([3, 4])
    for _ in range(2):  # the draws that follow, too
        assert torch.equal(lineage(like), seeded(like))


@pytest.mark.parametrize("degrees", [0.0, 10.0, 40.0, 90.0])
def test_the_angle_is_the_angle_and_the_noise_stays_normal(degrees: float) -> None:
    """Of 65,536 numbers: mean 0 ± 0.016, variance 1 ± 0.022, at four standard errors."""
    parent, child = (
        RotatedNoise([NoiseLineage(5)])(LARGE).flatten(),
        RotatedNoise([NoiseLineage(5).rotate(9, degrees)])(LARGE).flatten(),
    )
    between = torch.nn.functional.cosine_similarity(parent, child, dim=0).item()
    assert between == pytest.approx(math.cos(math.radians(degrees)), abs=0.016)
    assert child.mean().abs() < 0.016
    assert child.var().item() == pytest.approx(1, abs=0.022)


def test_two_rotations_by_one_seed_stay_normal() -> None:
    lineage = NoiseLineage(5)
    for _ in range(6):
        lineage = lineage.rotate(9, 30)
    assert RotatedNoise([lineage])(LARGE).var().item() == pytest.approx(1, abs=0.022)


def test_children_differ_by_two_rotations() -> None:
    """cos of the angle between siblings is cos² φ."""
    one, other = RotatedNoise(NoiseLineage(1).children(2, 30))(LARGE.expand(2, -1, -1, -1)).flatten(1)
    assert torch.nn.functional.cosine_similarity(one, other, dim=0).item() == pytest.approx(0.75, abs=0.016)


def test_a_small_rotation_gives_a_similar_picture() -> None:
    model = tiny()
    grid = model.grid(6)

    def drawn(degrees: float) -> torch.Tensor:
        lineage = [NoiseLineage(2), *NoiseLineage(2).children(4, degrees)]
        found = final_samples(generate(model, lineage, model.condition("sword", 5), model.sampler("ddpm"), grid), grid)
        return (found[1:] - found[:1]).square().mean().sqrt()

    assert drawn(0) == 0
    assert 0 < drawn(3) < drawn(30) < drawn(90)


def test_variations_are_reproduced_from_their_metadata() -> None:
    model = tiny()
    lineage, grid = NoiseLineage(7).rotate(1, 20).rotate(2, 5), model.grid(3)
    how = Guidance(2.0, (0.001, 0.5))
    walk = generate(model, [lineage], model.condition("bread", 1), model.sampler("ddim-half"), grid, how, 1, 0.8)
    origin = SampleRecord(
        model=model.hash, seed=7, label="bread", sampler="ddim", grid="karras", steps=3, guidance=2.0, batch=1,
        eta=0.5, interval=how.interval, rotations=lineage.rotations, temperature=0.8,
    )  # fmt: skip
    assert torch.equal(reproduce(model, from_json(SampleRecord, to_json(origin))), final_samples(walk, grid))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 90 degrees, got 91"):
        Rotation(1, 91)
    with pytest.raises(InputError, match="2 seeds"):
        make_noise([1, NoiseLineage(2)])(torch.empty(3, 1, 8, 8))
