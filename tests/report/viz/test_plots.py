"""Plots hold the numbers that they were given."""

import sys

import pytest
import torch

from noisette.diffusion.grid import karras, trailing
from noisette.diffusion.schedule import Cosine, LinearBeta
from noisette.errors import InputError
from noisette.report.viz import plots

JOURNAL = [
    {"images": 8, "loss": 2.0},
    {"images": 8, "held_out": {"all": 1.5, "low": 1.0}},
    {"images": 16, "loss": 1.0},
    {"images": 16, "held_out": {"all": 0.7, "low": 0.5}},
]


def png(figure) -> bytes:
    data = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    return data


def test_schedules() -> None:
    figure = plots.plot_schedules(Cosine(), LinearBeta())
    signal, _ = figure.axes
    t, alpha_bar = signal.lines[0].get_data()
    alpha, _ = Cosine()(torch.as_tensor(t))
    assert len(signal.lines) == 2 and torch.allclose(alpha**2, torch.as_tensor(alpha_bar), atol=1e-9)
    png(figure)


def test_losses_of_runs() -> None:
    figure = plots.plot_losses(JOURNAL, JOURNAL[:1], names=["one", "two"])
    training, held_out = figure.axes
    assert [line.get_ydata().tolist() for line in training.lines] == [[2.0, 1.0], [2.0]]
    assert held_out.lines[0].get_xdata().tolist() == [8, 16] and held_out.lines[0].get_ydata().tolist() == [1.5, 0.7]
    png(figure)
    png(plots.plot_losses([]))


def test_plotted_grids_have_the_noise_levels_of_their_times() -> None:
    schedule = Cosine()
    times = {"karras": karras(schedule, 5), "trailing": trailing(7)}
    figure = plots.plot_grids(schedule, times)
    for line, grid in zip(figure.axes[0].lines, times.values(), strict=True):
        assert torch.allclose(torch.as_tensor(line.get_xdata()), schedule.ratio(grid[:-1]))
    png(figure)


def test_pictures_and_strips() -> None:
    pixels = torch.randint(0, 256, (3, 4, 8, 8), dtype=torch.uint8)
    image = plots.plot_samples(pixels, 3).axes[0].images[0].get_array()
    assert image.shape[1] == 4 * 26
    figure = plots.plot_strip([pixels, pixels], ["80", "0"], ["a", "b", "c"])
    assert len(figure.axes) == 6 and figure.axes[0].get_title() == "80"
    png(figure)


def test_feature_maps_show_the_channels_that_vary_most() -> None:
    values = torch.randn(1, 4, 3, 3) * torch.tensor([1.0, 9, 0.1, 3])[:, None, None]
    figure = plots.plot_features({"mid": values, "few": values[:, :1]}, channels=2)
    first = torch.as_tensor(figure.axes[0].images[0].get_array())
    assert torch.allclose(first, values[0, 1] - values[0, 1].mean(), atol=1e-6)
    assert len(figure.axes[3].images) == 0  # a map of one channel leaves a place empty
    png(figure)


def test_a_plane_of_pictures() -> None:
    png(plots.plot_scatter(torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8), torch.randn(2, 2)))


def test_without_matplotlib_the_error_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[plots\]'"):
        plots.plot_losses(JOURNAL)
