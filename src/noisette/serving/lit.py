"""The server of one machine, on LitServe: a process that answers HTTP, and processes that draw.

LitServe starts the processes, and carries calls and answers between them. Its own loop takes the requests that came
first, whatever they ask for, and waits by polling; `DrawLoop` takes those that can be drawn together, and sleeps. What
LitServe has not, and why each part is where it is: docs/serving.md.
"""

import asyncio
import os
import signal
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.managers import SyncManager
from queue import Empty
from typing import Any

import litserve as ls
from fastapi import FastAPI
from litserve.loops import LitLoop
from litserve.server import response_queue_to_buffer
from litserve.utils import LitAPIStatus, LoopResponseType, ResponseBufferItem, WorkerSetupStatus

from ..studio.offline import forbid_connections
from .admission import Slots, Ticket
from .calls import Answer, Call

WAIT_FOR_MORE = 0.01  # seconds without a further request after which a batch is begun
IDLE_SECONDS = 1.0  # between two looks at whether a model has changed, while nothing is drawn
WATCH_SECONDS = 0.5  # between two looks at whether the processes that draw are alive
END_SECONDS = 5.0  # that they may take to end
SENTINEL = (None, None, None, None)  # LitServe's sign that a process is to end
LOST = Answer(status=503, error="the process that drew this has ended: try again")

Prepare = Callable[[], object]


class DrawAPI(ls.LitAPI):
    """What the processes that draw run. `prepare` is called first in each of them."""

    def __init__(
        self, models: Mapping[str, str], batch: int | None, slots: Slots, prepare: Prepare, threads: int | None
    ) -> None:
        super().__init__(loop=DrawLoop(), api_path="/v1")
        self.models, self.batch_size, self.slots = dict(models), batch, slots
        self.prepare, self.threads = prepare, threads

    def setup(self, device: Any) -> None:
        end_with_parent()
        import torch

        from .handler import Handler

        self.prepare()
        forbid_connections()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self.handler: Handler[tuple[int, int, str]] = Handler(
            self.models, self.batch_size, lambda ticket: self.slots.is_wanted(Ticket(*ticket[:2]))
        )


class DrawLoop(LitLoop):
    """Collects calls, draws those together that can be, and sends each answer as soon as it is there."""

    def __call__(
        self, lit_api: Any, device: Any, worker_id: int, request_queue: Any, transport: Any, *others: Any
    ) -> None:
        handler = lit_api.handler

        def send(uid: str, answer: Answer | tuple[()], status: Any = LitAPIStatus.OK) -> None:
            self.put_response(transport, 0, uid, answer, status, LoopResponseType.REGULAR)

        while True:
            wait = WAIT_FOR_MORE if handler.pending else IDLE_SECONDS
            while len(handler) < handler.batch:
                try:
                    item = request_queue.get(timeout=wait)
                except Empty:
                    handler.models.refresh()  # so that no client waits for it
                    break
                if item == SENTINEL:
                    os._exit(0)  # all answers are sent; taking torch down would take seconds
                _, uid, _, (ticket, call) = item
                send(uid, (), LitAPIStatus.START)
                if (refusal := handler.add((*ticket, uid), call)) is not None:
                    send(uid, refusal)
                wait = WAIT_FOR_MORE
            for (*_, uid), answer in handler.draw_next():
                send(uid, answer)


class DrawServer(ls.LitServer):
    """LitServe's server without its endpoints: `submit` is how calls come in, `lifespan` is the application's."""

    def __init__(self, api: DrawAPI, replicas: int) -> None:
        super().__init__(
            api, accelerator="cpu", workers_per_device=replicas, timeout=False, restart_workers=True,
            disable_openapi_url=True,
        )  # fmt: skip
        self.app.response_queue_id = 0
        self.inference_workers: list[Any] = []
        self.on_failure: Callable[[], object] = lambda: None
        self.is_ending = False

    def register_endpoints(self) -> None:
        """LitServe's own endpoints are not served."""

    def _register_middleware(self) -> None:
        """Nor is its compression, which gains nothing with PNGs."""

    def _init_manager(self, num_api_servers: int) -> SyncManager:
        """As LitServe's, in a process that ends with this one, whatever ends it."""
        manager = SyncManager(ctx=get_context("spawn"))
        manager.start(end_with_parent)
        self.transport_config.manager, self.transport_config.num_consumers = manager, num_api_servers
        self.workers_setup_status, self._shutdown_event = manager.dict(), manager.Event()
        self.litapi_request_queues[self.lit_api.api_path] = manager.Queue()
        from litserve.transport.factory import create_transport_from_config

        self._transport = create_transport_from_config(self.transport_config)
        return manager

    def start(self) -> None:
        """Start the processes, and wait until one can draw. RuntimeError if it cannot."""
        self.manager = self._init_manager(1)
        self.queue = self._get_request_queue(self.lit_api.api_path)
        self.inference_workers = self.launch_inference_worker(self.lit_api)
        while not self.is_ready:
            if not all(process.is_alive() for process in self.inference_workers):
                raise RuntimeError("a process that draws has ended while it started")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the processes that draw: after their batch, or after END_SECONDS."""
        self.is_ending = True
        with suppress(OSError, EOFError):
            for _ in self.inference_workers:
                self.queue.put(SENTINEL)
        end = time.monotonic() + END_SECONDS
        for process in self.inference_workers:
            process.join(max(0.0, end - time.monotonic()))
            process.kill()
        self.manager.shutdown()

    @property
    def is_ready(self) -> bool:
        """Whether a process that draws is there."""
        try:
            statuses = list(self.workers_setup_status.values())
        except (OSError, EOFError):
            return False
        return WorkerSetupStatus.READY in statuses and any(p.is_alive() for p in self.inference_workers)

    async def submit(self, ticket: Ticket, call: Call) -> Answer:
        """Give a call to the processes that draw; its answer."""
        uid, item = uuid.uuid4().hex, ResponseBufferItem(asyncio.Event())
        self.response_buffer[uid] = item
        try:
            await asyncio.to_thread(self.queue.put, (0, uid, time.monotonic(), (ticket, call)))
            await item.event.wait()
        finally:
            del self.response_buffer[uid]
        return item.response[0]  # type: ignore[no-any-return,index]

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """While the application runs: answers are received, and processes that ended are started again."""
        receiver = asyncio.create_task(
            response_queue_to_buffer(self._transport, self.response_buffer, 0, self.litapi_connector)
        )
        watcher = asyncio.create_task(self._watch(receiver))
        try:
            yield
        finally:
            watcher.cancel()
            receiver.cancel()

    async def _watch(self, receiver: "asyncio.Task[None]") -> None:
        while not receiver.done():
            await asyncio.sleep(WATCH_SECONDS)
            for number, process in enumerate(self.inference_workers):
                if process.is_alive() or self.is_ending:
                    continue
                for item in self.response_buffer.values():
                    if item.worker_id == number and not item.event.is_set():
                        item.response = (LOST, LitAPIStatus.OK)
                        item.event.set()
                self.inference_workers[number] = await asyncio.to_thread(
                    self.launch_single_inference_worker, self.lit_api, number
                )
        self.on_failure()  # answers cannot be received any more


def end_with_parent() -> None:
    """End this process when the one that started it has ended. Signals are for that one alone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
