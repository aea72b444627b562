"""A run's earlier self, to be guided away from."""

from pathlib import Path

import pytest
import torch

import noisette
from commands import SMALL
from noisette.diffusion.guidance import Guided
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.training import TrainOptions, train

OPTIONS = TrainOptions(preset="tiny", images=24, batch=8, precision="fp32", save_every=0.0, recipe=SMALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sprites: Path) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    train(sprites, folder, OPTIONS)
    return folder


def test_a_checkpoint_is_a_model(run: Path) -> None:
    """The last one is the model that the run left; the one before it is another, of the same kind."""
    earlier, last = (noisette.load(p) for p in checkpoint.list_checkpoints(run))
    model = noisette.load(run)
    assert all(torch.equal(a, b) for a, b in zip(last.net.parameters(), model.net.parameters(), strict=True))
    assert earlier.config == model.config and earlier.hash != last.hash
    cond, x = model.condition("food", 2), torch.randn(2, 4, 8, 8)
    guided = Guided(model.given(cond), away=earlier.given(cond), scale=2.0)
    t = torch.tensor(0.01, dtype=torch.float64)
    right = 2 * model.given(cond)(x, t).x0 - earlier.given(cond)(x, t).x0
    torch.testing.assert_close(guided(x, t).x0, right, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_alone_is_no_model(run: Path, tmp_path: Path) -> None:
    import shutil

    folder = checkpoint.list_checkpoints(run)[-1]
    shutil.copytree(folder, tmp_path / "checkpoints" / folder.name)
    with pytest.raises(InputError, match=r"config\.json"):
        noisette.load(tmp_path / "checkpoints" / folder.name)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not the config of a run"):
        noisette.load(tmp_path / "checkpoints" / folder.name)


def test_a_run_keeps_an_early_snapshot(run: Path, sprites: Path, tmp_path: Path) -> None:
    """Of the same kind, another model; and a run that goes on leaves it as it is."""
    early, model = noisette.load(run / "early"), noisette.load(run)
    assert early.config == model.config and early.hash != model.hash
    first = checkpoint.read(
        checkpoint.list_checkpoints(run)[0]
    )  # of 24 images in steps of 8: the first step ends past 12 %
    assert first.images > 8
    before = (run / "early" / "model.safetensors").stat().st_mtime_ns
    train(sprites, run, OPTIONS)
    assert (run / "early" / "model.safetensors").stat().st_mtime_ns == before
