"""Display in notebooks: `Displayed` values are rendered by a formatter that `noisette.report` registers."""

from collections.abc import Callable

_formatters: list[Callable[[object], str]] = []


def register_formatter(formatter: Callable[[object], str]) -> None:
    """Set the function that returns the HTML of a `Displayed` value; it replaces an earlier one."""
    _formatters[:] = [formatter]


class Displayed:
    """Base class of values that a notebook shows as HTML, if a formatter is registered."""

    def _repr_html_(self) -> str | None:
        """The HTML of this value; None, for the plain repr, if no formatter is registered."""
        return _formatters[0](self) if _formatters else None
