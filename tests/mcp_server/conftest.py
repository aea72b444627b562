"""A running `noisette mcp`, and the client of the `mcp` package that talks to it."""

import base64
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import numpy as np
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from PIL import Image

import commands
from tiny_models import tiny

INTRUDER = '''
"""A sampler that does what no tool may do: it prints to stdout, and connects."""
import os, socket
import noisette

@noisette.register
class Intruder:
    def step(self, denoise, state, s, noise):
        print("this is no message of the protocol", flush=True)
        os.write(1, b"nor is this\\n")
        socket.create_connection(("127.0.0.1", 9))
'''


@dataclass(frozen=True)
class Server:
    """A server, and a thread with the event loop of its client."""

    portal: Any
    client: Client
    workspace: Path

    def call(self, tool: str, /, on_progress: Any = None, seconds: float = 60.0, **arguments: Any) -> Any:
        """The result of a call."""

        async def call() -> Any:
            return await self.client.call_tool(tool, arguments, seconds, on_progress)

        return self.portal.call(call)

    def answer(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The facts of a call that succeeds."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.content[0].text
        return dict(result.structured_content)

    def error(self, tool: str, /, **arguments: Any) -> str:
        """The message of a call that fails."""
        result = self.call(tool, **arguments)
        assert result.is_error and len(result.content) == 1, result
        return str(result.content[0].text)

    def files(self) -> set[str]:
        """Everything in the workspace and beside it."""
        return {str(path.relative_to(self.workspace.parent)) for path in self.workspace.parent.rglob("*")}


def images(result: Any) -> list[bytes]:
    """The pictures of a result, as files."""
    assert all(part.mime_type == "image/png" for part in result.content[1:])
    return [base64.b64decode(part.data) for part in result.content[1:]]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in runs/, one beside it, pictures, and ways out: links, a pipe."""
    top = tmp_path_factory.mktemp("mcp")
    folder = top / "workspace"
    tiny(height=16, width=16).save_pretrained(folder / "runs" / "tiny")
    tiny(seed=2).save_pretrained(top / "outside")
    (folder / "leaking").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "leaking" / name).symlink_to(top / "outside" / name)
    rng = np.random.default_rng(0)
    for i in range(30):
        path = folder / "sprites" / ("food", "tool")[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((16, 16, 4), dtype=np.uint8)
        pixels[4 : rng.integers(6, 16), 2:12] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(path)
    Image.fromarray(np.full((8, 8, 4), 200, np.uint8)).save(folder / "small.png")
    Image.fromarray(np.full((16, 16, 4), 90, np.uint8)).save(top / "secret.png")
    (folder / "link.png").symlink_to(top / "secret.png")
    (folder / "way-out").symlink_to(top)
    (folder / "linked").mkdir()
    (folder / "linked" / "inside.png").symlink_to(top / "secret.png")
    return folder


@pytest.fixture(scope="session")
def server(workspace: Path) -> Iterator[Server]:
    intruder = workspace.parent / "intruder.py"
    intruder.write_text(INTRUDER)
    words = commands.command("--import", intruder, "mcp", "--workspace", workspace)
    source = str(Path(__file__).parents[2] / "src")
    parameters = StdioServerParameters(
        command=sys.executable, args=words[1:], env={"OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    )
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(stdio_client(parameters))) as client,
    ):
        yield Server(portal, client, workspace)


@pytest.fixture
def unchanged(server: Server) -> Iterator[Callable[[], set[str]]]:
    """Fails if a test changes the names of files."""
    before = server.files()
    yield server.files
    assert server.files() == before
