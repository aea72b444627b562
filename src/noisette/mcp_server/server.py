"""The protocol: tools by the `mcp` package, over stdin and stdout, until stdin ends or a signal comes.

While it runs, what is printed goes to stderr: stdout carries the protocol alone.
"""

import base64
import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from ..errors import InputError, explain_out_of_memory
from ..io.version import __version__
from ..studio.ending import end_process_on_signals
from ..studio.offline import OFFLINE_ENVIRONMENT, forbid_connections
from .answer import Answer
from .job import Job
from .schema import call_tool, make_schema
from .tools import READ_ONLY, TOOL_NAMES, Tools

INSTRUCTIONS = (
    "Noisette draws small pictures (sprites, icons, tiles) with models that were trained on a folder of pictures. All "
    "paths are relative to one workspace folder. Call list_models first; with dry_run=true a tool says the seconds and "
    "files before it does anything."
)
MEMORY_ADVICE = "ask for fewer pictures, or close other programs"
DEFECT = "this is a defect of noisette, not of your input: please report it with the lines that the server printed"


class ToolServer:
    """The handlers of the protocol, for one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools: Tools | None = None  # made at the first call: it imports torch
        self.jobs: set[Job] = set()  # that run or wait

    async def list_tools(self, context: Any, params: Any) -> types.ListToolsResult:
        """The tools, with the schemas of their arguments."""
        return types.ListToolsResult(tools=[_describe_tool(name) for name in TOOL_NAMES])

    async def call_tool(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Call a tool in a thread. If the request is cancelled, the tool stops at its next step."""
        job = Job(lambda done, total: anyio.from_thread.run(context.session.report_progress, done, total))
        self.jobs.add(job)
        try:
            work = partial(self.run_tool, params.name, params.arguments or {}, job)
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        finally:
            job.cancelled.set()
            self.jobs.discard(job)

    def run_tool(self, name: str, arguments: dict[str, Any], job: Job) -> types.CallToolResult:
        """The result of a call, or its error in one sentence."""
        try:
            if name not in TOOL_NAMES:
                raise InputError(f"there is no tool {name!r}: there are {', '.join(TOOL_NAMES)}")
            with explain_out_of_memory(MEMORY_ADVICE):
                if self.tools is None:
                    self.tools = _make_tools(self.folder)
                with job.alone(self.tools.lock):
                    return _encode_answer(call_tool(getattr(self.tools, name), job, arguments))
        except InputError as error:
            return _encode_error(str(error))
        except OSError as error:
            if error.filename is None:
                raise
            return _encode_error(f"{error.filename}: {(error.strerror or str(error)).lower()}")
        except Exception:
            if job.cancelled.is_set():  # the client has gone, or no longer listens
                return _encode_error("this was cancelled")
            traceback.print_exc(file=sys.stderr)
            return _encode_error(DEFECT)

    def stop(self, seconds: float = 0.0) -> None:
        """Stop all calls at their next step, and wait so long for the one that is at work. None is begun afterwards."""
        for job in list(self.jobs):
            job.cancelled.set()
        if self.tools is not None:
            self.tools.lock.acquire(timeout=seconds)


def serve(folder: Path) -> None:
    """Serve the tools for `folder` until stdin ends or a signal comes.

    Must be called in the main thread of a process of its own: it forbids connections.
    """
    os.environ |= OFFLINE_ENVIRONMENT
    forbid_connections()
    handlers = ToolServer(folder)
    server = Server(
        "noisette", version=__version__, instructions=INSTRUCTIONS, on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
    )  # fmt: skip

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    with end_process_on_signals(handlers.stop):
        try:
            anyio.run(run)
        finally:
            handlers.stop()


def _make_tools(folder: Path) -> Tools:
    from .place import Place

    return Tools(Place(folder))


def _describe_tool(name: str) -> types.Tool:
    tool = getattr(Tools, name)
    hints = types.ToolAnnotations(
        read_only_hint=name in READ_ONLY, destructive_hint=False, idempotent_hint=False, open_world_hint=False
    )
    return types.Tool(
        name=name, description=" ".join(tool.__doc__.split()), input_schema=make_schema(tool), annotations=hints
    )


def _encode_answer(answer: Answer) -> types.CallToolResult:
    """The facts as JSON and as text, since not all clients read both; then the pictures."""
    facts = dict(answer.facts)
    content: list[Any] = [types.TextContent(text=json.dumps(facts, ensure_ascii=False))]
    for path in answer.pictures:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        content.append(types.ImageContent(data=data, mime_type="image/png"))
    return types.CallToolResult(content=content, structured_content=facts)


def _encode_error(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=message)], is_error=True)
