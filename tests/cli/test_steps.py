import json
import shutil
import sys
from dataclasses import replace

import pytest
from PIL import Image

import noisette
from noisette.data.png import read_metadata
from noisette.sampling.fitted_grid import fit_grids
from tiny_models import tiny


@pytest.fixture
def mine(model, tmp_path):
    """A model folder of this test's own."""
    return shutil.copytree(model, tmp_path / "mine")


FEW = ("-n", 12, "--sampler", "ddim", "--sampler", "unipc", "--grid", "karras", "--steps", 2, "--temperature", 0.9)


def test_measures_recommends_and_sets_the_default(call, mine, sprites, tmp_path) -> None:
    """A table, steps.json, steps.png; and then `noisette sample` draws as was recommended; the hash is the same."""
    before = noisette.load(mine)
    result = call("steps", mine, "--data", sprites, *FEW)
    assert result.code == 0, result.err
    data = json.loads((mine / "steps.json").read_text())
    settings = [(r["setting"]["sampler"], r["setting"]["steps"], r["calls"]) for r in data["rows"]]
    assert settings == [("ddim", 2, 2), ("unipc", 2, 2), ("ddim", 100, 100)]
    assert data["settings"]["held_out"] == 40 and data["settings"]["n"] == 12 and data["floor"] is None
    best = data["recommended"]
    assert (
        f"recommended: --sampler {best['sampler']} --grid {best['grid']} --steps {best['steps']} --temp" in result.out
    )
    assert str((mine / "steps.png").resolve()) in result.out and Image.open(mine / "steps.png").width > 1000
    for row in data["rows"]:
        assert f"{row['kid']['value']:.1f}" in result.out and row["seconds"] > 0

    after = noisette.load(mine)
    assert after.hash == before.hash
    own = after.config.sampling
    found = {"sampler": own.sampler, "grid": own.grid, "steps": own.steps}
    assert found | {"temperature": best["temperature"]} == best and own.temperature == (best["temperature"] or 1.0)
    assert call("sample", mine, "--out", tmp_path / "out", "-n", 1).code == 0
    text = read_metadata(next((tmp_path / "out").glob("*-*.png")))
    assert (text["sampler"], text["grid"], text["steps"]) == (own.sampler, own.grid, own.steps)


def test_continues_with_json_and_keep_default(call, mine, sprites, tmp_path) -> None:
    first = call("steps", mine, "--data", sprites, *FEW, "--out", tmp_path / "figures", "--keep-default", "--json")
    config = (mine / "config.json").read_bytes()
    data = json.loads(first.out)
    more = call("steps", mine, "--data", sprites, *FEW, "--steps", 3, "--grid", "fitted", "--out", tmp_path / "figures",
                "--keep-default", "--json")  # fmt: skip
    again = json.loads(more.out)
    assert again["rows"][:3] == data["rows"] and len(again["rows"]) == 3 + 2 * 3
    assert [len(times) for times in again["fitted"]] == [3, 4]
    assert (mine / "config.json").read_bytes() == config and not (mine / "steps.json").exists()
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["steps.json", "steps.png"]


def test_what_cannot_be(refused, mine, sprites, trained, tmp_path) -> None:
    assert "give --data with the run folder of the model" in refused("steps", mine)
    assert "did you mean 'unipc'" in refused("steps", mine, "--data", sprites, "--sampler", "unpic")
    assert "steps must be at least 1, got 0" in refused("steps", mine, "--data", sprites, "--steps", 0)
    assert "-n must be at least 2, got 0" in refused("steps", mine, "--data", sprites, "-n", 0)
    assert "--seed" in refused("steps", mine, "--data", sprites, "--seed", -1)
    assert "too few for a comparison" in refused("steps", trained[0])
    assert "no config.json" in refused("steps", tmp_path / "nothing")
    assert not (mine / "steps.json").exists()


def test_a_shipped_model_is_not_changed(refused, sprites, tmp_path, monkeypatch) -> None:
    """And no folder of its name is made, which would hide it."""
    monkeypatch.chdir(tmp_path)
    for words in ((), ("--keep-default",), ("--out", "figures")):
        assert "give --out and --keep-default" in refused("steps", "emoji-16", "--data", sprites, *words)
    assert list(tmp_path.iterdir()) == []


def test_grids_do_not_depend_on_the_temperature() -> None:
    found = []
    for warmth in (1.0, 0.75):
        model = tiny()
        model.config = replace(model.config, sampling=replace(model.config.sampling, temperature=warmth))
        found.append(fit_grids(model, range(4), model.condition(["sword"], 4), (3, 6), fine_steps=12))
    assert found[0] == found[1]


def test_grids_that_a_model_has_are_not_lost(call, mine, sprites) -> None:
    own = noisette.load(mine)
    grid = tuple(own.grid(5).tolist())
    own.save_sampling(mine, replace(own.config.sampling, fitted=(grid,)))
    assert call("steps", mine, "--data", sprites, *FEW).code == 0
    assert noisette.load(mine).config.sampling.fitted == (grid,)
    assert call("steps", mine, "--data", sprites, *FEW, "--grid", "fitted").code == 0
    assert [len(times) for times in noisette.load(mine).config.sampling.fitted] == [3, 6]


def test_without_matplotlib_everything_but_the_plot(call, mine, sprites, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = call("steps", mine, "--data", sprites, "-n", 12, "--quick", "--sampler", "ddim", "--grid", "karras",
                  "--steps", 1)  # fmt: skip
    assert result.code == 0 and "pip install 'noisette[plots]'" in result.err
    assert (mine / "steps-quick.json").is_file() and not list(mine.glob("*.png"))
