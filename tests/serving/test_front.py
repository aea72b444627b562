"""The HTTP side, in front of a handler in the same process: what is admitted, refused, dropped and described."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

pytest.importorskip("prometheus_client")
from fastapi.openapi.models import OpenAPI

from noisette.serving.admission import Admission, Ticket
from noisette.serving.calls import Answer, Call
from noisette.serving.front import HEALTH, MAX_BODY_BYTES, REFUSALS, Front
from noisette.serving.handler import Handler
from noisette.serving.metrics import Metrics
from noisette.studio.guard import AccessGuard
from serving.test_handler import models, picture  # noqa: F401

TOKEN = "the-token-of-this-test"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
URL = "http://127.0.0.1:8000"


def run_alone(work: Coroutine[Any, Any, Any]) -> Any:
    """Its value, by an event loop of a thread: a browser of another test may have one in this thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


class Site:
    """The application of a front, with the given number of waiting requests and time-out."""

    def __init__(self, served: dict[str, str], submit: Any = None, number: int = 4, seconds: float = 30.0) -> None:
        self.admission = Admission(number)
        self.handler: Handler[Ticket] = Handler(served, 16, self.admission.slots.is_wanted)
        metrics = Metrics(lambda: self.admission.waiting, number)
        self.front = Front(served, submit or self.draw, self.admission, metrics, seconds, lambda: True)
        app = Starlette()
        for path, endpoint, method in self.front.routes():
            app.router.add_route(path, endpoint, [method])
        self.app = AccessGuard(app, TOKEN, "localhost", MAX_BODY_BYTES, REFUSALS, (HEALTH,))

    async def draw(self, ticket: Ticket, call: Call) -> Answer:
        return dict(self.handler.answer({ticket: call}))[ticket]

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            transport = httpx.ASGITransport(self.app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url=URL, headers=AUTHORIZED) as client:
                return await work(client)

        return run_alone(main())

    def post(self, name: str, body: Any = None, content: bytes | None = None, **headers: str) -> httpx.Response:
        async def work(client: httpx.AsyncClient) -> httpx.Response:
            data = json.dumps(body).encode() if content is None else content
            return await client.post(f"/v1/{name}", content=data, headers=headers)

        return self.run(work)  # type: ignore[no-any-return]

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.run(lambda client: client.get(path, headers=headers))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def site(models: dict[str, str]) -> Site:  # noqa: F811
    return Site(models)


class Gate:
    """A `submit` that answers when it is opened."""

    def __init__(self) -> None:
        self.open, self.calls = asyncio.Event(), list[tuple[Ticket, Call]]()

    async def __call__(self, ticket: Ticket, call: Call) -> Answer:
        self.calls.append((ticket, call))
        await self.open.wait()
        return Answer(model="hash", batch=1, seconds=4.0, leads=True)


def test_pictures_come_as_json_or_as_a_file(site: Site) -> None:
    answer = site.post("draw", {"number": 2, "steps": 1, "labels": ["sword"]})
    found = answer.json()
    assert answer.status_code == 200 and [one["seed"] for one in found["pictures"]] == [0, 1]
    assert found["pictures"][0]["label"] == "sword" and found["model"] == site.handler.models.find("tiny").hash
    file = site.post("draw", {"steps": 1, "labels": ["sword"]}, Accept="image/png")
    assert file.headers["content-type"] == "image/png"
    assert file.content == base64.b64decode(found["pictures"][0]["png"])
    refused = site.post("draw", {"number": 2}, Accept="image/png")
    assert refused.status_code == 400 and "leave number at 1" in refused.json()["error"]
    edited = site.post("enlarge", {"picture": picture(4), "model": "larger", "steps": 1}, Accept="image/png")
    assert edited.content.startswith(b"\x89PNG")


