"""What a notebook shows of values, and that it is what they hold."""

import re
from dataclasses import replace

import pytest
import torch
from IPython.core.formatters import DisplayFormatter

import noisette
from noisette.data.png import from_image
from noisette.diffusion.schedule import GivenBetas, Schedule
from noisette.errors import InputError
from noisette.evaluation.metrics.distribution import PRDC
from noisette.evaluation.metrics.interval import ConfidenceInterval
from noisette.evaluation.steps import Measurement, MeasurementSettings, SamplerSetting, StepsReport
from noisette.io.metrics_log import read_metrics
from noisette.models.registry import CONFIG_CLASSES
from noisette.report.run import Run
from noisette.report.viz.trilemma import plot_steps
from noisette.sampling.gallery import Gallery
from noisette.sampling.generate import final_samples, generate
from report.viz.test_page import read
from tiny_models import tiny


def shown(value: object) -> str:
    """By IPython's own formatter, as Jupyter does; well formed, and without external resources."""
    data, _ = DisplayFormatter().format(value)
    html = data["text/html"]
    tags = read(html)
    assert all(address.startswith("data:image/png;base64,") for address in tags.addresses)
    assert not re.search(r"url\((?!data:)|@import|https?:", html)
    return html


def words(html: str) -> str:
    return re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S)


def test_the_view_of_a_model() -> None:
    model = tiny()
    text = words(shown(model))
    for part in ("RGBA, 8×8", "health potion", "VarianceExploding", "karras grid in 4 steps", "untrained"):
        assert part in text, part
    assert f"{sum(p.numel() for p in model.parameters()):,} weights" in text


def test_draws_what_sample_draws() -> None:
    model = tiny()
    found = noisette.draw(model, 5, seed=2, guidance=2.0)
    grid = model.grid()
    cond = model.condition(model.pictures.labels, 5)
    right = final_samples(generate(model, range(2, 7), cond, model.sampler(), grid, 2.0), grid)
    assert torch.equal(found.pixels, model.pictures.decode_samples(right))
    assert found.names[:2] == ("bread, seed 2", "health potion, seed 3")
    assert noisette.draw(tiny("L", ()), 1).names == ("seed 0",)
    with pytest.raises(InputError, match="n must be a whole number of at least 1, got 0"):
        noisette.draw(model, 0)
    with pytest.raises(InputError, match="did you mean 'sword'"):
        noisette.draw(model, 1, "sward")


def test_pictures_are_shown_and_kept(tmp_path) -> None:
    pixels = torch.randint(0, 256, (70, 4, 8, 12), dtype=torch.uint8)
    gallery = Gallery(pixels, tuple(f"<b>{i}" for i in range(70)))
    html = shown(gallery)
    assert html.count("<img") == 64 and "70 pictures of 12×8, the first 64" in words(html) and "<b>" not in html
    data, _ = DisplayFormatter().format(gallery[3:5])
    assert data["image/png"].startswith(b"\x89PNG")
    one = gallery[-1]
    assert len(one) == 1 and one.names == ("<b>69",) and torch.equal(one.pixels[0], pixels[69])
    both = gallery[:1] + one
    assert torch.equal(both.pixels, pixels[[0, 69]]) and both.names == ("<b>0", "<b>69")
    both.save(tmp_path / "two.png", columns=2, scale=1)
    assert torch.equal(from_image(both.image(2, 1))[:, :, :, :12], pixels[:1])


@pytest.mark.parametrize(
    "kind", [c for c in CONFIG_CLASSES.values() if issubclass(c, Schedule) and c is not GivenBetas]
)
def test_a_schedule_draws_its_curves(kind: type[Schedule]) -> None:
    html = shown(kind())
    assert html.count("<svg") >= 2 and kind.__name__ in words(html) and "nan" not in words(html)


def test_figures_are_shown_as_charts() -> None:
    about, value = MeasurementSettings("m", "d", 10, 20, 0, 1.0, "e"), ConfidenceInterval(3.0, 2.0, 4.0)
    report = StepsReport(about, ConfidenceInterval(1.0, 0.5, 1.5), (), (
        Measurement(SamplerSetting("ddim", "karras", 4), 4, 0.1, value, (3.0, 3.1), PRDC(0.5, 0.5, 0.5, 0.5)),
    ))  # fmt: skip
    html = shown(report)
    assert html.count("<svg") >= 2 and "ddim on the karras grid in 4 steps" in words(html)
    assert plot_steps(report)._repr_png_().startswith(b"\x89PNG")
    assert "Nothing has been measured" in words(shown(replace(report, rows=())))


def test_rows_of_metrics_jsonl_that_a_crash_cut_off(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"images": 8, "loss": 1.0}\n7\n{"images": 16, "lo')
    assert read_metrics(path) == [{"images": 8, "loss": 1.0}] and read_metrics(tmp_path / "none") == []
    with pytest.raises(InputError, match="not a run folder"):
        Run(tmp_path)
