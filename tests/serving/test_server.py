"""A running `noisette serve`: processes, signals, clients that go."""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

import noisette
from commands import ENV
from noisette.data.png import encode_png
from tiny_models import tiny

pytest.importorskip("litserve")

TOKEN = "the-token-of-this-test"
QUEUE = 6
LONG = {"steps": 1000, "sampler": "ddim", "number": 16}  # takes seconds


@dataclass
class Server:
    address: str
    process: "subprocess.Popen[str]"
    folder: Path

    def send(self, method: str, path: str, body: Any = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.address, timeout=120)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        connection = self.send(method, path, body)
        try:
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def draw(self, **arguments: Any) -> list[bytes]:
        status, _, body = self.ask("POST", "/v1/draw", arguments)
        assert status == 200, body
        return [base64.b64decode(one["png"]) for one in json.loads(body)["pictures"]]

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics")[2].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def until(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The last test ends it by SIGTERM."""
    folder = tmp_path_factory.mktemp("serving") / "tiny"
    tiny().save_pretrained(folder)
    words = ["serve", folder, "--port", 0, "--queue", QUEUE, "--batch", 16]
    process = subprocess.Popen(
        [sys.executable, "-m", "noisette", *map(str, words)], stdout=subprocess.PIPE, text=True,
        env=ENV | {"NOISETTE_TOKEN": TOKEN},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving at http://127.0.0.1:") and line.endswith(f"with the token {TOKEN}\n")
    yield Server(urlsplit(line.split()[2]).netloc, process, folder)
    process.kill()
    process.wait(60)


def test_clients_get_the_pixels_of_noisette_draw_whoever_else_asks(server: Server) -> None:
    with ThreadPoolExecutor(QUEUE) as clients:
        drawn = list(clients.map(lambda seed: server.draw(seed=seed, number=1 + seed % 2), range(QUEUE)))
    assert 0 < server.metric("noisette_batch_pictures_count") < QUEUE  # some were drawn together
    for seed, files in enumerate(drawn):
        pixels = noisette.draw(server.folder, 1 + seed % 2, seed=seed).pixels
        for i, file in enumerate(files):
            (server.folder.parent / "drawn.png").write_bytes(file)
            assert encode_png(pixels[i : i + 1])[:60] == file[:60] and (read(server) == pixels[i : i + 1]).all()


def read(server: Server) -> Any:
    from noisette.data.png import read_png

    return read_png(server.folder.parent / "drawn.png")[0]


def test_a_full_queue_answers_429_and_clients_that_go_stop_costing(server: Server) -> None:
    clients = [server.send("POST", "/v1/draw", LONG | {"seed": i}) for i in range(QUEUE)]
    server.until(lambda: server.metric("noisette_waiting_requests") == QUEUE)
    status, headers, body = server.ask("POST", "/v1/draw", {})
    assert status == 429 and int(headers["retry-after"]) >= 1 and b"too many requests" in body
    assert server.ask("GET", "/health")[0] == 200
    before = server.metric("noisette_pictures_total")
    gone = time.monotonic()
    for client in clients:
        client.close()
    server.until(lambda: server.metric("noisette_waiting_requests") == 0)
    assert time.monotonic() - gone < 10 and server.metric("noisette_pictures_total") == before  # all six take minutes
    assert server.draw(steps=1)


def test_a_model_folder_that_changes_is_served_anew(server: Server) -> None:
    before = server.draw(steps=1)
    tiny(seed=9).save_pretrained(server.folder)
    assert server.draw(steps=1) != before


@pytest.mark.slow
def test_a_process_that_draws_is_started_again(server: Server) -> None:
    client = server.send("POST", "/v1/draw", LONG)
    server.until(lambda: server.metric("noisette_waiting_requests") == 1)
    time.sleep(0.5)
    (drawing,) = [
        one
        for one in psutil.Process(server.process.pid).children()
        if any("libtorch_cpu" in mapped.path for mapped in one.memory_maps())
    ]
    drawing.kill()
    answer = client.getresponse()
    assert answer.status == 503 and b"has ended: try again" in answer.read()
    assert server.draw(steps=1)


def test_sigterm_ends_the_server_after_what_it_draws(server: Server) -> None:
    with ThreadPoolExecutor(3) as clients:
        drawn = [clients.submit(server.draw, seed=i, number=4, steps=80, sampler="ddim") for i in range(3)]
        server.until(lambda: server.metric("noisette_waiting_requests") == 3)
        children = psutil.Process(server.process.pid).children(recursive=True)
        for one in [server.process.pid, *(child.pid for child in children)]:  # as a service manager does: to all
            os.kill(one, signal.SIGTERM)
        assert [len(one.result(60)) for one in drawn] == [4, 4, 4]
    assert server.process.wait(60) == 143
    assert psutil.wait_procs(children, 30)[1] == []
