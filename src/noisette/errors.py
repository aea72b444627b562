"""The one error that a user's input can cause, and what to say of a name that nobody knows."""

import difflib
from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: what, where, and what would be right.

    The command line prints it and exits with code 2; everything else that is raised is a defect of ours.
    """


def known(name: str, table: Mapping[str, T], what: str) -> T:
    """Look a name up, or say what the nearest known ones are."""
    if name in table:
        return table[name]
    raise InputError(f"no {what} is called {name!r}{nearest(name, table)}")


def nearest(name: str, names: Collection[str]) -> str:
    """: did you mean …? Or, where nothing is near, the list of names."""
    lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
    if close:
        return f": did you mean {' or '.join(repr(lower[c]) for c in close)}?"
    listed = ", ".join(list(names)[:20]) + (", …" if len(names) > 20 else "")
    return f": there are {listed}" if listed else ": there are none"
