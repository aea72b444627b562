"""What noisette studio refuses before it opens; the page itself is tested in tests/studio."""

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from noisette.studio.address import is_loopback


def test_an_encoder_that_cannot_be_opened_is_reported_first(
    refused: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in refused("studio", "--workspace", tmp_path / "file")
    assert str(tmp_path / "none") in refused("studio", tmp_path / "none", "--workspace", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refused("studio", model, "--workspace", tmp_path, "--port", port)
    assert f"port {port}" in words and "--port" in words
    assert "--no-token is only for addresses" in refused("studio", "--host", "0.0.0.0", "--no-token")
    assert "cannot listen on" in refused("studio", "--workspace", tmp_path, "--host", "no.such.host.invalid")


def test_without_gradio_it_says_what_to_install(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("noisette.cli.studio.find_spec", lambda name: None if name == "gradio" else there(name))
    assert "pip install 'noisette[studio]'" in refused("studio")


def test_only_loopback_goes_without_a_token() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "localhost.example", "10.0.0.1")))
