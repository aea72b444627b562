"""What `noisette steps` measures, on data whose best denoiser is known; and the rule by which it recommends."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data import prepare
from noisette.data.pictures import Pictures
from noisette.diffusion.noise import make_generator
from noisette.diffusion.oracle import GaussianMixtureDenoiser
from noisette.errors import InputError
from noisette.evaluation.held_out import HeldOut, load_held_out
from noisette.evaluation.metrics.distribution import PRDC
from noisette.evaluation.metrics.interval import ConfidenceInterval
from noisette.evaluation.steps import (
    QUICK_SEARCH,
    Measurement,
    MeasurementSettings,
    SamplerBenchmark,
    SamplerSetting,
    SearchSpace,
    StepsReport,
    compare_settings,
    recommend,
)
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import final_samples, generate
from tiny_models import tiny


class Pixels:
    """Pictures as they are."""

    name, hash = "pixels", "0"

    def __call__(self, pixels):
        return pixels.flatten(1).float() / 64 - 2


class Right(PictureModel):
    """Draws gray pictures of three kinds, exactly."""

    def given(self, cond=None):
        return GaussianMixtureDenoiser(self.schedule, *BLOBS)


MEANS = torch.randn(3, 1, 8, 8, generator=make_generator("means"), dtype=torch.float64) * 0.4
BLOBS = (MEANS, torch.tensor([0.1, 0.15, 0.2]).double(), torch.tensor([0.5, 0.3, 0.2]).double())


def real(n: int, seed: int = 0) -> torch.Tensor:
    generator = make_generator("real", seed)
    kind = torch.multinomial(BLOBS[2], n, replacement=True, generator=generator)
    noise = torch.randn(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return Pictures("L", 8, 8).decode((MEANS[kind] + BLOBS[1][kind].reshape(-1, 1, 1, 1) * noise).float())


def bench(n: int = 64, held: int = 80) -> SamplerBenchmark:
    model = Right(tiny("L", ()).config).eval()
    return SamplerBenchmark(model, HeldOut(real(held), (None,), real(100, 1)), Pixels(), n=n, batch=50)


def row(sampler: str, calls: int, kid: float, noise: float = 0.0, recall: float = 0.5) -> Measurement:
    """`noise`: how differently this one comes out where the pictures are drawn again."""
    draws = torch.randn(100, generator=make_generator("common")) + noise * torch.randn(
        100, generator=make_generator(sampler)
    )
    fidelity = PRDC(0.5, recall, 0.5, 0.5)
    return Measurement(
        SamplerSetting(sampler, "karras", calls),
        calls,
        0.1,
        ConfidenceInterval(kid, kid - 2, kid + 2),
        tuple((kid + draws).tolist()),
        fidelity,
    )


def test_the_recommendation_rule() -> None:
    """Within 10 %; or within one standard error of the difference, however wide both intervals are; then the lowest."""
    best, near, cheap = row("ddim", 50, 20.0), row("heun", 11, 21.9), row("unipc", 4, 22.1)
    assert recommend([best, near, cheap]) is near
    assert recommend([cheap, best]) is best
    unsure = row("ipndm", 4, 22.1, noise=3.0)
    assert recommend([best, near, unsure, cheap]) is unsure
    better = row("dpm++2m", 11, 21.0)
    assert recommend([near, best, better]) is better
    dull = row("ipndm", 5, 20.0, recall=0.39)
    assert recommend([best, near, dull]) is near  # KID forgives what recall shows
    below_zero = [row("ddim", 50, -1.0), row("heun", 8, -0.95), row("unipc", 4, 0.5)]
    assert recommend(below_zero) is below_zero[1]


def test_with_the_right_denoiser_few_steps_of_a_good_sampler_do(tmp_path) -> None:
    """DDIM's four steps are far off, its hundred are not; with a fitted grid or a higher order twelve are as good."""
    it = bench(n=400, held=300)
    settings = SearchSpace(("ddim", "unipc"), ("karras", "fitted"), (4, 12), (None,)).list_settings(it.model)
    *_, report = compare_settings(it, settings, tmp_path / "steps.json")
    assert [r.setting for r in report.rows] == [*settings[:-1], SamplerSetting("ddim", "karras", 100, 1.0)]
    poor, whole = (
        report.find(SamplerSetting("ddim", "karras", 4)),
        report.find(SamplerSetting("ddim", "karras", 100, 1.0)),
    )
    assert poor.kid.low > whole.kid.high and whole.kid.low < report.floor.high
    best = recommend(report.rows)
    assert best.calls <= 12 and best.kid.value < whole.kid.high and best.fidelity.recall > 0.5
    assert report.find(SamplerSetting("ddim", "fitted", 4)).kid.value < poor.kid.value
    data = json.loads((tmp_path / "steps.json").read_text())
    assert data["recommended"] == {
        "sampler": best.setting.sampler,
        "grid": best.setting.grid,
        "steps": best.setting.steps,
        "temperature": None,
    }
    assert "standard error" in data["rule"]
    assert report.recommended_sampling.fitted == report.fitted and [len(f) for f in report.fitted] == [5, 13]


