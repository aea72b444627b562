"""The rich console of the commands."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .streams import visible


class SafeConsole(Console):
    """A console that shows control characters in texts, such as names of files, instead of obeying them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def make_console(file: Any, quiet: bool) -> Console:
    """A console that writes to `file`."""
    return SafeConsole(file=getattr(file, "as_is", file), quiet=quiet, highlight=False)
