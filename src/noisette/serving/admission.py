"""Who may wait: a bounded number of requests, of a bounded number of bytes, each with a slot.

Slots are memory that all processes of the server share: the process that answers HTTP writes into one when its client
has gone, and the process that draws looks there after each sampling step.
"""

from multiprocessing import get_context
from typing import Any, NamedTuple

MAX_WAITING_BYTES = 2**28  # of the bodies of all requests that wait
USUAL_SECONDS = 1.0  # that an answer takes, before any was given


class Ticket(NamedTuple):
    """A request that was admitted. `serial` is never used again, its slot is."""

    slot: int
    serial: int


class Slots:
    """The serial of the request that is waited for, for each slot; 0 for none."""

    def __init__(self, number: int) -> None:
        self.serials: Any = get_context("spawn").RawArray("Q", number)

    def is_wanted(self, ticket: Ticket) -> bool:
        """Whether a client still waits for this request."""
        return bool(self.serials[ticket.slot] == ticket.serial)


class Admission:
    """Gives out the slots. A slot is free again when its request was answered, wanted or not: until then its body is in
    memory."""

    def __init__(self, number: int, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self.slots, self.number, self.max_bytes = Slots(number), number, max_bytes
        self.free, self.serial, self.bytes = list(range(number)), 0, 0
        self.sizes: dict[Ticket, int] = {}
        self.seconds = USUAL_SECONDS / number  # that the server takes per answer, on average

    @property
    def waiting(self) -> int:
        """How many requests wait, or are drawn."""
        return len(self.sizes)

    @property
    def retry_after(self) -> int:
        """Seconds after which half of those that wait now should have been answered, 1 to 60."""
        return min(60, max(1, round(self.waiting * self.seconds / 2)))

    def admit(self, size: int) -> Ticket | None:
        """A ticket for a request with a body of so many bytes; None if too many wait."""
        if not self.free or (self.sizes and self.bytes + size > self.max_bytes):
            return None
        self.serial += 1
        ticket = Ticket(self.free.pop(), self.serial)
        self.sizes[ticket] = size
        self.bytes += size
        self.slots.serials[ticket.slot] = ticket.serial
        return ticket

    def abandon(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more."""
        if ticket in self.sizes:
            self.slots.serials[ticket.slot] = 0

    def release(self, ticket: Ticket) -> None:
        """The request was answered."""
        self.abandon(ticket)
        self.bytes -= self.sizes.pop(ticket)
        self.free.append(ticket.slot)

    def note_batch(self, number: int, seconds: float, share: float = 0.2) -> None:
        """A batch of so many pictures took so many seconds: a moving average, with this share of the newest."""
        self.seconds += share * (seconds / number - self.seconds)
