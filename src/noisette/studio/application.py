"""The web application: the page of Gradio, behind the checks of every request."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import parse_qs

import gradio as gr
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.datastructures import UploadFile

from ..errors import InputError
from .guard import MAX_REQUEST_BYTES, AccessGuard, App, Message, Receive, Scope, Send, send_response
from .page import build_page
from .request_checks import (
    API,
    DIRECT_ROUTE,
    MAX_JSON_BYTES,
    UPLOAD_ROUTE,
    check_body,
    is_allowed_route,
)
from .style import CSS, theme
from .trainer import Trainer
from .upload_store import UploadStore
from .waiting import Listeners, cancel_abandoned
from .workspace import Workspace

MAX_SESSIONS = 100  # whose pictures are remembered; the one that was used longest ago is forgotten first
MAX_DIRECT, MAX_DIRECT_WAITING = 8, 64  # calls that do not go through the queue: running at once, and waiting


class RequestFilter:
    """ASGI middleware: only known routes and sessions, only checked bodies, a bounded number of direct calls."""

    def __init__(
        self,
        app: App,
        uploads: UploadStore,
        listeners: Listeners,
        sessions: Container[str],
        functions: Container[int] = (),
    ) -> None:
        self.app, self.uploads, self.listeners = app, uploads, listeners
        self.sessions, self.functions = sessions, functions
        self.direct_calls, self.num_waiting = asyncio.Semaphore(MAX_DIRECT), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if not is_allowed_route(method, path):
            await send_response(send, 404, "the studio has no such page")
            return
        if method == "POST" and path != UPLOAD_ROUTE:
            try:
                receive = replay(check_body(await read_body(receive), self.uploads, self.functions), receive)
            except InputError as error:
                await JSONResponse({"detail": str(error), "error": str(error)}, 400)(scope, receive, send)
                return
            scope = {**scope, "headers": json_headers(scope["headers"])}
        session = find_session(scope)
        if session is not None and session not in self.sessions:  # Gradio would print a traceback
            await send_response(send, 404, "the studio has no such session: reload the page")
            return
        with nullcontext() if session is None else self.listeners.listening(session):
            if path.startswith(DIRECT_ROUTE):
                await self.call_directly(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    async def call_directly(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call that does not go through the queue: wait for its turn, or answer 503 if many wait."""
        if self.num_waiting >= MAX_DIRECT_WAITING:
            await send_response(send, 503, "the studio is busy: try again in a moment")
            return
        self.num_waiting += 1
        try:
            async with self.direct_calls:
                await self.app(scope, receive, send)
        finally:
            self.num_waiting -= 1


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request. InputError if it is too large or incomplete."""
    parts, size, is_complete = [], 0, False
    while not is_complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InputError("the request is incomplete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_JSON_BYTES:
            raise InputError(f"a request that is no upload may have at most {MAX_JSON_BYTES // 2**20} MB")
        is_complete = not message.get("more_body", False)
    return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """`receive` of a request that has this body and is otherwise the same."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return pending.pop() if pending else await receive()

    return received


def json_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a request whose body was encoded anew."""
    kept = [(k, v) for k, v in headers if k.lower() not in (b"content-type", b"content-length", b"content-encoding")]
    return [*kept, (b"content-type", b"application/json")]


def find_session(scope: Scope) -> str | None:
    """The session, or the event of one, whose messages a request wants to be sent; None for all other requests."""
    if scope["path"] == f"{API}/queue/data":
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [None])[0]
    is_stream = scope["method"] == "GET" and scope["path"].startswith(f"{API}/call/")
    return scope["path"].rpartition("/")[2] if is_stream else None


def add_file_routes(app: FastAPI, uploads: UploadStore, folder: Path) -> None:
    """Routes to upload files into `uploads`, and to download files of `folder`, instead of Gradio's."""

    @app.post(UPLOAD_ROUTE)
    async def upload(request: Request) -> JSONResponse:
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise HTTPException(411, "an upload must say its length")
        paths: list[Path] = []
        try:
            with uploads.reserve(int(length)):
                async with request.form() as form:
                    for file in form.getlist("files"):
                        if isinstance(file, UploadFile):
                            paths.append(await asyncio.to_thread(uploads.add, file.filename or "", file.file))
        except BaseException as error:
            uploads.remove(*paths)
            if isinstance(error, InputError):
                raise HTTPException(413, str(error)) from error
            raise
        return JSONResponse([str(path) for path in paths])

    @app.get(f"{API}/upload_progress")
    def progress() -> Response:
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")  # the page shows none

    @app.api_route(f"{API}/file={{path:path}}", methods=["GET", "HEAD"])
    def download(path: str) -> FileResponse:
        file = Path(path)
        with suppress(OSError, ValueError):
            if file.resolve(strict=True) == file and file.is_relative_to(folder) and file.is_file():
                return FileResponse(file, filename=file.name)  # to be saved, never shown
        raise HTTPException(403, "the studio serves only files that it wrote")


def build_app(
    workspace: Workspace, trainer: Trainer, folder: Path, token: str | None = None, name: str = "localhost"
) -> AccessGuard:
    """The ASGI application. `folder` is for uploads and exported files: no other file of this machine can be named."""
    blocks = build_page(workspace, trainer)
    blocks.state_session_capacity = MAX_SESSIONS
    uploads, listeners = UploadStore(folder), Listeners()

    @asynccontextmanager
    async def watch_queue(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(cancel_abandoned(blocks, listeners))
        try:
            yield
        finally:
            watcher.cancel()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=watch_queue)
    add_file_routes(app, uploads, folder)
    gr.mount_gradio_app(
        app, blocks, path="/", theme=theme(), css=CSS, show_error=False, max_file_size=MAX_REQUEST_BYTES,
        run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, footer_links=[],
    )  # fmt: skip
    sessions = blocks._queue.pending_messages_per_session
    return AccessGuard(RequestFilter(app, uploads, listeners, sessions, blocks.fns), token, name)
