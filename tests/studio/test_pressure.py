"""A running studio whose clients disconnect, or that is killed or ended while it samples."""

import base64
import http.client
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from noisette.data.png import encode_png
from noisette.models.picture_model import load
from studio.conftest import ENV, Studio, opened

pytestmark = pytest.mark.slow
PATIENCE = 100  # timeout in seconds, long enough for a busy machine


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studios of these tests have their temporary folders."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def own(workspace: Path, temporary: Path) -> Iterator[Studio]:
    """A studio that was started after another one had been killed."""
    path, programs = ENV["PATH"], temporary / "programs"
    programs.mkdir()
    (programs / "xdg-open").write_text(
        f'#!/bin/sh\necho "$@" > {temporary}/shown.part && mv {temporary}/shown.part {temporary}/shown'
    )
    (programs / "xdg-open").chmod(0o700)
    ENV["TMPDIR"] = str(temporary)
    try:
        runs = temporary / "runs"
        for name in ("tiny", "slow"):
            shutil.copytree(workspace / name, runs / name)
        process, _ = opened("--workspace", runs, "--port", 0)
        process.kill()
        process.wait(PATIENCE)
        assert len(list(temporary.glob("noisette-studio-*"))) == 1
        ENV["PATH"] = f"{programs}{os.pathsep}{path}"
        process, address = opened("--workspace", runs, "--port", 0, "--open")
        yield Studio(address, runs, process)
        process.kill()
    finally:
        del ENV["TMPDIR"]
        ENV["PATH"] = path


def connect(studio: Studio) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(studio.url).netloc, timeout=PATIENCE)


def join(studio: Studio, name: str, data: list[Any], session: str) -> None:
    """Put a call of an API endpoint into the queue."""
    connection = connect(studio)
    connection.request("GET", "/config", headers=studio.headers)
    functions = json.loads(connection.getresponse().read())["dependencies"]
    index = next(f["id"] for f in functions if f["api_name"] == name)
    body = json.dumps({"data": data, "fn_index": index, "session_hash": session})
    connection.request("POST", "/gradio_api/queue/join", body, studio.headers | {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def listen(studio: Studio, session: str, until: str) -> http.client.HTTPConnection:
    """Listen to a session until a message comes; the open connection."""
    connection = connect(studio)
    connection.request("GET", f"/gradio_api/queue/data?session_hash={session}", headers=studio.headers)
    stream = connection.getresponse()
    while until not in (line := stream.readline().decode()):
        assert line, f"the stream ended before {until}"
    return connection


def draw_for_an_hour(studio: Studio, session: str) -> None:
    """Request 16 pictures of 20,000 steps."""
    model = load(studio.workspace / "slow")
    _, height, width = model.pictures.shape
    picture = base64.b64encode(encode_png(model.pictures.decode(model.pictures.encode(blank(model))))).decode()
    mask = ["1" * (width // 2) + "0" * (width - width // 2)] * height
    join(studio, "inpaint", ["slow", picture, mask, None, 0, 16, 20, 1000, None, None], session)


def blank(model: Any) -> Any:
    import torch

    return torch.zeros(1, *model.pictures.shape, dtype=torch.uint8)


def draw(studio: Studio, session: str) -> None:
    """Draw one picture in one step, and wait for the end."""
    join(studio, "draw", ["tiny", None, 0, 1, 1, None, None, None, None, None, None], session)
    listen(studio, session, "process_completed").close()


def test_folder_of_a_killed_studio_is_removed_by_the_next(own: Studio, temporary: Path) -> None:
    folders = list(temporary.glob("noisette-studio-*"))
    assert len(folders) == 1 and folders[0].stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="opens browsers by xdg-open")
def test_the_browser_is_opened_without_the_token_in_its_command_line(own: Studio, temporary: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not (temporary / "shown").exists():
        assert time.monotonic() < end, "no browser was opened"
        time.sleep(0.1)
    shown = (temporary / "shown").read_text().strip()
    assert "token" not in shown
    link = Path(unquote(urlsplit(shown).path))
    assert own.address in link.read_text() and link.stat().st_mode & 0o777 == 0o600


def test_sampling_ends_when_its_client_disconnects(own: Studio) -> None:
    draw_for_an_hour(own, "gone")
    listen(own, "gone", "process_starts").close()
    draw(own, "next")


def test_sampling_without_a_listener_ends(own: Studio) -> None:
    draw_for_an_hour(own, "deaf")
    draw(own, "after")


def test_refused_or_interrupted_upload_leaves_no_files(own: Studio, temporary: Path) -> None:
    def files() -> list[Path]:
        return [p for folder in temporary.glob("noisette-studio-*") for p in folder.rglob("*") if p.is_file()]

    before = files()
    head = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    for length, sent in ((2**29, b""), (2**20, head + b"x" * 2**18)):
        connection = connect(own)
        connection.putrequest("POST", "/gradio_api/upload")
        for name, value in {**own.headers, "Content-Type": "multipart/form-data; boundary=edge"}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(length))
        connection.endheaders(sent)
        if not sent:
            assert connection.getresponse().status == 413
        connection.close()
    draw(own, "alive")
    assert files() == before


def test_files_are_readable_by_their_owner_only(own: Studio, temporary: Path) -> None:
    connection = connect(own)
    body = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nx\r\n--edge--\r\n'
    headers = {**own.headers, "Content-Type": "multipart/form-data; boundary=edge"}
    connection.request("POST", "/gradio_api/upload", body, headers)
    path = Path(json.loads(connection.getresponse().read())[0])
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    join(own, "train", ["mine", "emoji", 0.01], "train")
    listen(own, "train", "process_completed").close()
    place = own.workspace / ".studio"
    assert place.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in place.iterdir()} == {0o600}


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_signal_ends_the_studio_while_it_samples(own: Studio, temporary: Path) -> None:
    draw_for_an_hour(own, "ended")
    connection = listen(own, "ended", "process_starts")
    own.process.send_signal(signal.SIGHUP)
    assert own.process.wait(PATIENCE) == 128 + signal.SIGHUP
    connection.close()
    assert list(temporary.glob("noisette-studio-*")) == []