def test_samples_equal_generate_and_calls_are_counted() -> None:
    model = tiny()
    held_out = HeldOut(torch.zeros(20, 4, 8, 8, dtype=torch.uint8), ("sword", None, "bread"))
    it = SamplerBenchmark(model, held_out, Pixels(),
               n=7, seed=3, guidance=1.5, batch=4)  # fmt: skip
    pixels, calls, seconds = it.draw(SamplerSetting("heun", "karras", 3))
    assert calls == 5 and seconds > 0 and sorted(set(it.labels), key=str) == [None, "bread", "sword"]
    grid = model.grid(3)
    walk = generate(model, range(3, 10), model.condition(it.labels, 7), model.sampler("heun"), grid, 1.5, 4)
    assert torch.equal(pixels, model.pictures.decode_samples(final_samples(walk, grid)))
    assert [it.draw(SamplerSetting(s, "karras", 4))[1] for s in ("ddim", "unipc", "ipndm", "heun")] == [4, 4, 4, 7]


def test_an_interrupted_measurement_continues(tmp_path) -> None:
    path, compared = tmp_path / "steps.json", SearchSpace(("ddim",), ("karras", "fitted"), (2, 3), (None,), None)
    whole = bench()
    *_, report = compare_settings(whole, compared.list_settings(whole.model), path)
    other, ticks = bench(), []
    first = next(compare_settings(bench(), compared.list_settings(other.model), tmp_path / "b" / "steps.json"))
    assert len(first.rows) == 1
    *_, again = compare_settings(
        other, compared.list_settings(other.model), tmp_path / "b" / "steps.json", lambda: ticks.append(1)
    )
    assert len(ticks) == (2 * 2 + 2 * 3 - 2) * 2  # two batches, and the way of two steps on Karras' grid was there
    without = [replace(r, seconds=0.0) for r in report.rows]
    assert [replace(r, seconds=0.0) for r in again.rows] == without and again.fitted == report.fitted
    assert StepsReport.read(path, whole.settings) == report  # to the last digit
    *_, more = compare_settings(
        bench(), SearchSpace(("ddim",), ("fitted",), (4,), (None,), None).list_settings(other.model), path
    )
    assert more.fitted[:2] == report.fitted and len(more.rows) == 5


def test_figures_that_cannot_be_compared_are_not_thrown_away(tmp_path) -> None:
    path = tmp_path / "steps.json"
    list(compare_settings(bench(10), [SamplerSetting("ddim", "karras", 2)], path))
    before = path.read_bytes()
    with pytest.raises(InputError, match="n was 10 and is 12"):
        list(compare_settings(bench(12), [SamplerSetting("ddim", "karras", 2)], path))
    assert path.read_bytes() == before
    about = bench(10).settings
    assert StepsReport.read(path, replace(about, model="another")) == StepsReport(replace(about, model="another"))
    path.write_text("[]")
    with pytest.raises(InputError, match="is not a report of noisette steps"):
        StepsReport.read(path, about)


