"""The page that draws by itself, in Chromium: it draws what `noisette sample` draws, from disk and from a server,
without a network, for every visitor. ONNX Runtime Web comes from npm (NOISETTE_NPM); without it the tests are skipped,
except in CI.
"""

import base64
import functools
import io
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.cli import main
from noisette.data.origin_mark import xmp_packet
from noisette.data.png import read_metadata
from noisette.diffusion.gaussian_prior import GaussianPrior
from noisette.diffusion.noise import Seeded
from noisette.diffusion.parametrization import V
from noisette.diffusion.schedule import Cosine
from noisette.errors import InputError
from noisette.interop import web_page, web_runtime, web_weights
from noisette.interop.web_page import export_page
from noisette.interop.web_runtime import find_runtime
from noisette.interop.web_weights import KidCost, measure_kid_cost, pack, round_mantissa, round_network
from noisette.models.config import SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.sampling.record import read_record
from noisette.sampling.run import reproduce
from tiny_models import tiny

from .models import small
from .test_sheets import Handler, require

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
LABELS = ("bread", HOSTILE, "{{script}} \u2028 \"health\" & 'potion'")
DONE = re.compile(r"pictures in|cannot|Stopped")
READY = 60_000


@dataclass
class Visit:
    """An opened page."""

    page: Any
    model: Path
    requests: list[str]
    wrong: list[str]

    def wait(self) -> None:
        """Until it has drawn."""
        self.page.locator("#status", has_text=DONE).wait_for(timeout=READY)

    def draw(self) -> None:
        self.page.locator("#draw").click()
        self.wait()

    def files(self) -> list[bytes]:
        """The PNG files that its Save buttons write."""
        script = "async () => { const all = []; for (let i = 0; i < COUNT; i++) all.push(String.fromCharCode("
        script += "...await encodeCell(i))); return all.map(btoa); }"
        return [base64.b64decode(text) for text in self.page.evaluate(script)]

    def pixels(self) -> torch.Tensor:
        arrays = [np.array(Image.open(io.BytesIO(data))) for data in self.files()]
        shape = (len(arrays), *arrays[0].shape[:2], -1)
        return torch.from_numpy(np.stack(arrays).reshape(shape)).permute(0, 3, 1, 2)


def have_runtime() -> None:
    try:
        found = True
        find_runtime()
    except InputError:
        found = False
    require(found, "onnxruntime-web")


def call(*words: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert not stop.value.code


def save_with_prior(folder: Path) -> None:
    """RGBA with labels, of which one is hostile, and with a closed form at high noise."""
    net = {"channels": (8,), "attention": (True,)}
    plain = small(mode="RGBA", labels=LABELS, **net)
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(40, *plain.pictures.shape, generator=generator) * 2 - 1
    model = PictureModel(plain.config, GaussianPrior.fit(pictures, torch.arange(40) % 4 - 1, len(LABELS)))
    model.net.load_state_dict(plain.net.state_dict())
    assert [model.calls_network(t) for t in model.grid()[:-1]] == [False, False, True, True]
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, Path]]]:
    """The addresses and models of a page on disk, and of a folder on a server; by the command."""
    have_runtime()
    home = tmp_path_factory.mktemp("web")
    save_with_prior(home / "colors")
    # noise in every step, and 99 numbers in a picture: not a multiple of 16
    sampling = SamplingDefaults("ddpm", "trailing", 5)
    small(Cosine(), V(), mode="L", size=(9, 11), sampling=sampling, channels=(8,), attention=(False,)).save_pretrained(
        home / "gray"
    )
    call("export", home / "colors", home / "page.html", "--to", "web")
    call("export", home / "gray", home / "site", "--to", "web-folder")
    handler = functools.partial(Handler, directory=str(home / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "colors": ((home / "page.html").resolve().as_uri(), home / "colors"),
            "gray": (f"http://127.0.0.1:{server.server_port}/", home / "gray"),
        }
        server.shutdown()


def visit(browser: Any, address: str, model: Path) -> Visit:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    seen = Visit(context.new_page(), model, [], [])
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("pageerror", lambda error: seen.wrong.append(str(error)))
    seen.page.on("console", lambda text: seen.wrong.append(text.text) if text.type == "error" else None)
    seen.page.goto(address)
    seen.wait()
    return seen


@pytest.fixture(scope="module")
def colors(browser: Any, sites: dict[str, tuple[str, Path]]) -> Iterator[Visit]:
    """The page on disk; the tests use it one after the other."""
    seen = visit(browser, *sites["colors"])
    yield seen
    seen.page.context.close()


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def largest_difference(seen: torch.Tensor, expected: torch.Tensor) -> int:
    return int((seen.int() - expected.int()).abs().max())


def test_a_page_on_disk_draws_what_sample_draws(colors: Visit) -> None:
    """On opening: all labels in turn, seeds from 0; then another seed, one label, with guidance."""
    assert largest_difference(colors.pixels(), noisette.draw(colors.model, 16).pixels) <= 2
    for seed, label, guidance in ((12345678901234, None, 1.0), (7, LABELS[1], 2.5)):
        colors.page.locator("#seed").fill(str(seed))
        colors.page.locator("#label").select_option("no label" if label is None else label)
        colors.page.locator("#guidance").fill(str(guidance))
        colors.draw()
        expected = noisette.draw(colors.model, 16, [label], seed=seed, guidance=guidance)
        assert largest_difference(colors.pixels(), expected.pixels) <= 2, label


def test_a_folder_on_a_server_draws_what_sample_draws(browser: Any, sites: dict[str, tuple[str, Path]]) -> None:
    """With noise in every step. All that is loaded is of the same server, and the page allows no other."""
    address, model = sites["gray"]
    seen = visit(browser, address, model)
    assert largest_difference(seen.pixels(), noisette.draw(model, 16).pixels) <= 2
    assert all(url.startswith((address, "blob:", "data:")) for url in seen.requests) and seen.wrong == []
    assert seen.page.locator("#label, #guidance").count() == 0
    seen.page.context.close()


def test_a_saved_picture_is_as_one_of_sample(colors: Visit, tmp_path: Path) -> None:
    """Its record draws it again, its marks are those of our own files, and its name is that of its label and seed."""
    colors.page.locator("#label").select_option(LABELS[2])
    colors.page.locator("#guidance").fill("1")
    colors.page.locator("#seed").fill("3")
    colors.draw()
    with colors.page.expect_download() as download:
        colors.page.get_by_role("button", name="Save").nth(4).press("Enter")
    assert download.value.suggested_filename == "script-health-potion-000007.png"
    path = tmp_path / "saved.png"
    download.value.save_as(path)
    record = read_record(read_metadata(path), "saved.png")
    assert (record.seed, record.label, record.batch) == (7, LABELS[2], 15)
    model = noisette.load(colors.model)
    again = model.pictures.decode_samples(reproduce(model, record))
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("RGBA", (8, 8))
        assert largest_difference(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None], again) <= 2
        assert image.text["Software"] == "noisette" and image.text["XML:com.adobe.xmp"] == xmp_packet("generated")
    call("sample", colors.model, "--like", path, "--out", tmp_path / "like")
    assert len(list((tmp_path / "like").iterdir())) == 1


