"""A memorizing denoiser is distinguished from a generalizing one, on data for which both are known in closed form."""

import pytest
import torch

from closed_forms import gaussian
from noisette.diffusion.noise import make_generator
from noisette.diffusion.oracle import EmpiricalDenoiser
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding
from noisette.errors import InputError
from noisette.evaluation.metrics.optimal_denoiser import compare_with_optimum
from noisette.report.viz.plots import STYLES, plot_optimum

SHAPE = (1, 4, 4)


def drawn(n: int, name: str) -> torch.Tensor:
    return (0.3 + 0.4 * torch.randn(n, *SHAPE, generator=make_generator(name))).double()


BANK, OTHERS = drawn(200, "bank"), drawn(200, "others")


@pytest.mark.parametrize("schedule", [VarianceExploding(), Cosine(), RectifiedFlow()])
def test_a_memorizing_denoiser_has_no_error_on_training_pictures_only(schedule) -> None:
    (level,) = compare_with_optimum(EmpiricalDenoiser(schedule, BANK), BANK, BANK[:64], OTHERS, ratios=(0.1,))
    assert level.training == level.finite_training < 1e-3
    assert level.held_out == level.finite_held_out > 0.2
    assert level.output_distance == 0


def test_the_true_model_has_no_gap_and_differs_from_the_empirical_denoiser_at_medium_noise() -> None:
    """Its error is √(s² σ² / (s² + σ²)) everywhere."""
    schedule = VarianceExploding()
    levels = compare_with_optimum(gaussian(schedule), BANK, BANK, OTHERS, ratios=(0.05, 0.15, 1.0, 30.0))
    for level in levels:
        error = (0.16 * level.ratio**2 / (0.16 + level.ratio**2)) ** 0.5
        assert level.training == pytest.approx(error, rel=0.05) and level.held_out == pytest.approx(error, rel=0.05)
    low, middle, _, high = levels
    assert middle.finite_training < 0.3 * middle.training and middle.finite_held_out > 1.2 * middle.held_out
    assert middle.output_distance > middle.held_out > low.held_out and high.output_distance < 0.1


def test_noise_that_a_schedule_does_not_reach_is_left_out() -> None:
    levels = compare_with_optimum(gaussian(VarianceExploding(5.0)), BANK, BANK[:2], OTHERS[:2], ratios=(1.0, 4.0, 6.0))
    assert [level.ratio for level in levels] == [1.0, 4.0]
    with pytest.raises(InputError, match="at least one training and one held-out picture"):
        compare_with_optimum(gaussian(Cosine()), BANK, BANK[:0], OTHERS)


def test_the_comparison_is_plotted(tmp_path) -> None:
    levels = compare_with_optimum(gaussian(VarianceExploding()), BANK, BANK[:8], OTHERS[:8])
    errors = {name: [getattr(level, name) for level in levels] for name in STYLES}
    plot_optimum(tmp_path / "a.png", [level.ratio for level in levels], errors, "a title")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
