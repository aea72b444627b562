"""Captions: where they come from, and that each is encoded once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders import WIDTH, Counted
from noisette.data.manifest import File
from noisette.data.words import captions, named
from noisette.errors import InputError
from noisette.text import Captions, Reader, written

TEXTS = ["a red fish", "a blue square that is quite small", "fish", "a red fish"]


def test_each_text_is_encoded_once(tmp_path: Path) -> None:
    encoder, opened = Counted(), []

    def open_it() -> Counted:
        opened.append(1)
        return encoder

    seen: list[tuple[int, int]] = []
    found = written(tmp_path, TEXTS, open_it, lambda done, total: seen.append((done, total)))
    assert sorted(encoder.asked) == sorted(set(TEXTS)) and len(opened) == 1 and seen[-1] == (3, 3)
    again = written(tmp_path, TEXTS[:2], open_it)
    assert len(opened) == 1 and again.places == found.places
    tokens = found.tokens(TEXTS[:3])
    assert tokens.shape == (3, 6, WIDTH)
    for row, text in zip(tokens, TEXTS, strict=False):
        told = encoder([text])
        torch.testing.assert_close(row[0], told.pooled[0], rtol=1e-3, atol=1e-3)
        words = told.tokens[0][:5]  # the longest is cut, and is still known as a whole
        torch.testing.assert_close(row[1 : 1 + len(words)], words, rtol=1e-3, atol=1e-3)
        assert row[1 + len(words) :].isnan().all()
    written(tmp_path, [*TEXTS, "a big tool"], open_it)
    assert len(opened) == 2
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["text.json", "text.npy"]


def test_damage_is_told(tmp_path: Path) -> None:
    assert Captions.open(tmp_path) is None
    written(tmp_path, TEXTS, Counted)
    array = np.load(tmp_path / "data/text.npy")
    np.save(tmp_path / "data/text.npy", array + 1)
    with pytest.raises(InputError, match=r"remove both, and the same command makes them anew"):
        Captions.open(tmp_path)


def file(name: str, text: str | None = None) -> File:
    return File(name, "", 0, "train", 0, text=text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fish/red_fish-012.png", "red fish"),
        ("SmallBlueTree3.PNG", "small blue tree"),
        ("potion of health (2).png", "potion of health"),
        ("großer_Bär.png", "großer bär"),
        ("IMG_0012.png", None),
        ("0012.png", None),
        ("7f3e9a.png", None),
        ("Screenshot 2024-01-02 at 10.11.12.png", None),
    ],
)
def test_names_that_are_words(name: str, words: str | None) -> None:
    assert named(name) == words


def test_metadata_come_before_names() -> None:
    files = [file("red.png", " a  red one "), file("blue.png")]
    assert captions(files, "x") == ("a red one", None)
    assert captions([file("red.png"), file("blue-2.png"), file("3.png")], "x") == ("red", "blue", None)
    with pytest.raises(InputError, match=r"the pictures of x show: add a metadata\.jsonl with a text for each"):
        captions([file("red.png"), file("2.png"), file("3.png")], "x")


def test_a_reader_asks_the_run_before_the_encoder(tmp_path: Path) -> None:
    encoder = Counted()
    wording = written(tmp_path, TEXTS, lambda: encoder).wording
    asked = len(encoder.asked)
    reader = Reader(wording, tmp_path)
    known = reader(["a red fish", None, "  ", " a  red\tfish"])
    assert torch.equal(known[0, :4], known[3, :4]) and known[0, 4:].isnan().all()
    assert known[1].isnan().all() and known[2].isnan().all()
    with pytest.raises(InputError, match="no sentence encoder is called counted"):
        reader(["a red tool"])
    reader.encoder = encoder
    assert reader(["a red tool"]).isfinite().any() and reader(["a red tool"]).shape == (1, 6, WIDTH)
    assert encoder.asked[asked:] == ["a red tool"]
    with pytest.raises(InputError, match="give it the encoder that it was trained with"):
        reader.encoder = Counted("1" * 64)


def test_captions_of_another_encoder_are_not_taken_for_the_models(tmp_path: Path) -> None:
    written(tmp_path, TEXTS, Counted)
    other = Counted("1" * 64)
    reader = Reader(other.wording, tmp_path)
    reader.encoder = other
    reader(["fish"])
    assert other.asked == ["fish"]


def test_the_index_is_json(tmp_path: Path) -> None:
    written(tmp_path, TEXTS, Counted)
    told = json.loads((tmp_path / "data/text.json").read_text())
    assert told["texts"][0] == ["a blue square that is quite small", 6] and told["wording"]["encoder"] == "counted"
