"""Training on captions, and drawing by text: end to end at tiny size, by a small random encoder."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import noisette
from commands import SMALL
from encoders import random_bert
from noisette.data import Dataset
from noisette.data.text import trust_encoder
from noisette.data.text.trusted import trusted_encoders
from noisette.diffusion.guidance import Guided
from noisette.errors import InputError
from noisette.io.json_files import read_json
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from noisette.training import Interrupted, Progress, TrainOptions, train

WORDS = [(color, kind) for color in ("red", "blue") for kind in ("fish", "tool", "square")]


@pytest.fixture(scope="module")
def fish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 pictures of 8×8 with captions, one without."""
    folder, rng, rows = tmp_path_factory.mktemp("fish"), np.random.default_rng(0), []
    for i in range(36):
        color, kind = WORDS[i % len(WORDS)]
        pixels = rng.integers(0, 60, (8, 8, 3), dtype=np.uint8)
        pixels[2:6, 2:6, 0 if color == "red" else 2] = 220
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        rows.append({"file_name": f"{i:02d}.png", "text": f"a {color} {kind}" if i else None})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_bert(tmp_path_factory.mktemp("encoder") / "bert")


def options(encoder: Path, **changes) -> TrainOptions:
    arguments = {"preset": "tiny", "images": 48, "batch": 8, "precision": "fp32", "text": str(encoder), "recipe": SMALL}
    return TrainOptions(**(arguments | changes))


@pytest.fixture(scope="module")
def run(fish: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    train(fish, out, options(encoder))
    return out


def test_the_run_holds_what_was_read(run: Path, encoder: Path) -> None:
    data = Dataset.open(run)
    model = noisette.load(run)
    wording = model.pictures.text_encoder
    assert wording is not None and wording == data.pictures.text_encoder
    assert (wording.name, wording.width) == (str(encoder), model.config.net.tokens)
    assert data.captions is not None and len(data.captions.row_ranges) == 6
    rows = torch.arange(len(data.train))
    cond = data.train.condition(rows)
    assert cond.tokens is not None
    for text, tokens in zip(data.train.caption_texts(rows), cond.tokens, strict=True):
        assert bool(tokens.isnan().all()) == (text is None)
    captioned = model.condition(n=2, text=["a red fish", None])
    assert captioned is not None and captioned.tokens is not None and captioned.tokens[1].isnan().all()
    row = next(i for i, text in enumerate(data.train.caption_texts(rows)) if text == "a red fish")
    torch.testing.assert_close(captioned.tokens[0], cond.tokens[row], equal_nan=True)


def test_an_interrupted_run_ends_the_same_without_the_encoder(
    run: Path, fish: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    def stop(progress: Progress) -> None:
        if progress.images == 24:
            signal.raise_signal(signal.SIGTERM)

    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(fish, out, options(encoder), stop)
    before = (out / "data/text.npy").stat().st_mtime_ns
    monkeypatch.setitem(sys.modules, "transformers", None)  # who imports it now fails
    monkeypatch.setattr("noisette.data.text.encoder.find_spec", lambda name: None)
    train(fish, out, options(encoder))
    assert (out / "data/text.npy").stat().st_mtime_ns == before
    mine, theirs = (load_file(p / "model/model.safetensors") for p in (run, out))
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    with pytest.raises(InputError, match="was started with --text, not without --text"):
        train(fish, out, options(encoder, text=None))


def test_known_texts_are_drawn_without_an_encoder_and_others_are_not(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in a model's config opens nothing; the user's does, if its weights are the model's."""
    encoders = trusted_encoders()  # the run's, which training named
    monkeypatch.setattr("noisette.data.text.trusted._trusted", [])
    copied = tmp_path / "elsewhere"
    shutil.copytree(run, copied)
    config = read_json(copied / "model/config.json")
    config["model"]["pictures"]["text_encoder"]["name"] = "gone"
    (copied / "model/config.json").write_text(json.dumps(config))
    model = noisette.load(copied)
    assert model.condition(text="a blue tool") is not None
    with pytest.raises(InputError, match=r"text encoder gone, .* --trust-encoder"):
        model.condition(text="a tool of blue")
    for name in encoders:
        trust_encoder(name)
    assert model.condition(text="a tool of blue") is not None


def test_text_steers_and_guides(run: Path) -> None:
    model = noisette.load(run)
    for parameter in model.parameters():  # it has learned too little to listen
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(parameter.numel()))
    x, t = torch.randn(2, 3, 8, 8), torch.tensor(0.01, dtype=torch.float64)  # below what the closed form predicts
    red, blue, null = (model.given(model.condition(n=2, text=text)) for text in ("a red fish", "a blue fish", None))
    one, other, none = (denoise(x, t).x0 for denoise in (red, blue, null))
    assert not torch.allclose(one, other, atol=1e-4) and not torch.allclose(one, none, atol=1e-4)
    negative = Guided(red, away=blue, scale=2.0)(x, t).x0  # away from a text: the negative one
    torch.testing.assert_close(negative, 2 * one - other, rtol=1e-4, atol=1e-5)


def test_a_picture_is_drawn_again_by_its_text(run: Path) -> None:
    model, text = noisette.load(run), "a small red tool"
    grid = model.grid(3)
    cond = model.condition(n=2, text=[text, "fish"])
    first = final_samples(generate(model, [5, 6], cond, model.sampler("ddim"), grid, 2.0), grid)[:1]
    origin = SampleRecord(
        model=model.hash, seed=5, label=None, sampler="ddim", grid="karras", steps=3, guidance=2.0, batch=2, text=text
    )
    torch.testing.assert_close(reproduce(noisette.load(run), origin), first, rtol=1e-5, atol=1e-6)


def test_data_without_captions_is_refused(sprites: Path, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"have no captions: add a metadata\.jsonl"):
        train(sprites, tmp_path / "run", options(encoder))
    plain = tmp_path / "plain"
    train(sprites, plain, options(encoder, text=None, images=8))
    with pytest.raises(InputError, match="this model was trained without text: leave out the text 'a fish'"):
        noisette.load(plain).condition(text="a fish")
