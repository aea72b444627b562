import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics.color import measure_color_drift, measure_palette


def pictures(*rows: list[list[int]]) -> torch.Tensor:
    """Pictures of some pixels, each pixel its channels, repeated eight times and more."""
    return torch.tensor(rows, dtype=torch.uint8).permute(0, 2, 1)[:, :, None].repeat(1, 1, 8, 8)


def test_a_brighter_set_is_brighter_by_as_much() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 200, (300, 3, 8, 8), generator=generator, dtype=torch.uint8)
    y = torch.randint(0, 200, (400, 3, 8, 8), generator=generator, dtype=torch.uint8)
    y[:, 1] += 40
    off = measure_color_drift(y, x).brightness
    assert off["green"].value == pytest.approx(40 / 255, abs=3 * off["green"].error)
    assert off["green"].is_significant and not off["red"].is_significant and not off["blue"].is_significant
    half = measure_color_drift(torch.full_like(x, 100), x).contrast
    assert half["red"].value == pytest.approx(-(200 / 12**0.5) / 255, rel=0.05)  # of a uniform distribution


def test_the_error_is_that_of_repeated_draws() -> None:
    generator = torch.Generator().manual_seed(1)
    off = []
    for _ in range(200):
        level = torch.randint(0, 256, (60, 1, 1, 1), generator=generator, dtype=torch.uint8)
        off.append(
            measure_color_drift(level[:20].expand(-1, 1, 8, 8), level[20:].expand(-1, 1, 8, 8)).brightness["gray"]
        )
    spread = torch.tensor([d.value for d in off]).std().item()
    assert spread == pytest.approx(sum(d.error for d in off) / len(off), rel=0.15)


def test_hidden_colors_are_no_colors() -> None:
    clear = pictures([[255, 0, 0, 0], [9, 9, 9, 0], [1, 2, 3, 255], [1, 2, 3, 128]])
    found = measure_palette(clear)
    assert (found.colors, found.transparent, found.semi_transparent) == (3, 0.5, 0.25)
    black = clear.clone()
    black[:, :3] = torch.where(clear[:, 3:] > 0, clear[:, :3], 0)
    assert measure_color_drift(torch.cat([clear] * 2), torch.cat([black] * 2)).brightness["red"].value == 0
    with pytest.raises(InputError, match="at least 2"):
        measure_color_drift(clear, clear)


def test_colors_are_counted_picture_by_picture() -> None:
    found = measure_palette(pictures([[1, 1, 1], [1, 1, 2]], [[7, 7, 7], [7, 7, 7]]))
    assert (found.colors, found.transparent, found.semi_transparent) == (1.5, None, None)
    assert measure_palette(pictures([[3], [4], [3]])).colors == 2
