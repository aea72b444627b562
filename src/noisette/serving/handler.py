"""The handler: calls in, answers out. It knows no server."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import InputError, OutOfMemory, explain_out_of_memory
from .calls import Answer, Call, Drawn
from .endpoints import ENDPOINTS, Endpoints
from .served_models import ServedModels
from .work import Work, draw_together

CPU_BATCH, ACCELERATOR_BATCH = 64, 256  # pictures drawn at once
DEFECT = "this is a defect of noisette, not of your input: please report it with the lines that the server printed"
MEMORY_ADVICE = "ask for fewer pictures, or start the server with a smaller --batch"

Ticket = TypeVar("Ticket")


class Abandoned(Exception):
    """Nobody waits for any picture of this batch."""


@dataclass(frozen=True, eq=False)
class _Pending(Generic[Ticket]):
    ticket: Ticket
    work: Work


class Handler(Generic[Ticket]):
    """Draws calls, those of the same kind together. A ticket is what the server knows a call by.

    is_wanted: whether somebody still waits for the answer to a ticket. Asked before a call is drawn, and after each
    sampling step: a batch whose pictures nobody wants any more is stopped.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        batch: int | None = None,
        is_wanted: Callable[[Ticket], bool] = lambda ticket: True,
    ) -> None:
        self.models = ServedModels(models)
        self.batch = batch or (CPU_BATCH if self.models.device.type == "cpu" else ACCELERATOR_BATCH)
        self.is_wanted = is_wanted
        self.endpoints = Endpoints(self.models.find)
        self.pending: list[_Pending[Ticket]] = []

    def __len__(self) -> int:
        """The pictures that wait to be drawn."""
        return sum(len(one.work) for one in self.pending)

    def add(self, ticket: Ticket, call: Call) -> Answer | None:
        """Take up a call; its answer, if it cannot be drawn."""
        try:
            with explain_out_of_memory(MEMORY_ADVICE):
                self.models.refresh()
                work = ENDPOINTS[call.endpoint](self.endpoints, **call.arguments)
        except Exception as error:
            return _answer_error(error)
        self.pending.append(_Pending(ticket, work))
        return None

    def draw_next(self) -> Iterator[tuple[Ticket, Answer]]:
        """Draw the call that came first, together with others of its kind, as many as fit into a batch."""
        abandoned = [one for one in self.pending if not self.is_wanted(one.ticket)]
        self.pending = [one for one in self.pending if one not in abandoned]
        yield from ((one.ticket, ABANDONED) for one in abandoned)
        if self.pending:
            yield from self._draw(self._take())

    def answer(self, calls: Mapping[Ticket, Call]) -> Iterator[tuple[Ticket, Answer]]:
        """The answers to all of these calls, as they are ready."""
        for ticket, call in calls.items():
            if (refusal := self.add(ticket, call)) is not None:
                yield ticket, refusal
        while self.pending:
            yield from self.draw_next()

    def _take(self) -> list[_Pending[Ticket]]:
        """Remove the first call, and those that are drawn with it, from `pending`."""
        taken, rest, number = [self.pending[0]], list[_Pending[Ticket]](), len(self.pending[0].work)
        key = self.pending[0].work.key
        for one in self.pending[1:]:
            if number + len(one.work) <= self.batch and one.work.key == key:
                taken.append(one)
                number += len(one.work)
            else:
                rest.append(one)
        self.pending = rest
        return taken

    def _draw(self, group: list[_Pending[Ticket]]) -> Iterator[tuple[Ticket, Answer]]:
        def check() -> None:
            if not any(self.is_wanted(one.ticket) for one in group):
                raise Abandoned

        start = time.perf_counter()
        try:
            with explain_out_of_memory(MEMORY_ADVICE):
                drawn = draw_together([one.work for one in group], self.batch, check)
        except Abandoned:
            yield from ((one.ticket, ABANDONED) for one in group)
            return
        except Exception as error:
            if len(group) > 1:  # no call fails because of another one
                for one in group:
                    yield from self._draw([one])
            else:
                yield group[0].ticket, _answer_error(error)
            return
        seconds, number = time.perf_counter() - start, sum(map(len, drawn))
        for i, (one, pictures) in enumerate(zip(group, drawn, strict=True)):
            found = tuple(Drawn(p.record.seed, p.record.label, p.record.text, p.png) for p in pictures)
            model = one.work.request.model
            yield one.ticket, Answer(found, model, batch=number, seconds=seconds, leads=i == 0)


ABANDONED = Answer(status=499, error="this was cancelled")


def _answer_error(error: Exception) -> Answer:
    if isinstance(error, OutOfMemory):
        return Answer(status=503, error=str(error))
    if isinstance(error, InputError):
        return Answer(status=400, error=str(error))
    traceback.print_exception(error, file=sys.stderr)
    return Answer(status=500, error=DEFECT)
