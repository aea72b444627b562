"""Captions: where they come from, and that each is encoded once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders import WIDTH, Counted
from noisette.data.caption_text import caption_from_filename, read_captions
from noisette.data.manifest import FileRecord
from noisette.data.text import CachedTextEncoder, CaptionEmbeddings, encode_captions
from noisette.errors import InputError
from noisette.io.json_files import read_json

TEXTS = ["a red fish", "a blue square that is quite small", "fish", "a red fish"]


def test_each_text_is_encoded_once(tmp_path: Path) -> None:
    encoder, opened = Counted(), []

    def open_it() -> Counted:
        opened.append(1)
        return encoder

    seen: list[tuple[int, int]] = []
    found = encode_captions(tmp_path, TEXTS, open_it, lambda done, total: seen.append((done, total)))
    assert sorted(encoder.encoded) == sorted(set(TEXTS)) and len(opened) == 1 and seen[-1] == (3, 3)
    again = encode_captions(tmp_path, TEXTS[:2], open_it)
    assert len(opened) == 1 and again.row_ranges == found.row_ranges
    tokens = found.tokens(TEXTS[:3])
    assert tokens.shape == (3, 6, WIDTH)
    for row, text in zip(tokens, TEXTS, strict=False):
        alone = encoder([text])
        torch.testing.assert_close(row[0], alone.pooled[0], rtol=1e-3, atol=1e-3)
        words = alone.tokens[0][:5]  # the longest is cut, and is still known as a whole
        torch.testing.assert_close(row[1 : 1 + len(words)], words, rtol=1e-3, atol=1e-3)
        assert row[1 + len(words) :].isnan().all()
    encode_captions(tmp_path, [*TEXTS, "a big tool"], open_it)
    assert len(opened) == 2
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["text.json", "text.npy"]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    assert CaptionEmbeddings.open(tmp_path) is None
    encode_captions(tmp_path, TEXTS, Counted)
    array = np.load(tmp_path / "data/text.npy")
    np.save(tmp_path / "data/text.npy", array + 1)
    with pytest.raises(InputError, match=r"does not match .*: remove both files and run the command again"):
        CaptionEmbeddings.open(tmp_path)


def file(name: str, text: str | None = None) -> FileRecord:
    return FileRecord(name, "", 0, "train", 0, text=text)


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
    assert caption_from_filename(name) == words


def test_metadata_come_before_names() -> None:
    files = [file("red.png", " a  red one "), file("blue.png")]
    assert read_captions(files, "x") == ("a red one", None)
    assert read_captions([file("red.png"), file("blue-2.png"), file("3.png")], "x") == ("red", "blue", None)
    with pytest.raises(
        InputError, match=r"the pictures of x have no captions: add a metadata\.jsonl with a text for each"
    ):
        read_captions([file("red.png"), file("2.png"), file("3.png")], "x")


def test_captions_of_the_run_are_read_before_the_encoder_is_loaded(tmp_path: Path) -> None:
    encoder = Counted()
    wording = encode_captions(tmp_path, TEXTS, lambda: encoder).encoder_info
    before = len(encoder.encoded)
    reader = CachedTextEncoder(wording, tmp_path)
    known = reader(["a red fish", None, "  ", " a  red\tfish"])
    assert torch.equal(known[0, :4], known[3, :4]) and known[0, 4:].isnan().all()
    assert known[1].isnan().all() and known[2].isnan().all()
    with pytest.raises(InputError, match=r"text encoder counted, weights 0+…0+, which is opened only if you name it"):
        reader(["a red tool"])
    reader.encoder = encoder
    assert reader(["a red tool"]).isfinite().any() and reader(["a red tool"]).shape == (1, 6, WIDTH)
    assert encoder.encoded[before:] == ["a red tool"]
    with pytest.raises(InputError, match="use the encoder that it was trained with"):
        reader.encoder = Counted("1" * 64)


def test_captions_of_another_encoder_are_not_taken_for_the_models(tmp_path: Path) -> None:
    encode_captions(tmp_path, TEXTS, Counted)
    other = Counted("1" * 64)
    reader = CachedTextEncoder(other.info, tmp_path)
    reader.encoder = other
    reader(["fish"])
    assert other.encoded == ["fish"]


def test_the_index_is_json(tmp_path: Path) -> None:
    encode_captions(tmp_path, TEXTS, Counted)
    index = json.loads((tmp_path / "data/text.json").read_text())
    assert index["texts"][0] == ["a blue square that is quite small", 6] and index["encoder"]["name"] == "counted"


def test_an_index_of_version_0_1_0_opens(tmp_path: Path) -> None:
    written = encode_captions(tmp_path, TEXTS, Counted)
    path = tmp_path / "data/text.json"
    index = read_json(path)
    info = index.pop("encoder")
    index["wording"] = {
        "encoder": info["name"], "sha256": info["sha256"], "width": info["width"], "rows": info["max_tokens"]
    }  # fmt: skip
    path.write_text(json.dumps(index))
    opened = CaptionEmbeddings.open(tmp_path)
    assert opened is not None and opened.encoder_info == written.encoder_info
    torch.testing.assert_close(opened.tokens(TEXTS), written.tokens(TEXTS), rtol=0, atol=0, equal_nan=True)
