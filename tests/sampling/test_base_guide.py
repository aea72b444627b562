"""Guidance away from the model that another one started from."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import noisette
from noisette.errors import InputError
from noisette.io.run_config import write_run_config
from noisette.models import shipped
from noisette.models.config import Origin
from noisette.models.initialize import initialize
from noisette.models.picture_model import PictureModel
from noisette.sampling.base_guide import load_base
from noisette.sampling.generate import Guidance, build_denoiser
from noisette.sampling.request import Helpers, make_request
from noisette.sampling.run import reproduce
from noisette.sampling.steering import GuidanceModels
from tiny_models import tiny

PLAN = {"preset": "tiny", "images": 8, "precision": "fp32", "seed": 0, "recipe": {"model": {}, "training": {}}}


@pytest.fixture
def base(tmp_path: Path) -> PictureModel:
    """A model without labels, of larger pictures."""
    tiny(labels=(), height=16, width=16).save_pretrained(tmp_path / "elsewhere" / "first")
    return noisette.load(tmp_path / "elsewhere" / "first")


def grow(base: PictureModel, run: Path, start_from: str | None = None, **changes: object) -> PictureModel:
    """A run whose model started from `base`, and went elsewhere."""
    model = tiny(seed=3, **changes)  # type: ignore[arg-type]
    model.config = replace(model.config, origins=(Origin("first", base.hash, "16×16 RGBA"),))
    model.save_pretrained(run / "model")
    write_run_config(run / "config.json", {"start_from": start_from}, PLAN)
    return noisette.load(run)


def test_guidance_leads_away_from_what_the_base_predicts(base: PictureModel, tmp_path: Path) -> None:
    """The base is called without labels, because it has none: prediction = base + 1.5 · (model − base)."""
    model = grow(base, tmp_path / "run", str(base.folder))
    guide, cond = load_base(model), model.condition("sword", 2)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    t = torch.full((), 0.01, dtype=torch.float64)
    guided, alone = build_denoiser(model, cond, Guidance(1.5, guide_model=guide)), build_denoiser(model, cond)
    away, toward = base.given()(x, t).x0, model.given(cond)(x, t).x0
    torch.testing.assert_close(guided(x, t).x0, (away + 1.5 * (toward - away)).clamp(-1, 1))
    assert not torch.equal(guided(x, t).x0, alone(x, t).x0)


def test_a_base_of_another_mode_is_adapted_as_training_began(base: PictureModel, tmp_path: Path) -> None:
    model = grow(base, tmp_path / "run", str(base.folder), mode="L", attributes=("hue",), means=(0.5,), scales=(1.0,))
    guide = load_base(model)
    assert guide.pictures == model.pictures and guide.hash == base.hash
    start = initialize(
        base.net.state_dict(), base.config, tiny("L", attributes=("hue",)).net.state_dict(), model.config
    )
    for name in ("conv_in.weight", "conv_out.weight", "embed.vector.mlp.2.weight"):
        assert torch.equal(guide.net.state_dict()[name], start.state[name])


def test_it_is_found_in_the_package_where_training_took_it_and_beside_the_run(
    base: PictureModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a picture is drawn again with it. A model that has changed since is not taken."""
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    assert base.folder is not None
    taken = grow(base, tmp_path / "taken", "elsewhere/first")
    assert load_base(taken).hash == base.hash
    request = make_request(taken, 1, "sword", guidance=1.5, helpers=Helpers(GuidanceModels(load_base(taken))))
    drawn = noisette.draw(taken, 1, "sword", guidance=1.5, guide_with="base").pixels
    assert torch.equal(taken.pictures.decode_samples(reproduce(taken, request.record(0))), drawn)
    assert not torch.equal(noisette.draw(taken, 1, "sword").pixels, drawn)
    beside = grow(base, tmp_path / "elsewhere" / "second")
    assert load_base(beside).hash == base.hash
    other = grow(base, tmp_path / "other")
    with pytest.raises(InputError, match=r"started from first .16×16 RGBA.*which is not found: give its folder"):
        load_base(other)
    shutil.copytree(base.folder, tmp_path / "home" / "first")
    assert load_base(other).hash == base.hash
    tiny(labels=(), seed=8).save_pretrained(tmp_path / "home" / "first")
    with pytest.raises(InputError, match="which is not found"):
        load_base(other)
    explicit = noisette.draw(other, 1, "sword", guidance=1.5, guide_with=base).pixels
    assert torch.equal(explicit, drawn)


def test_what_has_no_base_says_so(base: PictureModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did not start from another one, so it has no base: guide with RUN/early"):
        noisette.draw(tiny(), 1, guidance=1.5, guide_with="base")
    wide = grow(base, tmp_path / "run", str(base.folder), channels=(16, 16))
    with pytest.raises(InputError, match="first has another network or schedule"):
        load_base(wide)
    with pytest.raises(InputError, match="without effect at guidance 1: guide model"):
        noisette.draw(grow(base, tmp_path / "same", str(base.folder)), 1, "sword", guidance=1, guide_with="base")
