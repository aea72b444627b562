"""The hub, as a local stub server; errors without a hub; and model cards."""

import base64
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image

from forking import shared
from noisette.errors import InputError
from noisette.io import hub
from noisette.models.picture_model import PictureModel, load
from noisette.report.card import Licenses, push_to_hub, save_with_card
from tiny_models import tiny

COMMIT = "0" * 40


class Stub(BaseHTTPRequestHandler):
    """A hub with one repository, me/sprites; `files` is its content, each served as part of a commit."""

    files: dict[str, bytes]
    requests: list[str]
    commits: dict[str, str]  # of files that are not of COMMIT

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
        self.requests.append(f"{self.command} {self.path}")
        name = self.path.rpartition("/")[2]
        if re.match(r"/me/sprites/resolve/(main|[0-9a-f]{40})/", self.path) is None:
            self.answer(b"{}", 404, X_Error_Code="RepoNotFound")
        elif name not in self.files:
            self.answer(b"{}", 404, X_Error_Code="EntryNotFound")
        else:
            self.answer(self.files[name], ETag=f'"{name}"', X_Repo_Commit=self.commits.get(name, COMMIT))

    def do_POST(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
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
            reply = {"commitUrl": f"{home}/commit/{COMMIT}", "commitOid": COMMIT, "hookOutput": ""}
            self.answer(json.dumps(reply).encode())
        else:
            self.requests.append(data.decode())
            self.answer(json.dumps({"url": home, "name": "me/sprites"}).encode())


@pytest.fixture
def stub() -> Iterator[tuple[type[Stub], str]]:
    kind = type("OneStub", (Stub,), {"files": {}, "requests": [], "commits": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def commands_with_hub(home: Path, endpoint: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """What runs a command in `home`, with a server as its hub: each in a process of its own."""
    env = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home / "hf"), "HF_TOKEN": "hf_x", "HF_HUB_OFFLINE": "0"}
    return partial(shared().run, cwd=home, **env)


def test_up_and_down_again(stub, tmp_path: Path):
    """A model is pushed, and loaded by its hub name."""
    kind, endpoint = stub
    tiny().save_pretrained(tmp_path / "model")
    noisette = commands_with_hub(tmp_path, endpoint)
    push = ("--to", "hub", "--license", "MIT", "--push-to-hub", "me/sprites")
    done = noisette("export", "model", "out", *push)
    assert done.returncode == 0, done.stderr
    assert "pushed: http" in done.stdout and "add --data-license" in done.stdout
    assert kind.files.keys() == {"README.md", "config.json", "model.safetensors", "samples.png"}
    request = next(json.loads(line) for line in kind.requests if line.startswith("{"))
    assert request["name"] == "sprites" and "private" in (request.get("visibility"), *request)
    for name, data in kind.files.items():
        assert data == (tmp_path / "out" / name).read_bytes()

    done = noisette("sample", "hf://me/sprites", "--out", "new", "-n", 1, "--steps", 1)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "bread-000000.png").is_file()
    del kind.files["model.safetensors"]
    for words, message in (
        (("sample", "hf://me/other", "--out", "new"), "the hub has no me/other"),
        (("sample", "hf://me", "--out", "new"), "it should be hf://OWNER/NAME"),
        (("export", "model", "again", "--to", "hub", "--push-to-hub", "sprites"), "it should be OWNER/NAME"),
    ):
        done = noisette(*words)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_commit_that_is_named_is_what_is_loaded(stub, tmp_path: Path):
    """A hub that gives another commit than the address names, for the first file or a later one, is refused."""
    kind, endpoint = stub
    tiny().save_pretrained(tmp_path / "model")
    kind.files |= {name: (tmp_path / "model" / name).read_bytes() for name in hub.MODEL_FILES}
    other, sample = "1" * 40, ("--out", "new", "-n", 1, "--steps", 1)

    noisette = commands_with_hub(tmp_path, endpoint)
    done = noisette("sample", f"hf://me/sprites@{COMMIT}", *sample)
    assert done.returncode == 0, done.stderr
    before = sorted((tmp_path / "new").iterdir())

    for wrong in ({}, {"config.json": other}):  # all files of the wrong commit; and all but the first
        kind.commits = wrong
        done = noisette("sample", f"hf://me/sprites@{other}", *sample)
        message = f"the hub gave the revision {COMMIT} of me/sprites, not {other}"
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    kind.commits = {"model.safetensors": other}  # without a commit in the address, all files are of the first one's
    noisette = commands_with_hub(tmp_path / "model", endpoint)  # with a cache of its own
    done = noisette("sample", "hf://me/sprites", *sample)
    assert done.returncode == 2 and f"the hub gave the revision {other} of me/sprites, not {COMMIT}" in done.stderr
    assert sorted((tmp_path / "new").iterdir()) == before and not (tmp_path / "model" / "new").exists()


def test_an_unreachable_hub_is_one_sentence(tmp_path: Path):
    """Errors of the library become one sentence."""
    tiny().save_pretrained(tmp_path / "model")
    noisette = commands_with_hub(tmp_path, "http://127.0.0.1:9")
    done = noisette("export", "model", "out", "--to", "hub", "--push-to-hub", "me/sprites")
    assert done.returncode == 2 and "cannot be reached" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_hub_names_are_refused_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The tests run with HF_HUB_OFFLINE=1: hub names raise one sentence, and local paths do not use the hub."""
    with pytest.raises(InputError, match=r"cannot be reached for me/sprites.*HF_HUB_OFFLINE is set"):
        load("hf://me/sprites")
    with pytest.raises(InputError, match=r"cannot be reached for me/sprites.*HF_HUB_OFFLINE is set"):
        push_to_hub(tiny(), "me/sprites")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no folder me/sprites: a model of the hub would be hf://me/sprites"):
        load("me/sprites")
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[hub\]'"):
        load("hf://me/sprites")


def test_a_card_without_a_run(tmp_path: Path):
    """Unknown facts are "not stated"; the pictures are samples of the model."""
    model = tiny()
    save_with_card(model, tmp_path / "potions")
    text = (tmp_path / "potions" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: noisette\n") and "license" not in text.split("---")[1]
    assert "# potions" in text and "bread, health potion, sword" in text and "8×8, RGBA" in text
    assert "license of the data | not stated" in text and "Model: not stated" in text
    with Image.open(tmp_path / "potions" / "samples.png") as image:
        assert image.mode == "RGBA" and image.width > 8 * 16
    again = PictureModel.from_pretrained(tmp_path / "potions")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_licenses_are_on_the_card(tmp_path: Path):
    save_with_card(tiny(), tmp_path / "a", Licenses("my own terms", "CC-BY 4.0, by | me"))
    text = (tmp_path / "a" / "README.md").read_text()
    assert 'license: other\nlicense_name: "my own terms"' in text and "CC-BY 4.0, by / me" in text


def test_an_autoencoder_of_diffusers_is_downloaded(stub, tmp_path: Path):
    """Its config and its weights, of one commit; here refused for the size of the pictures, once it has been opened."""
    from diffusers import AutoencoderTiny

    kind, endpoint = stub
    small = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    AutoencoderTiny(**small, num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)).save_pretrained(tmp_path / "vae")
    kind.files = {path.name: path.read_bytes() for path in (tmp_path / "vae").iterdir()}
    train = ("train", "emoji", "--out", "run", "--images", "8", "--size", "8", "--autoencoder", "hf://me/sprites")
    done = commands_with_hub(tmp_path, endpoint)(*train)
    assert done.returncode == 2 and "the latents of 8×8 pictures have 4×4 pixels at factor 2" in done.stderr
    asked = {line.rpartition("/resolve/")[2] for line in kind.requests if line.startswith("GET /me/sprites/")}
    assert asked == {"main/config.json", f"{COMMIT}/diffusion_pytorch_model.safetensors"}
    assert not (tmp_path / "run").exists()
