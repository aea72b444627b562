import pytest
import torch
from scipy import stats

from noisette.errors import InputError
from noisette.evaluation.metrics.memorization import closeness_p_value, find_distinct, measure_memorization


def pictures(n: int, channels: int = 4, seed: int = 0, side: int = 8) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (n, channels, side, side), generator=g, dtype=torch.int64).to(torch.uint8)


def test_copies_are_distinguished_from_new_pictures() -> None:
    training, new = pictures(40), pictures(30, seed=1)
    samples = torch.cat([training[[3, 11, 5]], new])
    found = measure_memorization(samples, training)
    assert found.is_copy.tolist() == [True] * 3 + [False] * 30
    assert found.nearest[:3].tolist() == [3, 11, 5]
    assert found.distance[:3].max() < 1e-6
    assert found.share.value == pytest.approx(3 / 33)
    assert found.share.low < 3 / 33 < found.share.high


def test_distances_are_root_mean_squares_of_premultiplied_pictures() -> None:
    training = torch.zeros(2, 4, 8, 8, dtype=torch.uint8)
    training[0, 0], training[0, 3] = 255, 255  # opaque red
    training[1, 0], training[1, 3] = 255, 51  # red at alpha .2, which is .2 premultiplied
    sample = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
    found = measure_memorization(sample, training)
    assert found.distance.item() == pytest.approx((2 * 0.2**2 / 4) ** 0.5, rel=1e-5)
    assert found.second_distance.item() == pytest.approx((2 * 1 / 4) ** 0.5, rel=1e-5)
    assert found.nearest.tolist() == [1]


def test_a_slightly_noisy_copy_is_a_copy() -> None:
    training = pictures(20, 3)
    noisy = (training[:5].float() + 5 * torch.randn(5, 3, 8, 8)).clamp(0, 255).to(torch.uint8)
    assert measure_memorization(noisy, training).is_copy.all()


def test_training_pictures_that_repeat_do_not_hide_their_copies() -> None:
    training = pictures(20).repeat(3, 1, 1, 1)
    found = measure_memorization(training[:20], training)
    assert found.distinct_count == 20
    assert found.is_copy.all()


def test_hidden_colors_make_no_difference() -> None:
    training = pictures(10)
    training[:, 3, :4] = 0
    other = training.clone()
    other[:, :3, :4] = 200
    assert find_distinct(torch.cat([training, other])).tolist() == list(range(10))
    assert measure_memorization(other, training).distance.max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_mirrored_and_moved_copies_are_found_with_flips_and_max_shift(channels: int) -> None:
    training = pictures(20, channels)
    training[..., [0, -1]] = training[..., [0, -1], :] = 0  # a clear border, so that moving loses nothing
    mirrored, moved = training[:4].flip(-1), training[4:8].roll((1, -1), (2, 3))
    assert not measure_memorization(torch.cat([mirrored, moved]), training).is_copy.any()
    found = measure_memorization(torch.cat([mirrored, moved]), training, flips=True, max_shift=1)
    assert found.is_copy.all()
    assert found.nearest.tolist() == list(range(8))


def test_mirror_images_are_one_picture_with_flips() -> None:
    training = pictures(10)
    both = torch.cat([training, training.flip(-1)])
    assert len(find_distinct(both)) == 20
    assert find_distinct(both, flips=True).tolist() == list(range(10))
    assert measure_memorization(training, both, flips=True).is_copy.all()


def test_held_out_pictures_of_the_same_kind_are_not_copies() -> None:
    everything = pictures(200, 3)
    found = measure_memorization(everything[100:], everything[:100])
    assert found.share.value == 0
    assert found.share.high < 0.05


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="one mode and size"):
        measure_memorization(pictures(3, 3), pictures(3, 4))
    with pytest.raises(InputError, match="2 different"):
        measure_memorization(pictures(3), pictures(1).repeat(5, 1, 1, 1))
    with pytest.raises(InputError, match="channels"):
        measure_memorization(pictures(3, 5), pictures(3, 5))


@pytest.mark.parametrize("ties", [False, True])
def test_closer_is_the_rank_sum_test(ties: bool) -> None:
    """Against an independent implementation."""
    g = torch.Generator().manual_seed(3)
    x, y = torch.randn(60, generator=g).double() - 0.6, torch.randn(45, generator=g).double()
    if ties:
        x, y = x.round(decimals=0), y.round(decimals=0)
    reference = stats.mannwhitneyu(x.numpy(), y.numpy(), alternative="less", method="asymptotic").pvalue
    assert closeness_p_value(x, y) == pytest.approx(reference, rel=1e-9)
    assert closeness_p_value(x, y) < 0.1 and closeness_p_value(y, x) > 0.9


def test_closer_where_all_are_alike() -> None:
    assert closeness_p_value(torch.ones(5), torch.ones(4)) == 1.0
    assert closeness_p_value(torch.zeros(50), torch.ones(50)) < 1e-10
    with pytest.raises(InputError, match="at least one"):
        closeness_p_value(torch.ones(0), torch.ones(4))
