"""The command line. A command is a typed function whose docstring is its help; what it does lies in the layers below.

Nothing that is slow to import is imported before a command needs it.
"""

from .app import main

__all__ = ["main"]
