"""noisette convert, as people type it: what it says, what it writes, what it refuses."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import noisette
from noisette.diffusion.schedule import LinearBeta, Schedule
from noisette.interop.guided_diffusion_names import UNET_NAMES, iter_decoder_names, iter_encoder_names, make_name_table
from noisette.models.config import build, from_json
from noisette.nn.architecture import UNetConfig

from .conftest import Call

Refused = Callable[..., str]
NET = UNetConfig(
    channels=(32, 64), blocks=1, attention=(False, True), heads=4, time_channels=32, classes=3, null_class=False
)  # fmt: skip


def state(**changes: Any) -> dict[str, Tensor]:
    """A checkpoint with guided-diffusion's names, without its code: three classes, conv resampling."""
    ours = build(NET).state_dict()
    table = make_name_table([*iter_encoder_names(NET), *iter_decoder_names(NET)], UNET_NAMES)
    theirs = {}
    for name, tensor in ours.items():
        if ".attn.qkv.w" in name or ".attn.out.w" in name:
            tensor = tensor[..., None]  # noqa: PLW2901
        theirs[table[name][0]] = torch.randn_like(tensor) * 0.1
    return theirs | changes


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "ema_0.9999_000010.pt"
    torch.save(state(), path)
    return path


def test_converted_and_drawn(theirs: Path, tmp_path: Path, call: Call) -> None:
    ours = tmp_path / "ours"
    result = call("convert", theirs, ours, "--size", 8, "--noise-schedule", "linear", "--diffusion-steps", 100)
    assert result.code == 0, result.err
    assert "improved-diffusion's U-Net" in result.out and "M parameters" in result.out
    assert "channels [32, 64]" in result.out and "LinearBeta" in result.out and "steps 100" in result.out
    assert "assumed: 4 attention heads (--heads, --head-channels)" in result.out and str(ours) in result.out
    assert sorted(p.name for p in ours.iterdir()) == ["config.json", "model.safetensors"]

    model = noisette.load(ours)
    assert model.pictures.labels == ("0", "1", "2") and model.schedule.num_train_timesteps == 100
    drawn = call("sample", ours, "--out", tmp_path / "new", "-n", 2, "--steps", 3, "--label", "2")
    assert drawn.code == 0, drawn.err
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["2-000000.png", "2-000001.png", "grid.png"]


def test_as_json(theirs: Path, tmp_path: Path, call: Call) -> None:
    result = call("convert", theirs, tmp_path / "ours", "--heads", 2, "--json")
    data = json.loads(result.out)
    assert data["config"]["net"]["heads"] == 2 and data["parameters"] > 1e5
    assert from_json(Schedule, data["config"]["schedule"]) == LinearBeta()


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("executed"), "it was"))


def test_what_is_refused(theirs: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours, bad = tmp_path / "ours", tmp_path / "bad.pt"

    torch.save({"weights": Code()}, bad)
    assert "which is code and not a tensor" in refused("convert", bad, ours)
    bad.write_bytes(pickle.dumps(Code()))
    assert "bad.pt" in refused("convert", bad, ours)
    torch.save(torch.nn.Linear(2, 2), bad)
    assert "Linear" in refused("convert", bad, ours)
    assert not (tmp_path / "executed").exists()

    bad.write_bytes(theirs.read_bytes()[:5000])
    assert "is damaged or not a PyTorch checkpoint" in refused("convert", bad, ours)
    bad.write_bytes(b"")
    assert "is damaged or not a PyTorch checkpoint" in refused("convert", bad, ours)
    assert "does not exist" in refused("convert", tmp_path / "nothing.pt", ours)
    torch.save([torch.zeros(2)], bad)
    assert "holds a list, not named tensors" in refused("convert", bad, ours)
    torch.save({}, bad)
    assert "holds nothing" in refused("convert", bad, ours)
    torch.save({"fc.weight": torch.zeros(2)}, bad)
    assert "belongs to no supported network" in refused("convert", bad, ours)
    torch.save(state(**{"label_emb.weight": "words"}), bad)
    assert "label_emb.weight is a str" in refused("convert", bad, ours)
    torch.save(state(**{"out.2.bias": torch.tensor([1.0, torch.nan, 0.0])}), bad)
    assert "not finite" in refused("convert", bad, ours)
    short = state()
    del short["out.0.weight"]
    torch.save(short, bad)
    assert "out.0.weight" in refused("convert", bad, ours)

    assert "has no model_index.json" in refused("convert", tmp_path, ours)
    for flag, value in (
        ("--schedule", "sine"),
        ("--heads", 0),
        ("--prediction-type", "y"),
        ("--attention-order", "odd"),
    ):
        assert flag in refused("convert", theirs, ours, flag, value)
    assert "give one of them" in refused("convert", theirs, ours, "--heads", 2, "--head-channels", 8)
    assert not ours.exists()

    ours.mkdir()
    assert "exists: give a new folder" in refused("convert", theirs, ours)


def test_wrapped_and_parallel(tmp_path: Path, call: Call) -> None:
    """As trainers write them: a state dict among other things, its names with the prefix of parallel training."""
    path = tmp_path / "last.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v.bfloat16() for k, v in state().items()}}, path)
    result = call("convert", path, tmp_path / "ours")
    assert result.code == 0, result.err
    assert "weights in bfloat16 were converted to float32" in result.out
