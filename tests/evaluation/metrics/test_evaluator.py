"""The four rows of an evaluation distinguish good, copied and bad samples, with the real feature network."""

import pytest
import torch

from noisette.evaluation.metrics.evaluator import SampleEvaluator, SampleSet, SetScore, score_with_baselines
from noisette.evaluation.metrics.features import EfficientNetExtractor


def discs(n: int, seed: int) -> torch.Tensor:
    """RGBA pictures of 12×12: a disc of any color, place and size."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    center, radius = 4 + 4 * torch.rand(n, 2, 1, 1, generator=g), 2 + 3 * torch.rand(n, 1, 1, generator=g)
    inside = (x - center[:, 0]) ** 2 + (y - center[:, 1]) ** 2 < radius**2
    color = torch.randint(30, 256, (n, 3, 1, 1), generator=g)
    return torch.cat([color * inside[:, None], 255 * inside[:, None]], 1).to(torch.uint8)


@pytest.fixture(scope="module")
def scores() -> dict[str, SetScore]:
    train, held_out = discs(160, 0), discs(60, 1)
    yardstick = SampleEvaluator(train, held_out, EfficientNetExtractor())
    dull = discs(80, 2)
    dull[:, :3] //= 4
    more = (SampleSet("dull", dull), SampleSet("one, again and again", discs(1, 3).expand(80, -1, -1, -1)))
    rows = score_with_baselines(yardstick, SampleSet("good", discs(80, 4)), extra_sets=more)
    assert [row.name for row in rows] == [
        "real data",
        "good",
        "dull",
        "one, again and again",
        "training copies",
        "noise",
    ]
    return {row.name: row for row in rows}


def test_real_pictures_have_the_lowest_kid(scores: dict[str, SetScore]) -> None:
    floor, good = scores["real data"], scores["good"]
    assert good.kid.low < floor.kid.high and good.mmd.low < floor.mmd.high
    assert good.prdc.coverage > 0.8 * floor.prdc.coverage
    assert good.memorized.value <= 0.1 and good.closeness_p_value > 0.01
    assert not any(d.is_significant for d in good.drift.brightness.values())


def test_training_copies_score_well_except_for_memorization(scores: dict[str, SetScore]) -> None:
    copycat, floor = scores["training copies"], scores["real data"]
    assert copycat.kid.low < floor.kid.high
    assert copycat.memorized.value > 0.9 and copycat.closeness_p_value < 1e-6


def test_each_defect_shows(scores: dict[str, SetScore]) -> None:
    assert scores["noise"].kid.low > scores["dull"].kid.high > scores["dull"].kid.low > scores["good"].kid.high
    assert scores["noise"].fd > scores["dull"].fd > scores["good"].fd
    assert scores["noise"].mmd.low > scores["good"].mmd.high
    drift = scores["dull"].drift.brightness
    assert drift["red"].is_significant and drift["red"].value < 0 and not drift["alpha"].is_significant
    collapsed = scores["one, again and again"].prdc
    assert collapsed.recall == 0 and collapsed.coverage < 0.5 * scores["good"].prdc.coverage
    assert scores["noise"].palette.colors > 100 > scores["good"].palette.colors == 2


def test_a_plain_fid_is_refused_to_so_few(scores: dict[str, SetScore]) -> None:
    assert all(score.fid is None for score in scores.values())


class Lightness:
    """How light each pixel is."""

    name, hash = "lightness", "0"

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().flatten(1)


def test_fewer_samples_than_held_out_pictures_are_compared_with_all_kinds() -> None:
    """Held-out pictures lie in the order of their labels: dark ones first, here."""
    g = torch.Generator().manual_seed(0)

    def kind(n: int, low: int) -> torch.Tensor:
        return torch.randint(low, low + 60, (n, 1, 8, 8), generator=g, dtype=torch.uint8)

    def both(n: int) -> torch.Tensor:
        return torch.cat([kind(n, 0), kind(n, 180)])

    found = SampleEvaluator(both(60), both(40), Lightness())(SampleSet("half as many", both(20)))
    assert found.prdc.precision > 0.8 and found.prdc.recall > 0.8