def test_the_figures_are_those_of_the_metrics() -> None:
    from noisette.evaluation.metrics.kid import kid, kid_interval

    it = bench(80)
    found, (pixels, _, _) = it(SamplerSetting("unipc", "karras", 20)), it.draw(SamplerSetting("unipc", "karras", 20))
    assert found.kid.value == pytest.approx(1000 * kid(Pixels()(real(80)), Pixels()(pixels)))
    interval = kid_interval(Pixels()(pixels), Pixels()(real(80))).scaled(1000)
    assert (found.kid.low, found.kid.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
    assert np.quantile(found.kid_resamples, 0.025) == pytest.approx(interval.low, abs=1e-3)
    assert 0.5 < found.fidelity.coverage <= 1 and math.isfinite(found.fidelity.density)


def test_names_and_numbers_that_cannot_be() -> None:
    model = tiny()
    for contest, says in (
        (SearchSpace(samplers=("unpic",)), "did you mean 'unipc'"),
        (SearchSpace(grids=("fited",)), "did you mean 'fitted'"),
        (SearchSpace(samplers=("ddpm-learned",)), "did not learn"),
        (SearchSpace(steps=(0,)), "at least 1"),
        (SearchSpace(grids=("fitted",), steps=(0,)), "at least 1"),
    ):
        with pytest.raises(InputError, match=says):
            contest.list_settings(model)
    assert len(SearchSpace().list_settings(model)) == 73 and len(QUICK_SEARCH.list_settings(model)) == 12


def test_too_few_are_refused(sprites, tmp_path) -> None:
    data = prepare(sprites, tmp_path / "run")
    with pytest.raises(InputError, match="too few for a comparison: give at least 10"):
        load_held_out(data.pictures, tmp_path / "run")
    found = load_held_out(data.pictures, tmp_path / "run", sprites)
    assert len(found.pixels) == 40 and set(found.label_pool) == {"food", "tool"} and found.training is None
    assert found.fingerprint == load_held_out(data.pictures, "anywhere", sprites).fingerprint
    unlike = load_held_out(replace(data.pictures, labels=("food",)), "anywhere", sprites)
    assert set(unlike.label_pool) == {"food", None}


def test_a_model_without_pictures_needs_data(tmp_path) -> None:
    with pytest.raises(InputError, match=r"give --data with the run folder .* or with pictures"):
        load_held_out(Pictures("L", 8, 8), tmp_path)


def test_the_run_s_own_side(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for i in range(120):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    data = prepare(tmp_path, tmp_path / "run")
    found = load_held_out(data.pictures, tmp_path / "run")
    assert len(found.pixels) == len(data.held_out) >= 10 and len(found.training) == len(data.train)
    assert torch.equal(load_held_out(data.pictures, "anywhere", tmp_path / "run").pixels, found.pixels)
    with pytest.raises(InputError, match="holds pictures of L 8×8, and the model draws RGB"):
        load_held_out(replace(data.pictures, mode="RGB"), tmp_path / "run")


def test_reports_of_other_settings_are_not_comparable() -> None:
    assert bench().settings == MeasurementSettings("untrained", bench().settings.data, 80, 64, 0, 1.0, "0")
    assert replace(bench().settings, n=1) != bench().settings


def test_the_temperature_is_part_of_the_search() -> None:
    """It scales the noise of stochastic samplers, too; the best one becomes the default; a plot shows the best ones."""
    it = bench()
    cool, warm = (SamplerSetting("dpm++sde", "karras", 4, temperature) for temperature in (0.5, None))
    assert not torch.equal(it.draw(cool)[0], it.draw(warm)[0])
    own = it.model.with_sampling(cool.resolve(it.model.config.sampling))
    walk = generate(own, it.seeds, None, own.sampler(), own.grid(), batch=50)
    assert torch.equal(it.draw(cool)[0], own.pictures.decode_samples(final_samples(walk, own.grid())))
    rows = tuple(replace(row("ddim", 4, kid), setting=way) for way, kid in ((cool, 20.0), (warm, 30.0)))
    report = StepsReport(it.settings, rows=rows)
    assert report.recommended_sampling.temperature == 0.5 and report.best_rows == rows[:1]
    assert StepsReport(it.settings, rows=rows[1:]).recommended_sampling.temperature == 1


def test_a_models_own_grids_are_measured(tmp_path) -> None:
    it = bench()
    own = tuple(it.model.grid(3, "logsnr").tolist())
    it.set_fitted_grids((own,))
    report = next(compare_settings(it, [SamplerSetting("ddim", "fitted", 3)], tmp_path / "steps.json"))
    assert report.fitted == (own,)
