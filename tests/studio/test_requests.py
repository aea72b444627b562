"""Requests that the studio passes on to Gradio, and uploaded files."""

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from noisette.errors import InputError
from noisette.io.lock import RunLock
from noisette.studio import temporary
from noisette.studio.application import MAX_DIRECT, MAX_DIRECT_WAITING, RequestFilter
from noisette.studio.request_checks import DIRECT_ROUTE, check_body, is_allowed_route
from noisette.studio.temporary import remove_abandoned, temporary_folder
from noisette.studio.upload_store import UploadStore
from noisette.studio.uploads import clean_name
from noisette.studio.waiting import GRACE_SECONDS, Listeners


def checked(body: object, store: UploadStore) -> object:
    return json.loads(check_body(json.dumps(body).encode(), store, range(100)))


def test_paths_in_requests_must_be_uploads(tmp_path: Path) -> None:
    store = UploadStore(tmp_path)
    mine = str(store.add("../a b.png", io.BytesIO(b"mine")))
    assert Path(mine).name == "a b.png" and Path(mine).read_bytes() == b"mine"
    assert [p.stat().st_mode & 0o777 for p in (Path(mine), Path(mine).parent, store.folder)] == [0o600, 0o700, 0o700]
    file = {"path": mine, "url": "http://127.0.0.1/x", "orig_name": "a b.png"}
    assert checked({"data": [[file]]}, store) == {"data": [[{"path": mine, "orig_name": "a b.png"}]]}
    (tmp_path / "secret.png").write_text("secret")
    folder = Path(mine).parent
    for path in (
        tmp_path / "secret.png", folder, folder / "other.png", f"{folder}//a b.png", f"{folder}/./a b.png",
        f"{folder}/../../secret.png", "/dev/zero", "http://127.0.0.1/x", "a b.png", "", 3, [mine], {"path": mine},
    ):  # fmt: skip
        value = str(path) if isinstance(path, Path) else path
        for body in ({"data": [{"path": value}]}, {"data": [], "event_data": {"value": {"path": value}}}):
            with pytest.raises(InputError, match="not an upload of this studio"):
                checked(body, store)
    Path(mine).unlink()
    Path(mine).symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="not an upload of this studio"):
        checked({"data": [file]}, store)


def test_body_must_be_a_json_object_and_keeps_known_keys(tmp_path: Path) -> None:
    store = UploadStore(tmp_path)
    assert checked({"data": [1, "ü"], "fn_index": 3, "oauth_token": "x", "batched": True}, store) == {
        "data": [1, "ü"], "fn_index": 3,
    }  # fmt: skip
    for body in (
        "", "3", "[]", "{", '{"data": [NaN]}', '{"data": [-Infinity]}', '{"data": [1e999]}', '{"data": ["\\ud800"]}',
        '{"data": ' + "[" * 50 + "]" * 50 + "}", "[" * 100_000, '{"data": [' + "9" * 5000 + "]}", "\xff",
    ):  # fmt: skip
        with pytest.raises(InputError):
            check_body(body.encode("latin-1"), store)


def test_only_known_routes_are_allowed() -> None:
    for method, path in (
        ("GET", "/"), ("HEAD", "/"), ("GET", "/config"), ("GET", "/assets/index-a_1.js"), ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/queue/data"), ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/draw"), ("GET", "/gradio_api/call/draw/0a1b"), ("POST", "/gradio_api/upload"),
    ):  # fmt: skip
        assert is_allowed_route(method, path), path
    for method, path in (
        ("GET", "/gradio_api/proxy=https://a.hf.space/x"), ("GET", "/proxy=x"), ("GET", "/gradio_api/file/etc/passwd"),
        ("POST", "/gradio_api/component_server"), ("GET", "/gradio_api/vibe-code"), ("GET", "/monitoring"),
        ("POST", "/gradio_api/process_recording"), ("GET", "/assets/../../x"), ("GET", "/login"), ("PUT", "/"),
        ("POST", "/gradio_api/call/v2/draw"), ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"), ("POST", "/login"),
        ("GET", "/gradio_api/deep_link"), ("GET", "//evil.example/"), ("GET", "/config\n"), ("OPTIONS", "/"),
    ):  # fmt: skip
        assert not is_allowed_route(method, path), path


