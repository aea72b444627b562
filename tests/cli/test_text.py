"""noisette train --text, sample --text and the edits by text; docs/text.md: its commands and its code are run."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from commands import SMALL
from encoders import random_bert
from noisette.data.pictures import TextEncoderInfo
from noisette.data.png import read_png
from noisette.data.text import open_encoder
from tiny_models import tiny

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "text.md").read_text("utf8")
LINES = [line.strip() for line in PAGE.splitlines() if line.startswith("    noisette ")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module", autouse=True)
def trusted(encoder: Path) -> Iterator[None]:
    """The user trusts this encoder: in every command, as with --trust-encoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisette.data.text.trusted._trusted", [str(encoder)])
        yield


@pytest.fixture(scope="module")
def model(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights that reads, and knows two labels as well."""
    wording: TextEncoderInfo = open_encoder(str(encoder)).info
    folder = tmp_path_factory.mktemp("model") / "reads"
    tiny("RGB", ("food", "tool"), wording=wording).save_pretrained(folder)
    return folder


def test_draws_by_text(call, model: Path, tmp_path: Path) -> None:
    """One row of the sheet per text; the request is recorded in the files, and --like reproduces them."""
    options = ("-n", 5, "--steps", 2, "--text", "a red fish", "--text", "a big blue square")
    result = call("sample", model, "--out", tmp_path / "out", *options)
    assert result.code == 0, result.err
    names = ["a-red-fish-000000", "a-big-blue-square-000001", "a-red-fish-000002", "a-big-blue-square-000003",
             "a-red-fish-000004"]  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*(f"{n}.png" for n in names), "grid.png"])
    rows = ["a-red-fish-000000", "a-red-fish-000002", "a-red-fish-000004", "a-big-blue-square-000001"]
    with Image.open(tmp_path / "out/grid.png") as grid:
        side = grid.width // 3
        for i, name in enumerate(rows):
            with Image.open(tmp_path / "out" / f"{name}.png") as tile:
                top, left = i // 3 * (side + 8), i % 3 * (side + 8)
                assert grid.getpixel((left + 4, top + 4)) == tile.getpixel((0, 0)), name
    _, metadata = read_png(tmp_path / "out" / f"{names[1]}.png")
    assert metadata["text"] == "a big blue square" and metadata["label"] is None
    result = call("sample", model, "--out", tmp_path / "again", "--like", tmp_path / "out" / f"{names[1]}.png")
    assert result.code == 0, result.err
    one, other = (read_png(tmp_path / folder / f"{names[1]}.png")[0] for folder in ("out", "again"))
    assert torch.equal(one, other)


def test_texts_and_labels_together(call, model: Path, tmp_path: Path) -> None:
    result = call("sample", model, "--out", tmp_path, "-n", 1, "--steps", 1, "--label", "tool", "--text", "a red fish")
    assert result.code == 0 and (tmp_path / "tool-a-red-fish-000000.png").is_file()
    loaded = noisette.load(model)
    x, t = torch.randn(1, 3, 8, 8), torch.tensor(0.3, dtype=torch.float64)
    conditions = [loaded.condition(label, text=text) for label in ("tool", None) for text in ("fish", None)]
    answers = [loaded.given(cond)(x, t).x0 for cond in conditions]
    assert all(not torch.allclose(a, b, atol=1e-4) for i, a in enumerate(answers) for b in answers[i + 1 :])


def test_text_can_be_negative(call, model: Path, tmp_path: Path) -> None:
    options = ("-n", 1, "--steps", 2, "--text", "a red fish", "--guidance", 2)
    pictures = []
    for i, negative in enumerate(((), ("--negative-text", "red"), ("--negative-text", "big blue"))):
        result = call("sample", model, "--out", tmp_path / str(i), *options, *negative)
        assert result.code == 0, result.err
        pictures.append(read_png(tmp_path / str(i) / "a-red-fish-000000.png")[0])
    assert not torch.equal(pictures[0], pictures[1]) and not torch.equal(pictures[1], pictures[2])
    like = call("sample", model, "--out", tmp_path / "again", "--like", tmp_path / "2" / "a-red-fish-000000.png")
    assert like.code == 0, like.err
    assert torch.equal(read_png(tmp_path / "again" / "a-red-fish-000000.png")[0], pictures[2])


def test_a_walk_goes_through_texts(call, model: Path, tmp_path: Path) -> None:
    options = (
        "--keyframes",
        2,
        "--frames",
        4,
        "--format",
        "none",
        "--steps",
        1,
        "--text",
        "a red fish",
        "--text",
        "tool",
    )
    result = call("edit", "walk", model, "--out", tmp_path, *options)
    assert result.code == 0, result.err
    pixels, metadata = zip(*(read_png(tmp_path / f"frame-{i}.png") for i in range(4)), strict=True)
    assert [(s["from_text"], s["to_text"]) for s in metadata[::2]] == [("a red fish", "tool"), ("tool", "a red fish")]
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(pixels))


def test_impossible_texts_are_refused(refused, model: Path, other_model: Path, tmp_path: Path) -> None:
    message = refused("sample", other_model, "--out", tmp_path / "a", "--text", "a red fish")
    assert "trained without text: leave out the text 'a red fish'" in message
    assert "leave --text out" in refused("sample", model, "--out", tmp_path, "--like", "x.png", "--text", "fish")
    assert "no sentence encoder is called minilm" in refused(
        "train", "digits", "--out", tmp_path / "b", "--encoder", "minilm", "--images", 8
    )


def test_the_commands_of_the_page(
    call, model: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "sprites").mkdir()
    rows = []
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"sprites/red-fish-{i}.png")
        rows.append({"file_name": f"red-fish-{i}.png", "text": "a red fish"})
    assert noisette.load(model).config.net.tokens == 16
    for name in ("sprites", "emoji"):
        noisette.load(model).save_pretrained(tmp_path / "runs" / name / "model")
    shown = {"sample": ("-n", 2, "--steps", 1), "edit": ("--frames", 2, "--steps", 1, "--format", "none"), "train": ()}
    assert {shlex.split(line)[1] for line in LINES} == set(shown)
    for line in LINES:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "train":  # not for as long; emoji have many texts: with an encoder that is quick
            words = [w for i, w in enumerate(words) if "--for" not in (w, words[i - 1])]
            words[words.index("--out") + 1] += "-trained"
            words += ["--images", "8", "--batch", "4", "--preset", "tiny", "--recipe", SMALL]
            if words[1] == "emoji":
                words[words.index("--text") : words.index("--text") + 1] = ["--encoder", str(encoder)]
        result = call(*words, *shown[words[0]])
        assert result.code == 0, f"{line}\n{result.err}"
    x, t = torch.randn(2, 3, 8, 8), torch.tensor(0.3, dtype=torch.float64)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    names: dict[str, object] = {}
    exec(code, names)
    denoise = names["denoiser"]
    assert callable(denoise) and denoise(x, t).x0.isfinite().all()


def test_every_file_that_the_page_names_is_there() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_the_emoji_have_names() -> None:
    from noisette.data.builtin import open_emoji

    texts = [entry.text for entry in open_emoji().entries]
    assert all(texts) and "grinning face" in texts and len(set(texts)) > 1800
    assert not [json.dumps(t) for t in texts if t != " ".join((t or "").split())]
