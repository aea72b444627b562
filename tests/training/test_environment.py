"""Settings of other programs in the environment change no weight."""

import os
from pathlib import Path

import pytest
import torch

from noisette.io.launcher import launched_processes, launcher_environment
from noisette.training import train

from .test_run import options, weights

LAUNCHED = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.slow
def test_settings_of_accelerate_change_nothing(sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    train(sprites, tmp_path / "plain", options(images=16))
    set_here = {
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4", "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR", "ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_USE_FSDP": "true",
        "ACCELERATE_USE_MEGATRON_LM": "true", "RANK": "3", "LOCAL_RANK": "0",
        "ACCELERATE_USE_CPU": "perhaps", "ACCELERATE_TORCH_DEVICE": "abacus",
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "PMI_RANK": "1", "PMI_SIZE": "2",
    }  # fmt: skip
    for name, value in set_here.items():
        monkeypatch.setenv(name, value)
    train(sprites, tmp_path / "set", options(images=16))
    assert all(os.environ[name] == value for name, value in set_here.items())
    ours, theirs = weights(tmp_path / "plain"), weights(tmp_path / "set")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_variables_of_a_launcher_are_distinguished_from_leftover_ones(monkeypatch: pytest.MonkeyPatch):
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    assert launched_processes() == (0, 1)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
        assert launched_processes() == ((1, 2) if name == "MASTER_PORT" else (0, 1))
    with launcher_environment():
        assert os.environ["RANK"] == "1" and os.environ["ACCELERATE_USE_CPU"] == "true"
    monkeypatch.delenv("MASTER_ADDR")
    with launcher_environment():
        assert "RANK" not in os.environ and "WORLD_SIZE" not in os.environ
    assert os.environ["RANK"] == "1"
