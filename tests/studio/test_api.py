"""The studio's API endpoints, and the requests that it refuses."""

import base64
import http.client
import io
import json
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from noisette.data.png import read_png
from noisette.models import shipped
from noisette.models.config import from_json
from noisette.models.picture_model import load
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from studio.conftest import ENV, Studio, opened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(studio: Studio) -> Any:
    from gradio_client import Client

    return Client(studio.url, headers=studio.headers, verbose=False, analytics_enabled=False)


def get(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data, {k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_draw_endpoint_returns_the_pixels_of_the_library(client: Any, studio: Studio, tmp_path: Path) -> None:
    assert set(client.predict(api_name="/models")) >= {"gray", "tiny", *shipped.list_names()}
    drawn = client.predict(
        model="tiny", labels=["sword"], seed=4, number=2, steps=3, sampler="ddim", eta=0.5, api_name="/draw"
    )
    near = client.predict(model="tiny", record=drawn[1]["record"], number=3, degrees=10, api_name="/neighbors")
    model = load(studio.workspace / "tiny")
    for i, each in enumerate([*drawn, *near]):
        path = tmp_path / f"{i}.png"
        path.write_bytes(base64.b64decode(each["png"]))
        pixels, metadata = read_png(path)
        origin = from_json(SampleRecord, metadata, "it")
        assert (model.pictures.decode_samples(reproduce(model, origin)) == pixels).all()
        assert origin.seed == (4 if i == 0 else 5) and len(origin.rotations) == (i > 1)


def test_edit_walk_and_slide_endpoints(client: Any, studio: Studio) -> None:
    model = load(studio.workspace / "tiny")
    drawn = client.predict(model="tiny", seed=4, number=2, steps=3, attributes=[], api_name="/draw")
    picture = drawn[0]["png"]

    def pixels(text: str) -> np.ndarray:
        return np.array(Image.open(io.BytesIO(base64.b64decode(text))))

    shared: dict[str, Any] = {"model": "tiny", "picture": picture, "steps": 3}
    assert len(client.predict(**shared, strength=0.3, number=2, api_name="/vary")) == 2
    mask = ["1" * 16] * 4 + ["0" * 16] * 12
    filled = client.predict(**shared, mask=mask, rounds=1, api_name="/inpaint")
    assert (pixels(filled[0]["png"])[4:] == pixels(picture)[4:]).all() and filled[0]["record"]["edit"] == "inpaint"
    assert pixels(client.predict(**shared, margin=2, rounds=1, api_name="/outpaint")[0]["png"]).shape == (20, 20, 4)
    assert len(client.predict(**shared, axes="x", rounds=1, api_name="/tile")) == 1
    small = io.BytesIO()
    Image.fromarray(pixels(picture)).resize((8, 8)).save(small, "PNG")
    shared["picture"] = base64.b64encode(small.getvalue()).decode()
    assert pixels(client.predict(**shared, rounds=1, api_name="/upscale")[0]["png"]).shape == (16, 16, 4)
    frames = client.predict("tiny", drawn[0]["record"], drawn[1]["record"], frames=3, api_name="/walk")
    assert np.abs(pixels(frames[0]).astype(int) - pixels(picture)).max() <= 1
    names = client.predict("tiny", api_name="/directions")
    assert len(names) == 7 and names[-3:] == list(model.pictures.labels)
    plain, moved = (client.predict("tiny", {names[0]: s, "bread": s}, steps=3, api_name="/slide") for s in (0, 2))
    assert (pixels(plain[0]) != pixels(moved[0])).any()


def test_invalid_arguments_give_an_error_message(client: Any) -> None:
    from gradio_client.exceptions import AppError

    for wrong, words in (
        ({"model": "../outside"}, "no model is called"),
        ({"model": "tiny", "labels": ["swrod"]}, "did you mean 'sword'"),
        ({"model": "tiny", "steps": 10**6}, "at most 1000"),
        ({"model": "tiny", "steps": 2.5}, "steps must be an integer, got 2.5"),
        ({"model": "tiny", "seed": 2**64}, "seed must be at most"),
        ({"model": "tiny", "seed": "4"}, "seed must be an integer, got '4'"),
        ({"model": "tiny", "guidance": 1e6}, "guidance must be between -100 and 100, got 1e"),
        ({"model": "tiny", "attributes": ["hue=1"]}, "without attributes"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(**wrong, api_name="/draw")
    with pytest.raises(AppError, match="must be the bytes of a PNG in base64"):
        client.predict("tiny", "/etc/passwd", api_name="/vary")
    with pytest.raises(AppError, match="no direction is called"):
        client.predict("tiny", {"smile": 1.0}, api_name="/slide")
    for name in ("../../etc/passwd", "mien"):
        with pytest.raises(AppError, match="no run is called"):
            client.predict(name, api_name="/run")
    with pytest.raises(AppError, match="no folder of pictures is called"):
        client.predict("new", "../outside", 1.0, api_name="/train")


def test_only_files_of_the_studio_are_served(studio: Studio) -> None:
    for path in (studio.workspace / "secret.txt", studio.workspace / "tiny" / "config.json", Path("/etc/hostname")):
        for route in ("gradio_api/file=", "file="):
            status, body = get(f"{studio.url}{route}{path}", **studio.headers)
            assert status in (403, 404), (route, path, body[:100])


def test_other_hosts_and_origins_are_refused(studio: Studio) -> None:
    assert get(studio.url, **studio.headers)[0] == 200
    assert get(studio.url, **studio.headers, Host="evil.example")[0] == 421
    assert get(f"{studio.url}gradio_api/info", **studio.headers, Origin="http://evil.example")[0] == 403
    assert get(f"{studio.url}config", **studio.headers, Origin=studio.url.rstrip("/"))[0] == 200


def test_no_analytics_and_no_external_resources(studio: Studio) -> None:
    config = json.loads(get(f"{studio.url}config", **studio.headers)[1])
    assert config["analytics_enabled"] is False and not config.get("is_space")
    page = get(studio.url, **studio.headers)[1].decode()
    loaded = re.findall(r"<(?:script|link)[^>]*(?:src|href)=[\"'](https?:)?//", page)
    assert loaded == []


def test_other_addresses_than_loopback_need_a_token(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal ends the studio and removes its temporary files."""
    monkeypatch.setitem(ENV, "TMPDIR", str(tmp_path))
    process, address = opened("emoji-16", "--workspace", workspace, "--host", "0.0.0.0", "--port", 0)
    try:
        bare, _, token = address.replace("0.0.0.0", "127.0.0.1").partition("?token=")
        assert len(token) >= 24
        assert get(bare)[0] == 401
        assert get(f"{bare}config", Authorization=f"Bearer {token}")[0] == 200
        status, config = get(f"{bare}config", Cookie=f"noisette-{urlsplit(bare).port}={token}")
        assert status == 200
        props = [part.get("props", {}) for part in json.loads(config)["components"]]
        assert [one["value"] for one in props if one.get("elem_id") == "model"] == [
            "emoji-16"
        ]  # a shipped model, given by name
        assert len(list(tmp_path.glob("noisette-studio-*"))) == 1 and not (tmp_path / "gradio").exists()
    finally:
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    assert list(tmp_path.glob("noisette-studio-*")) == []


def test_upload_with_too_large_content_length_is_refused(studio: Studio) -> None:
    """By its Content-Length, before the body is sent."""
    connection = http.client.HTTPConnection(urlsplit(studio.url).netloc, timeout=20)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Length", str(2**29))
    connection.putheader(*next(iter(studio.headers.items())))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
