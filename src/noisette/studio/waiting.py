"""Requests that nobody waits for any more are cancelled: their client was closed or killed, or never listened.

A client listens to the events of its session on a stream. Gradio marks the requests of a session whose stream is closed
as dead, but lets a function that is running run to its end. Here each sampling step looks at that mark.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.context import LocalContext

from .ending import ENDING

GRACE_SECONDS = 10.0  # how long a session may be without a listener
CHECK_INTERVAL = 1.0  # seconds between two looks at the queue


class Abandoned(Exception):
    """Nobody waits for the result."""


class Listeners:
    """The open streams of each session."""

    def __init__(self) -> None:
        self.streams: Counter[str] = Counter()
        self.last_heard: dict[str, float] = {}

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """A context during which a client listens to a session, or to one event of it."""
        self.streams[session] += 1
        try:
            yield
        finally:
            self.streams[session] -= 1
            if not self.streams[session]:
                del self.streams[session]
                self._forget_old()
                self.last_heard[session] = time.monotonic()

    def is_heard(self, *names: str, since: float) -> bool:
        """Whether anybody listens to one of these sessions or events, or may still do so.

        `since`: when the request came, on the monotonic clock.
        """
        last = max(since, *(self.last_heard.get(name, 0.0) for name in names))
        return any(self.streams[name] for name in names) or time.monotonic() - last < GRACE_SECONDS

    def _forget_old(self) -> None:
        limit = time.monotonic() - GRACE_SECONDS
        self.last_heard = {name: at for name, at in self.last_heard.items() if at > limit}


async def cancel_abandoned(blocks: gr.Blocks, listeners: Listeners) -> None:
    """Mark the requests that nobody listens to, and take them out of the queue; for as long as the studio runs."""
    while True:
        for event in list(blocks._queue.event_ids_to_events.values()):
            if not listeners.is_heard(event.session_hash, event._id, since=event.enqueue_time):
                await blocks._queue.clean_events(event_id=event._id)
        await asyncio.sleep(CHECK_INTERVAL)


def check_abandoned() -> None:
    """Raise `Abandoned` if nobody waits any more for the request that is being handled in this context."""
    if ENDING.is_set():
        raise Abandoned
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None or event_id is None:  # not a request of the queue
        return
    event = blocks._queue.event_ids_to_events.get(event_id)  # a cancelled one is no longer there
    if event is None or not event.alive:
        raise Abandoned
