"""Stop a run from another process on every operating system: a file that the run watches.

POSIX signals are not enough: Windows cannot send SIGINT to a process that does not share the console. So whoever
starts a run sets the environment variable `NOISETTE_STOP_FILE` to a path, and creates that file to stop the run. The
run then behaves as after the first Ctrl-C: it saves a checkpoint and exits with code 130.
"""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_FILE_VARIABLE = "NOISETTE_STOP_FILE"
POLL_INTERVAL = 0.2  # seconds between two checks


@contextmanager
def interrupt_on_stop_file(path: str | Path | None) -> Iterator[None]:
    """A context in which SIGINT is simulated in the main thread as soon as `path` exists.

    The file is removed first, and SIGINT is simulated once only: a second one would end a run without saving. With
    `path` None or empty, nothing is watched.
    """
    left = threading.Event()

    def watch(file: Path) -> None:
        while not left.wait(POLL_INTERVAL):
            if file.exists():
                file.unlink(missing_ok=True)
                _thread.interrupt_main(signal.SIGINT)
                return

    if path:
        threading.Thread(target=watch, args=(Path(path),), daemon=True, name="stop-file").start()
    try:
        yield
    finally:
        left.set()
