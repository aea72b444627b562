"""The command line. A command is a typed function whose docstring is its help; the work is done in lower layers.

Slow imports such as torch happen inside the commands, so that `noisette --help` is fast.
"""

from .app import main

__all__ = ["main"]
