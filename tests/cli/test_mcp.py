"""What noisette mcp refuses before it serves; the server itself is tested in tests/mcp_server."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


def test_the_workspace_must_exist(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "none"):
        assert f"--workspace is {path}, which is no folder" in refused("mcp", "--workspace", path)


def test_without_the_package_it_says_what_to_install(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("noisette.cli.mcp.find_spec", lambda name: None if name == "mcp" else there(name))
    assert "pip install 'noisette[mcp]'" in refused("mcp")
