"""What `noisette steps` measures, on data whose best denoiser is known; and the rule by which it recommends."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data import prepare
from noisette.edit.generate import ends, generate
from noisette.edit.held_out import HeldOut, held_out
from noisette.edit.steps import QUICK, About, Bench, Contest, Measured, Report, Way, compared, recommended
from noisette.errors import InputError
from noisette.metrics.distribution import Fidelity
from noisette.metrics.interval import Interval
from noisette.model import PictureModel
from noisette.noise import keyed
from noisette.oracle import Mixture
from noisette.pictures import Pictures
from tiny_models import tiny


class Pixels:
    """Pictures as they are."""

    name, hash = "pixels", "0"

    def __call__(self, pixels):
        return pixels.flatten(1).float() / 64 - 2


class Right(PictureModel):
    """Draws grey pictures of three kinds, exactly."""

    def given(self, cond=None):
        return Mixture(self.schedule, *BLOBS)


MEANS = torch.randn(3, 1, 8, 8, generator=keyed("means"), dtype=torch.float64) * 0.4
BLOBS = (MEANS, torch.tensor([0.1, 0.15, 0.2]).double(), torch.tensor([0.5, 0.3, 0.2]).double())


def real(n: int, seed: int = 0) -> torch.Tensor:
    generator = keyed("real", seed)
    kind = torch.multinomial(BLOBS[2], n, replacement=True, generator=generator)
    noise = torch.randn(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return Pictures("L", 8, 8).decode((MEANS[kind] + BLOBS[1][kind].reshape(-1, 1, 1, 1) * noise).float())


def bench(n: int = 64, held: int = 80) -> Bench:
    model = Right(tiny("L", ()).config).eval()
    return Bench(model, HeldOut(real(held), (None,), real(100, 1)), Pixels(), n=n, batch=50)


def row(sampler: str, calls: int, kid: float, noise: float = 0.0, recall: float = 0.5) -> Measured:
    """`noise`: how differently this one comes out where the pictures are drawn again."""
    draws = torch.randn(100, generator=keyed("common")) + noise * torch.randn(100, generator=keyed(sampler))
    fidelity = Fidelity(0.5, recall, 0.5, 0.5)
    return Measured(
        Way(sampler, "karras", calls),
        calls,
        0.1,
        Interval(kid, kid - 2, kid + 2),
        tuple((kid + draws).tolist()),
        fidelity,
    )


def test_the_rule() -> None:
    """Within 10 %; or within one standard error of the difference, however wide both intervals are; then the lowest."""
    best, near, cheap = row("ddim", 50, 20.0), row("heun", 11, 21.9), row("unipc", 4, 22.1)
    assert recommended([best, near, cheap]) is near
    assert recommended([cheap, best]) is best
    unsure = row("ipndm", 4, 22.1, noise=3.0)
    assert recommended([best, near, unsure, cheap]) is unsure
    better = row("dpm++2m", 11, 21.0)
    assert recommended([near, best, better]) is better
    dull = row("ipndm", 5, 20.0, recall=0.39)
    assert recommended([best, near, dull]) is near  # KID forgives what recall shows
    below_zero = [row("ddim", 50, -1.0), row("heun", 8, -0.95), row("unipc", 4, 0.5)]
    assert recommended(below_zero) is below_zero[1]


def test_with_the_right_denoiser_few_steps_of_a_good_sampler_do(tmp_path) -> None:
    """DDIM's four steps are far off, its hundred are not; with a fitted grid or a higher order twelve are as good."""
    it = bench(n=400, held=300)
    ways = Contest(("ddim", "unipc"), ("karras", "fitted"), (4, 12)).ways(it.model)
    *_, report = compared(it, ways, tmp_path / "steps.json")
    assert [r.way for r in report.rows] == [*ways[:-1], Way("ddim", "karras", 100)]
    poor, whole = report.of(Way("ddim", "karras", 4)), report.of(Way("ddim", "karras", 100))
    assert poor.kid.low > whole.kid.high and whole.kid.low < report.floor.high
    best = recommended(report.rows)
    assert best.calls <= 12 and best.kid.value < whole.kid.high and best.fidelity.recall > 0.5
    assert report.of(Way("ddim", "fitted", 4)).kid.value < poor.kid.value
    told = json.loads((tmp_path / "steps.json").read_text())
    assert told["recommended"] == {"sampler": best.way.sampler, "grid": best.way.grid, "steps": best.way.steps}
    assert "standard error" in told["rule"]
    assert report.sampling.fitted == report.fitted and [len(f) for f in report.fitted] == [5, 13]


def test_draws_what_generate_draws_and_counts_what_it_asks() -> None:
    model = tiny()
    it = Bench(model, HeldOut(torch.zeros(20, 4, 8, 8, dtype=torch.uint8), ("sword", None, "bread")), Pixels(),
               n=7, seed=3, guidance=1.5, batch=4)  # fmt: skip
    pixels, calls, seconds = it.draw(Way("heun", "karras", 3))
    assert calls == 5 and seconds > 0 and sorted(set(it.labels), key=str) == [None, "bread", "sword"]
    grid = model.grid(3)
    walk = generate(model, range(3, 10), model.condition(it.labels, 7), model.sampler("heun"), grid, 1.5, 4)
    assert torch.equal(pixels, model.pictures.decode(ends(walk, grid)))
    assert [it.draw(Way(s, "karras", 4))[1] for s in ("ddim", "unipc", "ipndm", "heun")] == [4, 4, 4, 7]