@pytest.mark.parametrize("seed", [0, 1, 2**40 + 17, 2**64 - 1])
def test_the_noise_of_a_seed(browser: Any, seed: int) -> None:
    """PyTorch's numbers, several calls in a row, also where the number of pixels is not a multiple of 16."""
    page, source = browser.new_page(), (web_page.SOURCES / "random.js").read_text()
    script = f"{source}; const noise = new SeededNoise('{seed}'); [1024, 99, 16].map((n) => [...noise.normal(n)])"
    stream = Seeded([seed])
    for numbers in page.evaluate(script):
        expected = stream(torch.empty(1, len(numbers)))[0]
        torch.testing.assert_close(torch.tensor(numbers), expected, rtol=0, atol=2e-6)
    page.close()


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_loaded_and_nothing_can_be(colors: Visit, sites: dict[str, tuple[str, Path]]) -> None:
    """No request but of itself; its policy refuses connections; labels are text, whatever they hold."""
    page = colors.page
    assert all(url == sites["colors"][0] or url.startswith(("blob:", "data:")) for url in colors.requests)
    assert page.evaluate("typeof window.hacked") == "undefined"
    options = page.locator("#label option").all_text_contents()
    assert options == ["all in turn", *LABELS, "no label"]
    document = Path(sites["colors"][0].removeprefix("file://")).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', document)[1]
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy and "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy and not re.search(r"https?:", policy)
    assert colors.wrong == []
    for attempt in (
        "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)",
        "fetch('data:,x').then(() => 'sent', (error) => error.name)",
        "new Promise((resolve) => { const image = new Image(); image.onload = () => resolve('sent');"
        "image.onerror = () => resolve('TypeError'); image.src = 'http://127.0.0.1:9/x.png'; })",
        "new Promise((resolve) => { const code = document.createElement('script'); code.textContent = 'window.ran = 1';"
        "document.body.append(code); resolve(window.ran ? 'sent' : 'TypeError'); })",
    ):
        assert page.evaluate(attempt) == "TypeError", attempt
    colors.wrong.clear()
    assert page.evaluate("document.querySelector('pre').textContent").count("MIT License") == 1


def test_steps_are_shown_and_drawing_can_be_stopped(colors: Visit) -> None:
    page = colors.page
    colors.draw()
    shown = "Array.from(cells, (cell) => cell.canvas.toDataURL()).join()"
    last = page.evaluate(shown)
    page.locator("#steps").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#step").inner_text() == "3 of 4" and page.evaluate(shown) != last
    page.keyboard.press("End")
    assert page.evaluate(shown) == last
    page.evaluate("draw(); worker.postMessage({kind: 'stop', job})")
    colors.wait()
    assert page.locator("#status").inner_text() == "Stopped." and page.locator("#draw").inner_text() == "Draw"
    assert page.locator("#pictures button:enabled").count() == 0
    colors.draw()
    assert page.evaluate(shown) == last


