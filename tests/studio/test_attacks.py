"""Requests to a running studio with file names, devices, addresses and numbers of every kind.

An audit hook in the studio's process, installed before any other code, records each file that it opens, each
connection that it makes and each host name that it looks up.

Only a part of the calls is made; with NOISETTE_ALL=1, all of them (about 12,000).
"""

import http.client
import itertools
import json
import os
import re
import secrets
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image

from noisette.studio.trainer import Trainer
from noisette.studio.workspace import Workspace
from studio.conftest import ENV, Studio

pytestmark = pytest.mark.slow

WATCHED = """
import sys
log, forbidden = open(sys.argv[1], "a", buffering=1), sys.argv[2].split(",")
CONNECTIONS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
def watch(event, arguments):
    if event == "open" and any(str(arguments[0]).startswith(place) for place in forbidden):
        log.write(f"open {arguments[0]}\\n")
    elif event in CONNECTIONS and not (event == "socket.getaddrinfo" and arguments[0] == "127.0.0.1"):
        log.write(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[:2]}\\n")
sys.addaudithook(watch)
from noisette.cli.app import main
main(sys.argv[3:])
"""
T = TypeVar("T")
JSON = {"Content-Type": "application/json"}
STRIDE = 1 if os.environ.get("NOISETTE_ALL") == "1" else 11  # every STRIDE-th call is made
META = {"meta": {"_type": "gradio.FileData"}}


@dataclass
class Target:
    """A studio with the audit hook, and the file and the server that it must not open."""

    studio: Studio
    log: Path
    errors: Path
    private: Path  # a private picture outside the workspace
    pipe: Path
    server: str  # the address of another server
    visits: list[str] = field(default_factory=list)  # requests to that server

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.studio.url).netloc, timeout=60)
        try:
            connection.request(method, path, body, {**self.studio.headers, **headers})
            answer = connection.getresponse()
            is_stream = answer.getheader("content-type", "").startswith("text/event-stream")
            return answer.status, b"" if is_stream or method == "HEAD" else answer.read()
        finally:
            connection.close()

    def require_unharmed(self) -> None:
        assert self.request("GET", "/config")[0] == 200
        assert self.studio.process.poll() is None
        assert self.log.read_text().splitlines() == [] and self.visits == []
        assert "Traceback" not in (errors := self.errors.read_text()), errors[:5000]


@pytest.fixture(scope="module")
def target(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    top = tmp_path_factory.mktemp("target")
    private = top / "private" / "picture.png"
    private.parent.mkdir(mode=0o700)
    Image.new("RGBA", (16, 16), "red").save(private)
    os.mkfifo(top / "pipe")
    log, errors = top / "log", top / "errors"
    log.touch()
    visits: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            visits.append("visit")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server, errors.open("w") as error_file:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        forbidden = ",".join(
            map(str, (private.parent, top / "pipe", "/dev/zero", "/etc/hostname", workspace / "secret.txt"))
        )
        command = [sys.executable, "-c", WATCHED, log, forbidden, "studio", "--workspace", workspace, "--port", "0"]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=error_file, text=True, env=ENV
        )
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("the studio is open: ").strip()
        studio = Studio(address, workspace, process)
        yield Target(studio, log, errors, private, top / "pipe", f"http://127.0.0.1:{server.server_address[1]}", visits)
        process.terminate()
        process.wait(60)
        server.shutdown()


def named_files(target: Target) -> dict[str, object]:
    """File names that a request could contain."""
    body, kind = multipart(b"mine")
    mine = json.loads(target.request("POST", "/gradio_api/upload", body, **{"Content-Type": kind})[1])[0]
    return {
        "absolute": str(target.private),
        "secret of the workspace": str(target.studio.workspace / "secret.txt"),
        "address": f"{target.server}/picture.png",
        "https": "https://huggingface.co/picture.png",
        "file address": f"file://{target.private}",
        "device": "/dev/zero",
        "pipe": str(target.pipe),
        "traversal": f"{Path(mine).parent}/../../../{target.private.relative_to('/')}",
        "folder": str(Path(mine).parent),
        "relative": "picture.png",
        "other spelling": mine.replace("/uploads/", "/uploads//"),
        "number": 3,
        "list": [mine],
    }