def test_total_size_of_uploads_is_limited(tmp_path: Path) -> None:
    store = UploadStore(tmp_path, max_total=100)
    with store.reserve(60):
        with (
            pytest.raises(InputError, match="holds at most 100 bytes of uploads, and this one makes 120 bytes"),
            store.reserve(60),
        ):
            raise AssertionError
        first = store.add("a.png", io.BytesIO(b"x" * 60))
    with pytest.raises(InputError, match="holds at most"), store.reserve(60):
        raise AssertionError
    with pytest.raises(InputError, match="an upload may have at most"), store.reserve(2**40):
        raise AssertionError

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionError

    with store.reserve(10), pytest.raises(ConnectionError):
        store.add("b.png", Broken())
    assert [p for p in store.folder.rglob("*") if p.is_file()] == [first]
    store.remove_old(max_age=-1)
    assert list(store.folder.iterdir()) == []
    with store.reserve(100):
        pass


def test_unusual_characters_in_file_names_are_replaced() -> None:
    for name, kept in (
        ("my duck.tif", "my duck.tif"), ("Ente (2).PNG", "Ente (2).PNG"), ("été.png", "été.png"),
        (r"C:\x\a.png", "a.png"), ("../../etc/passwd", "passwd"), ("a\n\x1b[31mb.png", "a-31mb.png"),
        ("", "file"), ("..", "file"), ("/", "file"),
    ):  # fmt: skip
        assert clean_name(name) == kept
    for long in ("a" * 500 + ".png", "ü" * 500 + ".png", "a." + "b" * 500):
        assert len(clean_name(long).encode()) <= 100


def test_folders_of_killed_studios_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of running and starting studios, and other folders, are kept."""
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    killed, new, other = (tmp_path / name for name in ("noisette-studio-a", "noisette-studio-b", "else"))
    for folder in (killed, new, other):
        (folder / "uploads").mkdir(parents=True)
    (killed / "lock").write_text("{}")
    (tmp_path / "noisette-studio-link").symlink_to(other)
    with temporary_folder() as mine:
        assert mine.stat().st_mode & 0o777 == 0o700
        remove_abandoned(tmp_path)
        assert not killed.exists() and mine.exists() and new.exists() and (other / "uploads").exists()
        os.utime(new, (time.time() - 60,) * 2)
        with RunLock(new):
            os.utime(new, (time.time() - 60,) * 2)
            remove_abandoned(tmp_path)
            assert new.exists()
        os.utime(new, (time.time() - 60,) * 2)
        remove_abandoned(tmp_path)
        assert not new.exists()
    assert not mine.exists() and (other / "uploads").exists()


def test_listeners_expire_after_the_grace_period() -> None:
    listeners, long_ago = Listeners(), time.monotonic() - 2 * GRACE_SECONDS
    assert not listeners.is_heard("a", since=long_ago) and listeners.is_heard("a", since=time.monotonic())
    with listeners.listening("a"), listeners.listening("a"):
        assert listeners.is_heard("event", "a", since=long_ago) and not listeners.is_heard("b", since=long_ago)
    assert listeners.is_heard("a", since=long_ago)  # within the grace period
    listeners.last_heard["a"] = long_ago
    assert not listeners.is_heard("a", since=long_ago)


STUCK = """
import sys, time
from noisette.studio import ending
ending.SHUTDOWN_SECONDS = 0.3
class Server: should_exit = False
with ending.exit_on_signals(), ending.close_on_signals(Server, lambda: print("cleaned", flush=True)):
    print("ready", flush=True)
    while sys.argv[1] == "stuck" or not Server.should_exit:
        time.sleep(0.05)
"""


@pytest.mark.parametrize("state", ["stuck", "well"])
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_signal_ends_the_process_even_if_it_is_stuck(state: str) -> None:
    for signal_number in (1, 2, 15):
        command = [sys.executable, "-c", STUCK, state]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            process.send_signal(signal_number)
            rest = process.stdout.read()
        expected = (
            -2 if state == "well" and signal_number == 2 else 128 + signal_number
        )  # -2: an uncaught KeyboardInterrupt
        assert (process.returncode, rest) == (expected, "cleaned\n" if state == "stuck" else "")


def test_direct_calls_wait_for_each_other_and_then_are_refused(tmp_path: Path) -> None:
    """Calls that do not go through the queue: a few run at once, some wait, and more are asked to try again."""
    running, most, answers = 0, 0, []

    async def slow(scope: object, receive: object, send: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async def call(app: RequestFilter) -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            answers.append(message.get("status"))

        await app({"type": "http", "method": "POST", "path": f"{DIRECT_ROUTE}predict", "headers": []}, receive, send)

    async def call_all() -> None:
        app = RequestFilter(slow, UploadStore(tmp_path), Listeners(), frozenset())
        await asyncio.gather(*(call(app) for _ in range(MAX_DIRECT_WAITING + 36)))
        await call(app)

    with ThreadPoolExecutor(1) as thread:  # playwright leaves an event loop running in this one
        thread.submit(asyncio.run, call_all()).result()
    assert most == MAX_DIRECT and answers.count(503) == 36
