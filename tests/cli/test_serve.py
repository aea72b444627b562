"""What noisette serve refuses before it serves; the server itself is tested in tests/serving."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


def test_without_its_packages_it_says_what_to_install(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("noisette.cli.serve.find_spec", lambda name: None if name == "litserve" else there(name))
    assert "pip install 'noisette[serve]'" in refused("serve", "base-16")


def test_models_addresses_and_tokens_are_checked_first(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("litserve")
    assert "--no-token is only for addresses" in refused("serve", "base-16", "--host", "0.0.0.0", "--no-token")
    assert "two models are called 'base-16'" in refused("serve", "base-16", "base-16")
    assert str(tmp_path / "none") in refused("serve", tmp_path / "none")
    monkeypatch.setenv("NOISETTE_TOKEN", "short")
    assert "NOISETTE_TOKEN must be at least 16" in refused("serve", "base-16")