def test_the_openapi_document_describes_every_endpoint(site: Site) -> None:
    document = site.get("/openapi.json").json()
    read = OpenAPI.model_validate(document)
    assert read.openapi == "3.1.0" and read.paths is not None
    assert set(read.paths) | {"/openapi.json"} == {path for path, *_ in site.front.routes()}
    for name in ("draw", "vary", "fill", "enlarge"):
        operation = read.paths[f"/v1/{name}"].post
        schema = document["paths"][f"/v1/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert operation.summary and set(operation.responses) == {
            "200", "400", "401", "413", "429", "500", "503", "504",
        }  # fmt: skip
        assert all(one["description"] for one in schema["properties"].values())
        assert schema["properties"]["model"]["enum"] == ["tiny", "larger", None]
    models_listed = {one["name"]: one for one in site.get("/v1/models").json()["models"]}
    assert models_listed["tiny"]["labels"] == ["bread", "health potion", "sword"]
    assert models_listed["larger"]["edits"] == ["upscale"]


def test_too_many_requests_are_told_when_to_try_again(models: dict[str, str]) -> None:  # noqa: F811
    async def work(client: httpx.AsyncClient) -> None:
        waiting = [asyncio.create_task(client.post("/v1/draw", json={})) for _ in range(4)]
        while len(gate.calls) < 4:
            await asyncio.sleep(0)
        refused = await client.post("/v1/draw", json={})
        assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60
        assert "try again in" in refused.json()["error"]
        assert "noisette_waiting_requests 4.0" in (await client.get("/metrics")).text
        gate.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200] * 4
        assert (await client.post("/v1/draw", json={})).status_code == 200
        metrics = (await client.get("/metrics")).text
        for line in (
            "noisette_waiting_requests 0.0", 'noisette_requests_total{endpoint="draw",status="429"} 1.0',
            "noisette_batch_pictures_count 5.0", "noisette_drawing_seconds_total 20.0", "noisette_waiting_limit 4.0",
        ):  # fmt: skip
            assert line in metrics

    gate = Gate()
    busy = Site(models, gate)
    busy.run(work)
    assert busy.admission.seconds > 1 and len(busy.admission.free) == 4  # a batch took 4 s a picture


def test_the_bytes_that_wait_are_bounded() -> None:
    admission = Admission(10, max_bytes=100)
    first = admission.admit(1000)  # alone, it may be as large as a request may be
    assert first is not None and admission.admit(1) is None
    admission.release(first)
    assert admission.admit(60) and admission.admit(60) is None and admission.admit(40)