def test_keys_do_everything(colors: Visit) -> None:
    page, press = colors.page, colors.page.keyboard.press
    page.locator("#seed").focus()
    press("ControlOrMeta+a")
    page.keyboard.type("41")
    press("Enter")
    colors.wait()
    assert page.locator("#pictures canvas").first.get_attribute("aria-label").endswith("seed 41")
    reached = []
    for _ in range(24):
        press("Tab")
        element = "document.activeElement"
        reached.append(page.evaluate(f"{element}.id || {element}.getAttribute('aria-label') || {element}.tagName"))
    assert reached[:5] == ["label", "guidance", "draw", "random", "steps"]
    assert sum(name.startswith("Save ") for name in reached) == 16 and "SUMMARY" in reached
    page.locator("#random").press("Space")
    colors.wait()
    assert page.locator("#seed").input_value() != "41"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (380, "dark")])
def test_the_page_is_accessible(colors: Visit, width: int, scheme: str) -> None:
    """axe finds nothing, nothing is wider than the screen, and every pixel of a picture is a square."""
    from axe_playwright_python.sync_playwright import Axe

    page = colors.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("summary").click()
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate("cells.map(({canvas: c}) => [c.clientWidth / c.width, c.clientHeight / c.height])")
    assert all(w == h == int(w) for w, h in sizes) and sizes[0][0] >= 6
    if shots := os.environ.get("NOISETTE_SHOTS"):
        page.screenshot(path=str(Path(shots) / f"web-page-{width}-{scheme}.png"), full_page=True)
    page.locator("summary").click()


# ── weights ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_are_rounded_to_the_nearest() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * 1e-3
    for bits in (10, 16):
        rounded = round_mantissa(values, bits)
        assert 2.0 ** -(bits + 3) < np.abs(rounded / values - 1).max() <= 2.0 ** -(bits + 1)
        assert not np.any(rounded.view(np.uint32) & (2 ** (23 - bits) - 1))
    # NumPy's half precision, but for numbers that are halfway between two
    assert np.mean(round_mantissa(values + 1, 10) == (values + 1).astype(np.float16)) > 0.99


def test_packed_bytes_are_smaller_than_gzip_alone() -> None:
    import gzip

    numbers = np.random.default_rng(0).standard_normal(10_001).astype(np.float32)
    data = round_mantissa(numbers, 16).tobytes() + b"xyz"  # a length that is no multiple of 4
    packed, planes = pack(data), gzip.decompress(pack(data))
    joined, at = bytearray(len(data)), 0
    for plane in range(4):
        count = len(joined[plane::4])
        joined[plane::4] = planes[at : at + count]
        at += count
    assert bytes(joined) == data
    assert len(packed) < 0.9 * len(gzip.compress(data)) and len(packed) < 0.7 * len(data)


def test_half_precision_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the held-out pictures of the run; without a run it is refused."""
    model = tiny()
    with pytest.raises(InputError, match="give a run folder, or leave --half out"):
        measure_kid_cost(model)
    assert KidCost(40.0, 41.9).is_small and not KidCost(40.0, 42.1).is_small and KidCost(40.0, 30.0).is_small
    monkeypatch.setattr(web_weights, "KID_SAMPLES", 12)
    model = noisette.load(Path(__file__).parents[1] / "fixtures" / "v0.1.0" / "run")
    cost = measure_kid_cost(model)
    assert cost.full > 0 and cost.half == pytest.approx(cost.full, rel=0.05)
    rounded = tiny()
    round_network(rounded.net, 10)
    for before, after in zip(tiny().net.parameters(), rounded.net.parameters(), strict=True):
        assert torch.equal(before, after) == (before.numel() < web_weights.MIN_SIZE)


# ── refused ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence each, and nothing is written."""
    (tmp_path / "mine.html").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOISETTE_NPM", raising=False)
    monkeypatch.setattr(web_runtime, "BUNDLED", tmp_path / "none")
    model = tiny()
    for target, options, reason in (
        ("page.txt", {}, r"must end in \.html, got page.txt"),
        ("mine.html", {}, r"mine\.html exists already"),
        ("full", {"folder": True}, "is not empty"),
        ("page.html", {}, r"onnxruntime-web, which was not found: run `npm install onnxruntime-web@\d"),
        ("page.html", {"runtime": tmp_path / "full"}, r"is not in .*full: run `npm install"),
    ):
        with pytest.raises(InputError, match=reason):
            export_page(model, Path(target), **options)
    dist = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    dist.mkdir(parents=True)
    for name in web_runtime.FILES:
        (dist / name).write_bytes(name.encode())
    assert find_runtime().version == "of an unknown version"
    (dist.parent / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    assert find_runtime(tmp_path) == replace(find_runtime(dist.parent), version="1.2.3")
    with pytest.raises(InputError, match="takes an input picture"):
        export_page(small(in_channels=6), Path("page.html"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "mine.html", "node_modules"]
