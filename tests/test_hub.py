"""The hub, played by a stub on this machine; what is said where there is none; and a card that says what is known."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image

from commands import ENV
from noisette import hub
from noisette.card import Licences
from noisette.errors import InputError
from noisette.model import PictureModel, load
from tiny_models import tiny

COMMIT = "0" * 40


class Stub(BaseHTTPRequestHandler):
    """As much of the hub as one model needs: me/sprites. `files` is what it holds."""

    files: dict[str, bytes]
    asked: list[str]

    def log_message(self, *words: object) -> None:
        pass

    def answer(self, body: bytes, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.rpartition("/")[2]
        if not self.path.startswith("/me/sprites/resolve/main/"):
            self.answer(b"{}", 404, X_Error_Code="RepoNotFound")
        elif name not in self.files:
            self.answer(b"{}", 404, X_Error_Code="EntryNotFound")
        else:
            self.answer(self.files[name], ETag=f'"{name}"', X_Repo_Commit=COMMIT)

    def do_POST(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        home = f"http://{self.headers['Host']}/me/sprites"
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path.endswith("/preupload/main"):
            wanted = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(data)["files"]
            ]
            self.answer(json.dumps({"files": wanted}).encode())
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, data.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            told = {"commitUrl": f"{home}/commit/{COMMIT}", "commitOid": COMMIT, "hookOutput": ""}
            self.answer(json.dumps(told).encode())
        else:
            self.asked.append(data.decode())
            self.answer(json.dumps({"url": home, "name": "me/sprites"}).encode())


@pytest.fixture
def stub() -> Iterator[tuple[type[Stub], str]]:
    kind = type("OneStub", (Stub,), {"files": {}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def noisette(home: Path, endpoint: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that believes the stub to be the hub."""
    env = {**ENV, "HF_ENDPOINT": endpoint, "HF_HOME": str(home / "hf"), "HF_TOKEN": "hf_x", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "noisette", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False, cwd=home)


def test_up_and_down_again(stub, tmp_path: Path):
    """What was pushed is what is opened from there, by its name."""
    kind, endpoint = stub
    tiny().save_pretrained(tmp_path / "model")
    push = ("--to", "hub", "--licence", "MIT", "--push", "me/sprites")
    done = noisette(tmp_path, endpoint, "export", "model", "out", *push)
    assert done.returncode == 0, done.stderr
    assert "pushed: http" in done.stdout and "--data-licence would say it" in done.stdout
    assert kind.files.keys() == {"README.md", "config.json", "model.safetensors", "samples.png"}
    asked_for = next(json.loads(line) for line in kind.asked if line.startswith("{"))
    assert asked_for["name"] == "sprites" and "private" in (asked_for.get("visibility"), *asked_for)
    for name, data in kind.files.items():
        assert data == (tmp_path / "out" / name).read_bytes()

    done = noisette(tmp_path, endpoint, "sample", "hf://me/sprites", "--out", "new", "-n", 1, "--steps", 1)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "bread-000000.png").is_file()
    del kind.files["model.safetensors"]
    for words, said in (
        (("sample", "hf://me/other", "--out", "new"), "the hub has no me/other"),
        (("sample", "hf://me", "--out", "new"), "it should be hf://OWNER/NAME"),
        (("export", "model", "again", "--to", "hub", "--push", "sprites"), "it should be OWNER/NAME"),
    ):
        done = noisette(tmp_path, endpoint, *words)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_nobody_there(tmp_path: Path):
    """One sentence, whatever the library raises."""
    tiny().save_pretrained(tmp_path / "model")
    done = noisette(tmp_path, "http://127.0.0.1:9", "export", "model", "out", "--to", "hub", "--push", "me/sprites")
    assert done.returncode == 2 and "cannot be reached" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The tests run with HF_HUB_OFFLINE=1: a name of the hub is refused in a sentence, and a path never reaches it."""
    with pytest.raises(InputError, match=r"cannot be reached for me/sprites.*HF_HUB_OFFLINE is set"):
        load("hf://me/sprites")
    with pytest.raises(InputError, match=r"cannot be reached for me/sprites.*HF_HUB_OFFLINE is set"):
        tiny().push_to_hub("me/sprites")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no folder me/sprites: a model of the hub would be hf://me/sprites"):
        load("me/sprites")
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[hub\]'"):
        load("hf://me/sprites")


def test_a_card_without_a_run(tmp_path: Path):
    """What is not known is not stated; the pictures are the model's own."""
    model = tiny()
    model.save_with_card(tmp_path / "potions")
    text = (tmp_path / "potions" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: noisette\n") and "license" not in text
    assert "# potions" in text and "bread, health potion, sword" in text and "8×8, RGBA" in text
    assert "licence of the data | not stated" in text and "Of this model: not stated" in text
    with Image.open(tmp_path / "potions" / "samples.png") as image:
        assert image.mode == "RGBA" and image.width > 8 * 16
    again = PictureModel.from_pretrained(tmp_path / "potions")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_what_the_person_says(tmp_path: Path):
    tiny().save_with_card(tmp_path / "a", Licences("my own terms", "CC-BY 4.0, by | me"))
    text = (tmp_path / "a" / "README.md").read_text()
    assert 'license: other\nlicense_name: "my own terms"' in text and "CC-BY 4.0, by / me" in text