def multipart(content: bytes, name: str = "mine.png") -> tuple[bytes, str]:
    boundary = "edge"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    return body + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def endpoints(target: Target) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """Every function that a request can call, of the page and of the API, and the components by their ids."""
    config = json.loads(target.request("GET", "/config")[1])
    functions = [f for f in config["dependencies"] if f["backend_fn"]]
    assert len(functions) > 60
    return functions, {component["id"]: component for component in config["components"]}


def share(calls: Iterable[T]) -> list[T]:
    """Every STRIDE-th of the calls."""
    return list(calls)[::STRIDE]


def call(target: Target, function: dict[str, Any], data: str, event_data: str = "null") -> str:
    """Call an endpoint as the page does, with inputs as JSON text; its last answer."""
    session = secrets.token_hex(8)
    body = f'{{"data": {data}, "event_data": {event_data}, "fn_index": {function["id"]}, "session_hash": "{session}"}}'
    if not function["queue"]:
        return target.request("POST", "/gradio_api/run/predict", body.encode(), **JSON)[1].decode()
    status, answer = target.request("POST", "/gradio_api/queue/join", body.encode(), **JSON)
    if status != 200:
        return answer.decode()
    connection = http.client.HTTPConnection(urlsplit(target.studio.url).netloc, timeout=120)
    try:
        connection.request("GET", f"/gradio_api/queue/data?session_hash={session}", headers=target.studio.headers)
        stream = connection.getresponse()
        while (line := stream.readline().decode()) and "process_completed" not in line:
            pass
        return line
    finally:
        connection.close()


def test_no_endpoint_opens_a_file_named_in_a_request(target: Target) -> None:
    """Every endpoint, with every kind of file name in all of its inputs, as a Gradio file object or as text."""
    functions, _ = endpoints(target)
    for function, (kind, path) in share(product(functions, named_files(target).items())):
        for file in ({"path": path, **META}, [{"path": path, "url": path, **META}], {"value": {"path": path}}):
            answer = call(target, function, json.dumps([file] * max(1, len(function["inputs"]))))
            assert "is not an upload of this studio" in answer, (kind, function["api_name"], answer[:300])
        for value in (path, {"url": path, **META}, {"value": path}):  # plain text, and addresses without a path
            call(target, function, json.dumps([value] * len(function["inputs"])), json.dumps({"i": 0, "value": path}))
    target.require_unharmed()


def test_uploaded_files_reach_the_endpoints_that_take_files(target: Target) -> None:
    """Uploaded files are accepted; other files are refused and not opened."""
    body, kind = multipart(target.private.read_bytes())
    status, answer = target.request("POST", "/gradio_api/upload", body, **{"Content-Type": kind})
    path, (functions, _) = json.loads(answer)[0], endpoints(target)
    load = next(f for f in functions if f["api_name"] == "load_upload")
    assert status == 200 and Path(path).stat().st_mode & 0o777 == 0o600
    assert '"width":16' in call(target, load, json.dumps(["tiny", {"path": path, **META}, "vary"])).replace(" ", "")
    target.log.write_text("")  # this test has read the private file itself, in its own process
    Path(path).unlink()
    Path(path).symlink_to(target.private)
    assert "is not an upload" in call(target, load, json.dumps(["tiny", {"path": path, **META}, "vary"]))
    assert target.request("GET", f"/gradio_api/file={path}")[0] == 403
    Path(path).unlink()
    target.require_unharmed()


STRANGE = (
    '""',
    "null",
    json.dumps("x" * 100_000),
    '"a\\u0000b"',
    '"\\u001b[2J<script>"',
    "[" * 20 + "]" * 20,
    '{"meta": {"_type": "gradio.FileData"}}',
    '{"path": null, "url": "ftp://example.com/x"}',
    "[[0, 0, 0], [0, 0, 0]]",
    "-0.0",
    "9" * 4000,
)


