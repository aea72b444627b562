"""What noisette mcp refuses: paths that lead out of its workspace, too much work, and what is no request."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

import commands
from mcp_server.conftest import Server
from noisette.errors import InputError
from noisette.mcp_server.job import Cancelled, Job
from noisette.mcp_server.place import Place
from noisette.mcp_server.server import ToolServer
from noisette.mcp_server.tools import Tools
from noisette.studio.limits import MAX_SAMPLES, MAX_STEPS

OUTSIDE = ["../outside", "/etc", "way-out/new", "way-out", "sprites/../../outside", "..", "/"]
NO_FILES = ["link.png", "../secret.png", "/etc/passwd", "/dev/zero", "/proc/self/environ", "way-out/secret.png"]
BAD_NAMES = ["", "a\0b.png", "x" * 2000]
DRAW: dict[str, Any] = {"model": "runs/tiny", "out": "never", "number": 1, "steps": 1}


@pytest.mark.parametrize("path", [*OUTSIDE, *BAD_NAMES], ids=repr)
def test_no_folder_outside_is_written_to_or_read(server: Server, unchanged: object, path: str) -> None:
    wanted = "null byte" if path in BAD_NAMES else "leads out of the workspace"
    assert wanted in server.error("draw", **(DRAW | {"out": path}))
    assert wanted in server.error("draw", **(DRAW | {"out": path, "dry_run": True}))
    assert wanted in server.error("scan", folder=path)
    assert wanted in server.error("sheet", folder=path, out="never", kind="css")
    assert wanted in server.error("sheet", folder="sprites", out=path, kind="css")


@pytest.mark.parametrize("path", [*NO_FILES, *BAD_NAMES], ids=repr)
def test_no_picture_outside_is_read(server: Server, unchanged: object, path: str) -> None:
    wanted = "null byte" if path in BAD_NAMES else "leads out of the workspace"
    assert wanted in server.error("vary", picture=path, **DRAW)
    assert wanted in server.error("upscale", picture=path, dry_run=True, **DRAW)
    assert wanted in server.error("inpaint", picture="sprites/food/00.png", mask=path, **DRAW)


def test_links_pipes_and_folders_are_no_pictures(server: Server) -> None:
    os.mkfifo(server.workspace / "pipe.png")
    try:
        assert "not a regular file" in server.error("vary", picture="pipe.png", **DRAW)
    finally:
        (server.workspace / "pipe.png").unlink()
    assert "it is a folder" in server.error("vary", picture="sprites", **DRAW)
    assert "no such file" in server.error("vary", picture="none.png", **DRAW)
    assert "is a file" in server.error("draw", **(DRAW | {"out": "small.png"}))
    for tool, more in (("scan", {}), ("sheet", {"out": "never", "kind": "css"})):
        assert "leads out of the workspace" in server.error(tool, folder="linked", **more)
        assert "there is no folder" in server.error(tool, folder="small.png", **more)


@pytest.mark.parametrize("name", ["../outside", "/tmp", "hf://someone/something", "way-out/outside", "runs", "none"])
def test_a_model_is_one_of_the_list(server: Server, unchanged: object, name: str) -> None:
    message = server.error("draw", **(DRAW | {"model": name}))
    assert "no model is called" in message or "has no model yet" in message
    assert "leads out of the workspace" in server.error("draw", **(DRAW | {"model": "leaking"}))


def test_work_has_the_limits_of_the_studio(server: Server, unchanged: object) -> None:
    edit = DRAW | {"picture": "sprites/food/00.png"}
    assert server.error("draw", **(DRAW | {"number": MAX_SAMPLES + 1})) == "number must be at most 64, got 65"
    assert server.error("draw", **(DRAW | {"steps": MAX_STEPS + 1})) == "steps must be at most 1000, got 1001"
    assert server.error("vary", **(edit | {"steps": MAX_STEPS + 1})) == "steps must be at most 1000, got 1001"
    assert server.error("vary", **(edit | {"number": 17})) == "number must be at most 16, got 17"
    assert "between 1 and 20" in server.error("inpaint", **(edit | {"rounds": 21}))
    assert "at most 2000 characters" in server.error("draw", **(DRAW | {"text": "x" * 2001}))
    assert "at most 2000 characters" in server.error("vary", **(edit | {"label": "x" * 2001}))
    assert "seed must be" in server.error("draw", **(DRAW | {"seed": -1}))
    assert "at most 1" in server.error("vary", **(edit | {"strength": 1.5}))
    assert "whole factor" in server.error("upscale", **edit)
    assert "extrude must be" in server.error("sheet", folder="sprites", out="never", kind="css", extrude=17)
    assert "no kind of sheet" in server.error("sheet", folder="sprites", out="never", kind="word", dry_run=True)
    large = server.workspace / "large.png"
    with large.open("wb") as file:
        file.truncate(2**24 + 1)
    assert "at most 16.8 MB can be read" in server.error("vary", **(edit | {"picture": "large.png"}))
    large.unlink()


def test_a_name_that_is_too_long_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no path that can be followed: give another"):
        Place(tmp_path).new_files("o" * 300, ["a.png"])


def test_too_many_pictures_are_refused_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    with (tmp_path / "many" / "a.png").open("wb") as file:
        file.truncate(2**28 + 1)  # a sparse file
    with pytest.raises(InputError, match=r"at most 20,000 of 268\.4 MB"):
        Place(tmp_path).list_pictures("many")


def test_arguments_are_checked_against_their_types(server: Server, unchanged: object) -> None:
    assert server.error("draw", **(DRAW | {"number": 1.5})) == "number must be an integer, got 1.5"
    assert server.error("draw", **(DRAW | {"labels": "sword"})) == "labels must be a list, each a text, got 'sword'"
    assert server.error("draw", **(DRAW | {"dry_run": 1})) == "dry_run must be true or false, got 1"
    assert "did you mean 'number'?" in server.error("draw", **(DRAW | {"numbre": 1}))
    assert server.error("draw", out="x") == "model must be given"
    assert "there is no tool 'delete'" in server.error("delete")


def test_nothing_is_connected_to_and_stdout_is_the_protocols(server: Server, unchanged: object) -> None:
    """The sampler prints to stdout, and then connects."""
    message = server.error("draw", **(DRAW | {"sampler": "Intruder", "steps": 2}))
    assert message.startswith("this process makes no connections")


def test_a_cancelled_call_stops_and_leaves_no_file(server: Server, unchanged: object) -> None:
    start = time.monotonic()
    with pytest.raises(MCPError, match=r"(?i)timed out"):
        server.call("draw", seconds=0.5, model="runs/tiny", out="never", number=64, steps=1000)
    assert server.answer("scan", folder="sprites", dry_run=True)["pictures"] == 30  # waits for its turn
    assert time.monotonic() - start < 20  # the whole drawing takes minutes


def test_an_ending_server_stops_the_call_at_work_and_waits_for_it(tmp_path: Path) -> None:
    handlers, job, steps = ToolServer(tmp_path), Job(), []
    handlers.tools = Tools(Place(tmp_path))
    handlers.jobs.add(job)

    def work() -> None:
        with pytest.raises(Cancelled), job.alone(handlers.tools.lock):  # type: ignore[union-attr]
            while True:
                time.sleep(0.01)
                job.advance(10**6)
                steps.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    while not steps:
        time.sleep(0.01)
    handlers.stop(30.0)
    thread.join(5)
    assert not thread.is_alive()
    late = Job()
    threading.Timer(0.2, late.cancelled.set).start()
    with pytest.raises(Cancelled), late.alone(handlers.tools.lock):
        pytest.fail("a call was begun after the end")


def send(process: "subprocess.Popen[str]", **message: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    process.stdin.flush()


@pytest.mark.parametrize("ends_by_signal", [True, False])
def test_a_signal_and_the_end_of_stdin_end_the_server(tmp_path: Path, ends_by_signal: bool) -> None:
    """Of a client with an older version of the protocol, which begins with a handshake."""
    words = commands.command("mcp", "--workspace", tmp_path)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, env=commands.ENV, **pipes)
    assert process.stdin is not None and process.stdout is not None
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    send(process, id=1, method="initialize", params=hello)
    assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "noisette"
    if ends_by_signal:
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
    assert process.wait(30) == (128 + signal.SIGTERM if ends_by_signal else 0)
