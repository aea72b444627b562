"""Conditions, samplers and grids of a model, by name."""

import dataclasses

import pytest
import torch

import noisette
from noisette.diffusion.parametrization import V
from noisette.diffusion.schedule import Cosine
from noisette.errors import InputError
from noisette.io.json_files import read_json
from noisette.models.config import SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.models.registry import GRIDS, SAMPLERS
from noisette.sampling.generate import final_samples, generate
from tiny_models import tiny

FITTED = ((1.0, 0.5, 0.2, 0.0), (1.0, 0.0))


def with_variance() -> PictureModel:
    """A tiny model that answers logits of the variance, too, on a chain of 40 steps."""
    config = tiny().config
    net = dataclasses.replace(config.net, out_channels=8)
    other = dataclasses.replace(config, net=net, schedule=Cosine(40), parametrization=V())
    return (
        PictureModel(dataclasses.replace(other, sampling=SamplingDefaults(fitted=FITTED))).eval().requires_grad_(False)
    )


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_on_every_grid(sampler: str, grid: str) -> None:
    model = with_variance()
    times = model.grid(3, grid)
    cond = model.condition(["sword", None], 2)
    x = final_samples(generate(model, [1, 2], cond, model.sampler(sampler), times, 1.5), times)
    assert x.shape == (2, 4, 8, 8) and x.abs().max() < 2  # iPNDM extrapolates to the very end
    if grid in ("trailing", "leading", "strided", "quadratic"):  # on the knots of its own chain
        torch.testing.assert_close(times * 40, (times * 40).round())


def test_unknown_names_are_refused() -> None:
    model = tiny()
    with pytest.raises(InputError, match="'unipc'"):
        model.sampler("uni-pc")
    with pytest.raises(InputError, match="'logsnr'"):
        model.grid(3, "log-snr")
    with pytest.raises(InputError, match="did not learn a variance"):
        model.sampler("ddpm-learned")
    with pytest.raises(InputError, match="no grid: they must"):
        SamplingDefaults(fitted=((1.0, 2.0, 0.0),))


def test_sampling_defaults_are_stored_and_not_part_of_the_hash(tmp_path) -> None:
    tiny().save_pretrained(tmp_path / "run" / "model")
    model, path = noisette.load(tmp_path / "run"), tmp_path / "run" / "model" / "config.json"
    before = read_json(path)
    model.save_sampling(tmp_path / "run", SamplingDefaults("dpm++3m", "fitted", 3, fitted=FITTED))
    again = noisette.load(tmp_path / "run")
    assert again.config.sampling == model.config.sampling == SamplingDefaults("dpm++3m", "fitted", 3, fitted=FITTED)
    assert again.hash == model.hash and again.grid().tolist() == list(FITTED[0])
    after = read_json(path)
    del before["model"]["sampling"], after["model"]["sampling"]
    assert before == after
    assert sorted(p.name for p in (tmp_path / "run" / "model").iterdir()) == ["config.json", "model.safetensors"]
    other = dataclasses.replace(model.config, schedule=Cosine(), parametrization=V())
    PictureModel(other).save_pretrained(tmp_path / "other")
    assert noisette.load(tmp_path / "other").hash != model.hash