def test_values_of_other_types_are_refused_without_a_traceback(target: Target) -> None:
    """Every endpoint, with values of other types than its inputs, and events that are none."""
    functions, _ = endpoints(target)
    for (function, value), event in zip(share(product(functions, STRANGE)), itertools.cycle(STRANGE), strict=False):
        answer = call(target, function, f"[{','.join([value] * len(function['inputs']))}]", event)
        assert len(answer) < 100_000
    for unknown in ("-1", "100000", "1.5", "true", '"draw"'):
        body = f'{{"data": [], "fn_index": {unknown}, "session_hash": "strange"}}'.encode()
        assert target.request("POST", "/gradio_api/queue/join", body, **JSON)[0] == 400
    for header in ({"Host": "[::1"}, {"Origin": "http://["}):
        assert target.request("GET", "/config", **header)[0] in (403, 421)
    target.require_unharmed()


NUMBERS = (
    "1e999",
    "NaN",
    "-Infinity",
    "-1",
    "-1e308",
    "1e18",
    str(10**30),
    str(2**64),
    "1.5",
    "true",
    '"7"',
    "[]",
    "{}",
)
DEFAULTS = {"string": '"gray"', "integer": "1", "number": "0.5", "boolean": "false", "array": "[]", "object": "{}"}


def test_no_number_crashes_an_endpoint(target: Target) -> None:
    """Every endpoint, with every kind of number in all of its inputs, and in all that take a number."""
    functions, components = endpoints(target)
    for function, number in share(product(functions, NUMBERS)):
        inputs = [components[i] for i in function["inputs"]]
        call(target, function, f"[{','.join([number] * len(inputs))}]")
        kinds = [c["api_info"].get("type", "") if c.get("api_info") else "" for c in inputs]
        values = [
            number if kind in ("integer", "number") else DEFAULTS.get(kind, json.dumps(c["props"].get("value")))
            for kind, c in zip(kinds, inputs, strict=True)
        ]
        call(target, function, f"[{','.join(values)}]", f'{{"i": {number}, "do": "keep", "of": ""}}')
    for body in (
        "",
        "[]",
        "3",
        "[" * 10**5,
        '{"data": ' + "[" * 100,
        '{"data": ["\\ud800"], "fn_index": 0}',
        "{" * 10**6,
    ):
        assert target.request("POST", "/gradio_api/queue/join", body.encode(), **JSON)[0] == 400
    target.require_unharmed()


def gradio_routes(workspace: Path, folder: Path) -> list[tuple[str, set[str]]]:
    """The paths and methods of all routes of the application behind the checks."""
    from noisette.studio.application import build_app

    place = Workspace(workspace)
    gradio = build_app(place, Trainer(place), folder).app.app.routes[-1].app  # type: ignore[attr-defined]
    paths = gradio.openapi()["paths"]
    return [(path, {method.upper() for method in methods}) for path, methods in paths.items()]


def test_no_route_fetches_urls_or_serves_other_files(target: Target, tmp_path: Path) -> None:
    """Every route that Gradio has, with every kind of name in it."""
    routes = gradio_routes(target.studio.workspace, tmp_path)
    names = [str(name) for name in named_files(target).values()] + ["../../config", "..%2f..%2fconfig"]
    assert len(routes) > 60
    secret = target.private.read_bytes()
    for (path, methods), name in share(product(routes, names)):
        filled = re.sub(r"\{[^}]*\}", quote(name, safe=""), path)
        for method in {*methods, "GET", "POST"}:
            for one in (filled, filled.replace("%2F", "/").replace("%3A", ":")):
                if one != "/gradio_api/upload" or method != "POST":
                    _, answer = target.request(method, one, b"{}" if method == "POST" else None, **JSON)
                    assert secret not in answer, (method, one)
    target.require_unharmed()


def test_an_unknown_session_is_refused_without_a_traceback(target: Target) -> None:
    """As a page asks for that was open before the studio was started again."""
    before = target.errors.read_text()
    for path in ("/gradio_api/queue/data?session_hash=old", "/gradio_api/queue/data", "/gradio_api/call/draw/old"):
        assert target.request("GET", path)[0] in (400, 404, 422), path
    target.require_unharmed()
    assert target.errors.read_text() == before
