"""The tool that makes a run's model one that comes with the package."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import noisette
from noisette.data import prepare
from noisette.data.pictures import TextEncoderInfo
from noisette.models import shipped
from noisette.training import TrainOptions, train
from noisette.training.plan import build_recipe
from tiny_models import tiny

TOOL = Path(__file__).parent.parent / "tools"
if not TOOL.is_dir():
    pytest.skip("the tool comes with the repository alone", allow_module_level=True)
sys.path.insert(0, str(TOOL))

import ship  # noqa: E402

ATTRIBUTION = """\
# Pictures that the base models were trained on

| set | pictures | author | license |
|---|---|---|---|
| noto | 1682 | Google | Apache-2.0 |
| fluent-emoji-flat | 2000 | Microsoft | MIT |
| fluent-color | 800 | Microsoft | MIT |

The pictures were rendered, cropped, scaled and, where drawn in one color, tinted.
"""


OPTIONS = TrainOptions(images=8, batch=8, preset="tiny", size=(16, 16), precision="fp32", evaluations=0)


@pytest.fixture
def attribution(tmp_path: Path) -> Path:
    (tmp_path / "ATTRIBUTION.md").write_text(ATTRIBUTION)
    return tmp_path / "ATTRIBUTION.md"


@pytest.fixture(scope="module")
def home(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and a folder of shipped models, which the run became one of by the command."""
    folder = tmp_path_factory.mktemp("ship")
    train(sprites, folder / "run", replace(OPTIONS, start_from="none"))
    (folder / "pool.md").write_text(ATTRIBUTION)
    (folder / "figures.md").write_text("| KID | 7 |")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "ROOT", folder / "home")
        words = (folder / "run", "base-16", "--attribution", folder / "pool.md", "--figures", folder / "figures.md")
        assert ship.main([str(word) for word in words]) == 0
    return folder


@pytest.mark.slow
def test_a_run_becomes_a_base(home: Path, sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of half the size, drawing the same; training starts from it, with weights of 32 bits."""
    monkeypatch.setattr(shipped, "ROOT", home / "home")
    monkeypatch.chdir(tmp_path)
    folder = home / "home" / "base-16"
    assert shipped.find_base(16, 16) == "base-16"
    assert (folder / "model.safetensors").stat().st_size <= 4_000_000
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.float16}
    whole, half = noisette.load(home / "run"), noisette.load("base-16")
    assert {p.dtype for p in half.parameters()} == {torch.float32} and half.config == whole.config
    for ours, theirs in zip(whole.parameters(), half.parameters(), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=2**-11, atol=2**-25)  # rounded once, to 11 bits
    first, second = (noisette.draw(m, 2).pixels.float() for m in (whole, half))
    assert (first - second).abs().mean() < 0.5
    recipe = build_recipe("tiny", prepare(sprites, tmp_path / "data", size=16), OPTIONS)
    assert [origin.hash for origin in recipe.model.origins] == [half.hash]


@pytest.mark.slow
def test_the_card_says_what_it_is_for_and_of_what_it_is_made(home: Path) -> None:
    folder = home / "home" / "base-16"
    assert {p.name for p in folder.iterdir()} == {
        "ATTRIBUTION.md", "README.md", "config.json", "model.safetensors", "samples.png"
    }  # fmt: skip
    card = (folder / "README.md").read_text("utf8")
    for words in (
        "# base-16", "noisette sample base-16", "--from base-16", "4,482 pictures of 3 sets",
        "MIT 2,800, Apache-2.0 1,682", "## What it must not be used for", "| KID | 7 |", "| images | 8 |",
        "Model: Apache-2.0. Training data: MIT, Apache-2.0.",
    ):  # fmt: skip
        assert words in card
    assert str(home) not in card
    assert (folder / "ATTRIBUTION.md").read_text() == ATTRIBUTION


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("name", "lower-case letters"), ("attribution", "has no table of sets"), ("difference", "half precision changes")],
)
def test_what_cannot_ship_leaves_nothing(
    wrong: str, message: str, attribution: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    tiny().save_pretrained(tmp_path / "model")
    if wrong == "attribution":
        attribution.write_text("# Pictures\n")
    if wrong == "difference":
        monkeypatch.setattr(ship, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(ship.InputError, match=message):
        ship.ship(tmp_path / "model", "Base" if wrong == "name" else "base", attribution)
    assert not (tmp_path / "home" / "base").exists()


def test_without_captions_it_computes_what_it_did_without_one() -> None:
    model = tiny(labels=(), wording=TextEncoderInfo("words", "0" * 64, width=6, max_tokens=5))
    plain = ship.drop_captions(model)
    assert plain.config.net.tokens == 0 and plain.pictures.text_encoder is None and model.pictures.text_encoder
    x, t = torch.randn(3, 4, 8, 8), torch.tensor([0.01, 0.2, 0.9], dtype=torch.float64)
    expected = model.given(model.condition(n=3))(x, t).x0
    torch.testing.assert_close(plain.given(None)(x, t).x0, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ship.InputError, match="without text"):
        plain.condition(text="a red fish")
