import gc
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from noisette.errors import InputError
from noisette.io import lock
from noisette.io.lock import RunLock, find_owner, is_locked

HEAD = (
    "import os, sys, time; from pathlib import Path; "
    "from noisette.io import lock; from noisette.io.lock import RunLock\n"
)
BY_NAME = "lock.fcntl = None\n"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the other processes are forked or killed")


@pytest.fixture(params=["by system", "by name"])
def head(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Code for other processes; with flock, and as on a system without it, here and there."""
    if request.param == "by name":
        monkeypatch.setattr(lock, "fcntl", None)
        return HEAD + BY_NAME
    return HEAD


@contextmanager
def process(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has printed a line."""
    env = os.environ | {"PYTHONPATH": str(Path(lock.__file__).parents[2])}
    command = [sys.executable, "-c", code, *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=env) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline()
            yield other
        finally:
            other.kill()


HOLD = "with RunLock(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)"


def test_a_second_process_is_refused_by_name_until_the_first_is_dead(tmp_path: Path, head: str) -> None:
    run = tmp_path / "run"
    with process(head + HOLD, run) as other:
        with pytest.raises(InputError, match=f"run is in use by process {other.pid} on {platform.node()} since 2"):
            RunLock(run).__enter__()
        other.kill()
        other.wait()
        assert (run / "lock").exists()
        with RunLock(run):
            assert json.loads((run / "lock").read_text())["pid"] == os.getpid()
    assert list(run.iterdir()) == []


def test_it_is_free_after_an_error_and_taken_within_one_process_too(tmp_path: Path, head: str) -> None:
    with pytest.raises(ZeroDivisionError), RunLock(tmp_path):
        with pytest.raises(InputError, match=str(os.getpid())):
            RunLock(tmp_path).__enter__()
        print(1 / 0)
    with RunLock(tmp_path):
        pass


def test_a_worker_that_outlives_its_killed_parent_does_not_hold_it(tmp_path: Path, head: str) -> None:
    code = head + (
        "with RunLock(sys.argv[1]):\n"
        "    child = os.fork()\n"
        "    if child == 0: print(os.getpid(), flush=True)\n"
        "    time.sleep(60)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(lock.__file__).parents[2])}
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    assert other.stdout is not None
    worker = int(other.stdout.readline())
    other.kill()
    other.wait()
    try:
        assert psutil.pid_exists(worker)
        with RunLock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        other.stdout.close()


def test_a_worker_that_ends_does_not_release_it(tmp_path: Path, head: str) -> None:
    code = head + (
        "with RunLock(sys.argv[1]):\n"
        "    child = os.fork()\n"
        "    if child: os.waitpid(child, 0); print('ended', flush=True); time.sleep(60)"
    )
    with process(code, tmp_path), pytest.raises(InputError, match="in use by process"):
        RunLock(tmp_path).__enter__()


def test_one_owner_at_a_time_under_contention(tmp_path: Path, head: str) -> None:
    """Three processes increment one number under the lock, and none is lost; a stale lock exists at the start."""
    (tmp_path / "lock").write_text(json.dumps({"pid": 2**22 + 1, "host": platform.node(), "started": 1.0, "since": ""}))
    code = head + (
        "from noisette.errors import InputError\n"
        "number, done = Path(sys.argv[1]) / 'number', 0\n"
        "print('ready', flush=True)\n"
        "while done < 40:\n"
        "    try:\n"
        "        with RunLock(sys.argv[1]):\n"
        "            n = int(number.read_text()); time.sleep(0.0005); number.write_text(str(n + 1)); done += 1\n"
        "    except InputError: time.sleep(0.001)\n"
    )
    (tmp_path / "number").write_text("0")
    with process(code, tmp_path) as a, process(code, tmp_path) as b, process(code, tmp_path) as c:
        assert [p.wait(60) for p in (a, b, c)] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "120"
    assert [p.name for p in tmp_path.iterdir()] == ["number"]


def test_a_dead_owner_is_recognized_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    me = psutil.Process()
    holder = {"pid": me.pid, "host": platform.node(), "started": me.create_time(), "since": "then"}
    cases = [
        (holder, False),
        (holder | {"started": me.create_time() - 60}, True),  # the number was given to another process since
        (holder | {"pid": 2**22 + 1}, True),
        (holder | {"pid": 2**22 + 1, "host": "elsewhere"}, False),  # nobody here can know
    ]
    for signed, free in cases:
        (tmp_path / "lock").write_text(json.dumps(signed))
        if free:
            with RunLock(tmp_path):
                pass
        else:
            with pytest.raises(InputError, match=f"process .* on {signed['host']} since then.*remove .*lock"):
                RunLock(tmp_path).__enter__()


def test_without_flock_a_lock_without_an_owner_is_free_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed before it could sign, or is about to sign. How old the file is says nothing."""
    monkeypatch.setattr(lock, "fcntl", None)
    path = tmp_path / "lock"
    for unsigned in ("", "[", '{"pid": "x"}'):
        path.write_text(unsigned)
        with RunLock(tmp_path):
            pass
    path.write_text("")
    os.utime(path, (0, time.time() - 3600))  # the clock was set meanwhile
    signing = threading.Timer(0.2, path.write_bytes, [lock._describe_process()])
    signing.start()
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        RunLock(tmp_path).__enter__()
    signing.join()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="elsewhere the system keeps the start as a time")
def test_by_name_a_lock_holds_when_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    real = psutil.Process.create_time
    with process(HEAD + BY_NAME + HOLD, tmp_path) as other:
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600)
        assert is_locked(tmp_path)
        with pytest.raises(InputError, match=f"in use by process {other.pid}"):
            RunLock(tmp_path).__enter__()
        path = tmp_path / "lock"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "before the system was restarted"}))
        assert not is_locked(tmp_path)


def test_the_owner_is_known_while_it_holds_the_lock(tmp_path: Path, head: str) -> None:
    assert find_owner(tmp_path / "none") is None
    with process(head + HOLD, tmp_path) as other:
        found = find_owner(tmp_path)
        assert found is not None and found.pid == other.pid and is_locked(tmp_path)
        other.kill()
        other.wait()
        assert (tmp_path / "lock").exists() and find_owner(tmp_path) is None
    with RunLock(tmp_path) as held:
        assert is_locked(tmp_path) and find_owner(tmp_path) == psutil.Process() and held.is_held()
    assert list(tmp_path.iterdir()) == [] and not is_locked(tmp_path)


def test_asking_changes_nothing(tmp_path: Path, head: str) -> None:
    """A dead process's lock file is not changed until a run takes it over; no file is created."""
    path = tmp_path / "lock"
    dead = {"pid": 2**22 + 1, "host": platform.node(), "started": 1.0, "since": "then"}
    path.write_text(json.dumps(dead))
    os.utime(path, (1, 1))
    before = path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns
    assert not is_locked(tmp_path) and find_owner(tmp_path) is None
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) == before
    with RunLock(tmp_path):
        owner = path.read_bytes()
        assert is_locked(tmp_path) and path.read_bytes() == owner
    assert not is_locked(tmp_path) and not is_locked(tmp_path / "none") and list(tmp_path.iterdir()) == []


def test_asking_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    """While another thread calls is_locked in a loop, the lock can always be taken."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            is_locked(tmp_path)
            time.sleep(0.0002)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with RunLock(tmp_path):
                pass
    finally:
        stop.set()
        asking.join()


def test_nothing_of_a_lock_remains_after_it_is_released(tmp_path: Path, head: str) -> None:
    """Neither a fork hook that keeps the object alive, nor an open file."""
    locks = [RunLock(tmp_path) for _ in range(3)]
    files = psutil.Process().num_fds()
    for held in locks:
        with held:
            pass
    assert not is_locked(tmp_path) and psutil.Process().num_fds() == files
    references = [weakref.ref(held) for held in locks]
    del held, locks
    gc.collect()
    assert [r() for r in references] == [None, None, None]


def test_a_reused_process_id_is_not_the_owner(tmp_path: Path, head: str) -> None:
    """The lock is held, but the file names a reused process id, a process of another host, or none."""
    me = psutil.Process()
    signed = {"pid": me.pid, "host": platform.node(), "started": me.create_time(), "since": "then"}
    with RunLock(tmp_path):
        for wrong in ({"started": me.create_time() - 60}, {"host": "elsewhere"}, {"pid": 2**22 + 1}, {"pid": "x"}):
            (tmp_path / "lock").write_text(json.dumps(signed | wrong))
            assert find_owner(tmp_path) is None
        (tmp_path / "lock").write_text(json.dumps(signed))
        assert find_owner(tmp_path) == me


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner releases the lock between our open and our flock, and a third process creates a new file."""
    real, seen = lock.fcntl.flock, []

    def late(fd: int, operation: int) -> None:
        if not seen:
            seen.append(fd)
            (tmp_path / "lock").unlink()
            (tmp_path / "lock").write_text("a third one's")
        real(fd, operation)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
        with pytest.raises(InputError, match="in use"):
            RunLock(tmp_path).__enter__()


def test_by_name_a_dead_one_is_taken_over_by_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes over between our check and our own takeover: it keeps the lock."""
    monkeypatch.setattr(lock, "fcntl", None)
    other = {"pid": 1, "host": platform.node(), "started": psutil.Process(1).create_time(), "since": "now"}
    (tmp_path / "lock").write_text("{}")

    def late(self: RunLock, seen: bytes) -> bool:
        (tmp_path / "lock").write_text(json.dumps(other))
        return True

    monkeypatch.setattr(RunLock, "_is_stale", late)
    with pytest.raises(InputError, match="in use by process 1 on"):
        RunLock(tmp_path).__enter__()
    assert [json.loads(p.read_text()) for p in tmp_path.iterdir()] == [other]


def test_a_disk_without_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(fd: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    with RunLock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"):
        RunLock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(InputError, match="a file is in the way"):
        RunLock(tmp_path / "file").__enter__()
