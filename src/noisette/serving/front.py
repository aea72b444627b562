"""From HTTP to calls and back, whatever server draws them: `submit` gives a call to it and awaits the answer."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import InputError
from ..studio.description import describe_model
from ..studio.guard import Refusals, RequestTooLarge
from ..studio.limits import MAX_FILE_BYTES
from ..studio.request_checks import encode_object, parse_object
from .admission import Admission, Ticket
from .calls import Answer, Call
from .endpoints import ENDPOINTS, check_form
from .metrics import CONTENT_TYPE, Metrics
from .openapi import make_document

Submit = Callable[[Ticket, Call], Awaitable[Answer]]

MAX_BODY_BYTES = 3 * MAX_FILE_BYTES  # two files in base64, and the rest
PNG, JSON = "image/png", "application/json"
PREFIX, HEALTH = "/v1/", "/health"
REFUSALS = Refusals(
    "this host name is not allowed: use an address of this machine, or start the server with --host-name",
    "this server requires its token: send the header Authorization: Bearer TOKEN",
)
CLIENT_GONE = 499


@dataclass(frozen=True, eq=False)
class Front:
    """The endpoints of the HTTP API.

    seconds: how long an answer may take. is_ready: whether the server can draw.
    """

    models: Mapping[str, str]
    submit: Submit
    admission: Admission
    metrics: Metrics
    seconds: float
    is_ready: Callable[[], bool]

    def routes(self) -> list[tuple[str, Callable[[Request], Awaitable[Response]], str]]:
        """(path, endpoint, method)."""
        drawing = [(f"{PREFIX}{name}", self._make_endpoint(name), "POST") for name in ENDPOINTS]
        return [
            *drawing,
            (f"{PREFIX}models", self.list_models, "GET"),
            ("/openapi.json", self.describe, "GET"),
            (HEALTH, self.check_health, "GET"),
            ("/metrics", self.show_metrics, "GET"),
        ]

    def _make_endpoint(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            response = await self.respond(name, request)
            self.metrics.count_request(name, response.status_code, time.perf_counter() - start)
            return response

        return endpoint

    async def respond(self, name: str, request: Request) -> Response:
        """Answer a request for pictures."""
        length = request.headers.get("content-length", "")
        ticket = self.admission.admit(int(length) if length.isdecimal() else MAX_BODY_BYTES)
        if ticket is None:
            waits = self.admission.retry_after
            message = f"too many requests wait already: try again in {waits} s"
            return error_response(429, message, {"Retry-After": str(waits)})
        task: asyncio.Task[Answer] | None = None
        try:
            async with asyncio.timeout(self.seconds):
                arguments = parse_object(await request.body())
                encode_object(arguments)
                check_form(name, arguments, self.models)
                as_png = wants_png(request, arguments)
                task = asyncio.create_task(self._submit(ticket, Call(name, arguments)))
                return encode_answer(await self._answer(task, request), as_png)
        except InputError as error:
            return error_response(400, str(error))
        except RequestTooLarge:
            return error_response(413, f"a request may have at most {MAX_BODY_BYTES // 2**20} MB")
        except ClientDisconnect:
            return error_response(CLIENT_GONE, "the request is incomplete")
        except TimeoutError:
            return error_response(504, f"this was not answered in {self.seconds:g} s: ask for less, or try again later")
        finally:
            if task is None:
                self.admission.release(ticket)
            elif not task.done():
                self.admission.abandon(ticket)

    async def _submit(self, ticket: Ticket, call: Call) -> Answer:
        try:
            answer = await self.submit(ticket, call)
        finally:
            self.admission.release(ticket)
        self.metrics.count_answer(answer)
        if answer.leads:
            self.admission.note_batch(answer.batch, answer.seconds)
        return answer

    async def _answer(self, task: "asyncio.Task[Answer]", request: Request) -> Answer:
        """The answer; or that of a request whose client has gone. The task itself is never cancelled: it holds a slot
        until the server has dealt with its call."""
        gone = asyncio.create_task(_wait_until_gone(request))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else Answer(status=CLIENT_GONE, error="the client has gone")
        finally:
            gone.cancel()

    async def list_models(self, request: Request) -> Response:
        """The models: names, sizes, labels, edits."""
        return JSONResponse({"models": await asyncio.to_thread(describe_models, self.models)})

    async def describe(self, request: Request) -> Response:
        """The OpenAPI document."""
        return JSONResponse(make_document(list(self.models)))

    async def check_health(self, request: Request) -> Response:
        """200 if the server can draw, otherwise 503."""
        is_ready = self.is_ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    async def show_metrics(self, request: Request) -> Response:
        """The metrics, in the text format of Prometheus."""
        return Response(self.metrics.render(), media_type=CONTENT_TYPE)


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def describe_models(models: Mapping[str, str]) -> list[dict[str, Any]]:
    """What each model can do, or why it cannot be read."""
    from ..models.picture_model import read_config

    described: list[dict[str, Any]] = []
    for name, path in models.items():
        try:
            described.append({"name": name} | describe_model(read_config(path)))
        except InputError as error:
            described.append({"name": name, "error": str(error)})
    return described


def wants_png(request: Request, arguments: Mapping[str, Any]) -> bool:
    """Whether the answer is the file itself. InputError where that is asked for several pictures."""
    if PNG not in request.headers.get("accept", ""):
        return False
    if arguments.get("number", 1) != 1:
        raise InputError(f"an answer of type {PNG} is one picture: leave number at 1, or accept {JSON}")
    return True


def encode_answer(answer: Answer, as_png: bool) -> Response:
    """The answer as a PNG file, or as JSON with the files in base64."""
    if answer.status != 200:
        return error_response(answer.status, answer.error)
    if as_png:
        return Response(answer.pictures[0].png, media_type=PNG)
    pictures = [
        {"seed": p.seed, "label": p.label, "text": p.text, "png": base64.b64encode(p.png).decode("ascii")}
        for p in answer.pictures
    ]
    return JSONResponse({"model": answer.model, "pictures": pictures})


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error of one sentence."""
    return JSONResponse({"error": message}, status, dict(headers or {}))
