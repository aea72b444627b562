"""A process that has imported torch and the command line, and forks a new one for each command.

`python -m noisette train …` spends more time on its imports (8 s of CPU time) than a test on what it trains. A fork
starts with the imports done, and is a process like any other from there on: with its own memory, environment, working
folder, streams, signal handlers and exit code, ended by the interpreter's own shutdown. What differs is that it cannot
change what Python reads when it starts (PYTHONIOENCODING, PYTHONHASHSEED): for that, use `commands.command`.

Run as a script, this file is that process; `start` sends it the words of a command. Unix only.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

HEADER = 8  # bytes: the length of the request that follows
# not huggingface_hub: it reads its settings from the environment when it is imported, and each process has its own
IMPORTS = (
    "torch._dynamo",  # which torch imports at the first step of an optimizer
    "typer._adapters",
    "rich.progress",
    "rich.table",
    "PIL.ImageFont",
    "PIL.ImageOps",
    "noisette.training",
    "noisette.evaluation",
    "noisette.cli.train",
    "noisette.cli.sample",
    "noisette.cli.evaluate",
)


class Child:
    """A process that was forked. Its output goes to files without a name."""

    def __init__(self, words: Sequence[str], report: int, out: IO[bytes], err: IO[bytes]) -> None:
        self.words, self.returncode = list(words), None
        self._report, self._out, self._err = os.fdopen(report, "rb", buffering=0), out, err
        self.pid = int(self._report.read(HEADER))

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.returncode = int(self._report.read(HEADER))
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def written(self) -> bytes:
        """What it has written to stdout up to now."""
        return os.pread(self._out.fileno(), os.fstat(self._out.fileno()).st_size, 0)

    def output(self) -> str:
        """The same as text."""
        return self.written().decode(errors="replace")

    def wait(self, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Wait for its end; after `timeout` seconds it is killed, and subprocess.TimeoutExpired raised."""
        if self.returncode is None and not select.select([self._report], [], [], timeout)[0]:
            os.kill(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(self.words, timeout, self.output())
        code = self.poll()
        assert code is not None
        self._err.seek(0)
        return subprocess.CompletedProcess(self.words, code, self.output(), self._err.read().decode(errors="replace"))


class Server:
    """The process that forks; it ends when this object is closed, or this process ends."""

    def __init__(self, imports: Sequence[str] = IMPORTS, **env: str) -> None:
        """`imports`: modules to import before the first fork; `env`: changes of this process's environment."""
        self.env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | env
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno()), *imports]
            self._process = subprocess.Popen(
                command, env=self.env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

    def start(self, *words: object, cwd: Path | None = None, stdout: int | None = None, **env: str) -> Child:
        """Start `noisette WORDS…`, `python FILE.py WORDS…` or `python -c CODE WORDS…`, with changes of the environment.

        `stdout`: a file descriptor for its output, instead of a file.
        """
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115, they are the child's
        reading, writing = os.pipe()
        request = {"words": [*map(str, words)], "cwd": str(cwd or Path.cwd()), "env": self.env | env}
        data = json.dumps(request).encode()
        fds = [out.fileno() if stdout is None else stdout, err.fileno(), writing]
        socket.send_fds(self._socket, [len(data).to_bytes(HEADER)], fds)
        self._socket.sendall(data)
        os.close(writing)
        return Child([*map(str, words)], reading, out, err)

    def run(self, *words: object, **how: Any) -> subprocess.CompletedProcess[str]:
        """Start it and wait for its end."""
        return self.start(*words, **how).wait()

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def shared() -> Server:
    """The server of this process's tests."""
    server = Server()
    atexit.register(server.close)
    return server


def start_ranks(count: int, *words: object) -> list[Child]:
    """The processes of one distributed run, with the environment that torchrun would give them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(port)}  # fmt: skip
    return [shared().start(*words, **common, RANK=str(i), LOCAL_RANK=str(i)) for i in range(count)]


def wait_for_ranks(ranks: Sequence[Child], timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """Wait for all of them, as torchrun does: where one fails, the others are ended. Their outputs in order."""
    end = time.monotonic() + timeout
    while any(rank.poll() is None for rank in ranks):
        if any(rank.poll() for rank in ranks) or time.monotonic() > end:
            for rank in ranks:
                rank.send_signal(signal.SIGTERM)
            break
        time.sleep(0.02)
    done = [rank.wait() for rank in ranks]
    code = next((d.returncode for d in done if d.returncode), 0)
    out, err = ("".join(getattr(d, name) for d in done) for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(ranks[0].words, code, out, err)


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────


def serve(requests: socket.socket) -> list[str] | None:
    """Fork for each request. Returns None when there will be no more; in a forked process, its words.

    At the end, what was forked and still runs is killed.
    """
    watchers: set[int] = set()
    while True:
        header, fds, _, _ = socket.recv_fds(requests, HEADER, 3)
        while watchers and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            watchers.remove(ended)
        if not header:
            for pid in watchers:
                os.kill(pid, signal.SIGTERM)
            return None
        data = b""
        while len(data) < int.from_bytes(header):
            data += requests.recv(int.from_bytes(header) - len(data))
        if (pid := os.fork()) == 0:
            requests.close()
            return become(json.loads(data), *fds)
        watchers.add(pid)
        for fd in fds:
            os.close(fd)


def become(request: dict[str, Any], out: int, err: int, report: int) -> list[str]:
    """Fork once more: one process waits for the end of the other and reports it, the other becomes the command's.

    SIGTERM to the first kills the second.
    """
    pid = os.fork()
    if pid:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, frame: os.kill(pid, signal.SIGKILL))
        for fd in (out, err):
            os.close(fd)
        os.write(report, str(pid).encode().ljust(HEADER))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(report, str(code).encode().ljust(HEADER))
        os._exit(0)
    for fd, standard in ((out, 1), (err, 2)):
        os.dup2(fd, standard)
        os.close(fd)
    os.close(report)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background is started with some ignored
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = request["cwd"]  # as python -m has it
    return request["words"]


def main(fd: int, imports: Sequence[str]) -> None:
    gc.disable()
    for name in imports:
        __import__(name)
    gc.freeze()  # what is there now stays: collections of garbage, and copies of memory in forks, leave it alone
    gc.enable()
    words = serve(socket.socket(fileno=fd))
    if words is None:
        return
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    elif words[0].endswith(".py"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
    else:
        sys.argv = ["noisette", *words]
        runpy.run_module("noisette", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