def test_a_measurement_goes_on_where_it_was(tmp_path) -> None:
    path, ways = tmp_path / "steps.json", Contest(("ddim",), ("karras", "fitted"), (2, 3), None)
    whole = bench()
    *_, report = compared(whole, ways.ways(whole.model), path)
    other, asked = bench(), []
    first = next(compared(bench(), ways.ways(other.model), tmp_path / "b" / "steps.json"))
    assert len(first.rows) == 1
    *_, again = compared(other, ways.ways(other.model), tmp_path / "b" / "steps.json", lambda: asked.append(1))
    assert len(asked) == (2 * 2 + 2 * 3 - 2) * 2  # two batches, and the way of two steps on Karras' grid was there
    without = [replace(r, seconds=0.0) for r in report.rows]
    assert [replace(r, seconds=0.0) for r in again.rows] == without and again.fitted == report.fitted
    assert Report.read(path, whole.about) == report  # to the last digit
    *_, more = compared(bench(), Contest(("ddim",), ("fitted",), (4,), None).ways(other.model), path)
    assert more.fitted[:2] == report.fitted and len(more.rows) == 5


def test_figures_that_cannot_be_compared_are_not_thrown_away(tmp_path) -> None:
    path = tmp_path / "steps.json"
    list(compared(bench(10), [Way("ddim", "karras", 2)], path))
    before = path.read_bytes()
    with pytest.raises(InputError, match="n was 10 and is 12"):
        list(compared(bench(12), [Way("ddim", "karras", 2)], path))
    assert path.read_bytes() == before
    about = bench(10).about
    assert Report.read(path, replace(about, model="another")) == Report(replace(about, model="another"))
    path.write_text("[]")
    with pytest.raises(InputError, match="holds no figures"):
        Report.read(path, about)


def test_the_figures_are_those_of_the_metrics() -> None:
    from noisette.metrics.kid import kid, kid_interval

    it = bench(80)
    found, (pixels, _, _) = it(Way("unipc", "karras", 20)), it.draw(Way("unipc", "karras", 20))
    assert found.kid.value == pytest.approx(1000 * kid(Pixels()(real(80)), Pixels()(pixels)))
    interval = kid_interval(Pixels()(pixels), Pixels()(real(80))).scaled(1000)
    assert (found.kid.low, found.kid.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
    assert np.quantile(found.resampled, 0.025) == pytest.approx(interval.low, abs=1e-3)
    assert 0.5 < found.fidelity.coverage <= 1 and math.isfinite(found.fidelity.density)


def test_names_and_numbers_that_cannot_be() -> None:
    model = tiny()
    for contest, says in (
        (Contest(samplers=("unpic",)), "did you mean 'unipc'"),
        (Contest(grids=("fited",)), "did you mean 'fitted'"),
        (Contest(samplers=("ddpm-learned",)), "did not learn"),
        (Contest(steps=(0,)), "at least 1"),
        (Contest(grids=("fitted",), steps=(0,)), "at least 1"),
    ):
        with pytest.raises(InputError, match=says):
            contest.ways(model)
    assert len(Contest().ways(model)) == 61 and len(QUICK.ways(model)) == 12


def test_too_few_are_refused(sprites, tmp_path) -> None:
    data = prepare(sprites, tmp_path / "run")
    with pytest.raises(InputError, match="too few to say anything: give at least 10"):
        held_out(data.pictures, tmp_path / "run")
    found = held_out(data.pictures, tmp_path / "run", sprites)
    assert len(found.pixels) == 40 and set(found.names) == {"food", "tool"} and found.training is None
    assert found.fingerprint == held_out(data.pictures, "anywhere", sprites).fingerprint
    unlike = held_out(replace(data.pictures, labels=("food",)), "anywhere", sprites)
    assert set(unlike.names) == {"food", None}


def test_a_model_without_pictures_says_what_it_needs(tmp_path) -> None:
    with pytest.raises(InputError, match=r"give the run folder .* or pictures .* with --data"):
        held_out(Pictures("L", 8, 8), tmp_path)


def test_the_run_s_own_side(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for i in range(120):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    data = prepare(tmp_path, tmp_path / "run")
    found = held_out(data.pictures, tmp_path / "run")
    assert len(found.pixels) == len(data.held_out) >= 10 and len(found.training) == len(data.train)
    assert torch.equal(held_out(data.pictures, "anywhere", tmp_path / "run").pixels, found.pixels)
    with pytest.raises(InputError, match="holds pictures of L 8×8, and the model draws RGB"):
        held_out(replace(data.pictures, mode="RGB"), tmp_path / "run")


def test_about_is_all_that_must_agree() -> None:
    assert bench().about == About("untrained", bench().about.data, 80, 64, 0, 1.0, "0")
    assert replace(bench().about, n=1) != bench().about