def test_a_request_that_takes_too_long_is_dropped(models: dict[str, str]) -> None:  # noqa: F811
    async def work(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/draw", json={})
        assert answer.status_code == 504 and "0.2 s" in answer.json()["error"]
        (ticket, _), slots = gate.calls[0], slow.admission.slots
        assert not slots.is_wanted(ticket) and slow.admission.waiting == 1  # its slot is free once it was dropped
        gate.open.set()
        await asyncio.sleep(0.01)
        assert slow.admission.waiting == 0

    gate = Gate()
    slow = Site(models, gate, seconds=0.2)
    slow.run(work)


def test_a_client_that_goes_is_noticed(models: dict[str, str]) -> None:  # noqa: F811
    gate, sent = Gate(), list[Any]()
    site = Site(models, gate)
    headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", AUTHORIZED["Authorization"].encode())]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/draw", "query_string": b"", "headers": headers,
        "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def main() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})

        async def send(message: Any) -> None:
            sent.append(message)

        task = asyncio.create_task(site.app(scope, messages.get, send))  # type: ignore[arg-type]
        while not gate.calls:
            await asyncio.sleep(0)
        ticket = gate.calls[0][0]
        assert site.admission.slots.is_wanted(ticket)
        messages.put_nowait({"type": "http.disconnect"})
        await task
        assert not site.admission.slots.is_wanted(ticket)
        gate.open.set()

    run_alone(main())
    assert sent[0]["status"] == 499


DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE: list[tuple[str, Any]] = [
    ("draw", b""), ("draw", b"\xff\xfe"), ("draw", b"[]"), ("draw", b"null"), ("draw", b'{"labels": ' + DEEP + b"}"),
    ("draw", b'{"guidance": NaN}'), ("draw", b'{"guidance": 1e999}'), ("draw", b'{"text": "\\ud800"}'),
    ("draw", {"number": 0}), ("draw", {"number": 65}), ("draw", {"number": 1.5}), ("draw", {"number": True}),
    ("draw", {"number": "1"}), ("draw", {"number": 10**400}), ("draw", {"seed": -1}), ("draw", {"seed": 2**64}),
    ("draw", {"steps": 0}), ("draw", {"steps": 1001}), ("draw", {"steps": 10**9}), ("draw", {"guidance": 1e6}),
    ("draw", {"labels": "sword"}), ("draw", {"labels": [1]}), ("draw", {"labels": ["x" * 3000]}),
    ("draw", {"labels": ["sword:" + "9" * 400]}), ("draw", {"attributes": ["hue=nan"]}), ("draw", {"text": "a fish"}),
    ("draw", {"sampler": "../../etc/passwd"}), ("draw", {"grid": "none"}), ("draw", {"self": 1}), ("draw", {"job": 1}),
    ("draw", {"model": "../outside"}), ("draw", {"model": "/etc"}), ("draw", {"model": "base-16"}),
    ("vary", {}), ("vary", {"picture": None}), ("vary", {"picture": ""}), ("vary", {"picture": "/etc/passwd"}),
    ("vary", {"picture": "data:image/png;base64,AAAA"}), ("vary", {"picture": "AAAA"}), ("vary", {"picture": "é"}),
    ("vary", {"picture": {"path": "/etc/passwd"}}), ("vary", {"picture": picture(), "strength": 0}),
    ("vary", {"picture": picture(), "strength": 1e308}), ("vary", {"picture": picture(), "number": 17}),
    ("fill", {"picture": picture(), "mask_rows": []}), ("fill", {"picture": picture(), "mask_rows": ["1" * 7] * 8}),
    ("fill", {"picture": picture(), "mask_rows": ["2" * 8] * 8}), ("fill", {"picture": picture(), "mask": "AAAA"}),
    ("fill", {"picture": picture(), "mask": picture(), "mask_rows": ["1" * 8] * 8}),
    ("fill", {"picture": picture(), "rounds": 21}), ("fill", {"picture": picture(), "model": "larger"}),
    ("enlarge", {"picture": picture(3)}), ("enlarge", {"picture": picture(8)}),
]  # fmt: skip


def test_hostile_requests_are_refused_in_a_sentence(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.post(f"/v1/{name}", content=body if isinstance(body, bytes) else json.dumps(body).encode())
            for name, body in HOSTILE
        ]

    for (name, body), answer in zip(HOSTILE, site.run(work), strict=True):
        assert answer.status_code == 400, (name, str(body)[:100], answer.text[:200])
        assert set(answer.json()) == {"error"} and 10 < len(answer.json()["error"]) < 2100
        assert "/tmp" not in answer.text and "Traceback" not in answer.text
    assert capsys.readouterr().err == "" and site.admission.waiting == 0


def test_only_a_request_with_the_token_from_here_is_answered(site: Site) -> None:
    assert site.get("/health", Authorization="").json() == {"ready": True}
    for path in ("/v1/models", "/openapi.json", "/metrics", "/v1/draw", "/docs", "/nothing"):
        refused = site.get(path, Authorization="Bearer wrong")
        assert refused.status_code == 401 and "Authorization: Bearer TOKEN" in refused.text
    assert site.post("draw", {}, Authorization="").status_code == 401
    assert site.post("draw", {}, Host="evil.example").status_code == 421
    assert site.post("draw", {}, Origin="http://evil.example").status_code == 403
    assert site.get("/health", Host="evil.example").status_code == 421
    assert site.get("/nothing").status_code == 404 and site.get("/docs").status_code == 404


def test_bodies_are_bounded_with_and_without_a_length(site: Site) -> None:
    assert site.post("draw", content=b"{" + b" " * MAX_BODY_BYTES + b"}").status_code == 413

    async def work(client: httpx.AsyncClient) -> httpx.Response:
        async def parts() -> Any:
            for _ in range(MAX_BODY_BYTES // 2**20 + 1):
                yield b" " * 2**20

        return await client.post("/v1/draw", content=parts())

    assert site.run(work).status_code == 413 and site.admission.waiting == 0
