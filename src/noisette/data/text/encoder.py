"""Sentence encoders: pretrained, frozen networks that turn texts into embeddings.

They need `transformers` (extra `text`), which is imported only when an encoder is opened.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ...errors import InputError, shorten
from ...io import hub
from ...io.files import file_sha256
from ..pictures import TextEncoderInfo
from .pretrained import WEIGHTS_FILE, load_pretrained, refuse_unusable
from .trusted import DEFAULT_ENCODER, KNOWN_ENCODERS, PackagedEncoder, trusted_encoders

MODEL_FILES = ("config.json", WEIGHTS_FILE, "tokenizer.json", "tokenizer_config.json")
OLD_TOKENIZER_FILE = "vocab.txt"  # in place of tokenizer.json
MAX_ROWS = 32  # maximum embeddings per text for a model: the whole text, and its first 31 tokens
MAX_TOKENS = 256  # longer texts are truncated before encoding


@dataclass(frozen=True)
class TextEncoding:
    """The embeddings of n texts."""

    pooled: Float[Tensor, "n d"]  # one embedding per text, of length 1
    tokens: Float[Tensor, "n l d"]  # one embedding per token, padded to the longest text
    mask: Bool[Tensor, "n l"]  # True for tokens, False for padding


@runtime_checkable
class TextEncoder(Protocol):
    """Encodes texts. The embedding of a text must not depend on the other texts of the batch."""

    @property
    def info(self) -> TextEncoderInfo:
        """Name, hash and sizes, stored in models."""
        ...

    def __call__(self, texts: Sequence[str]) -> TextEncoding:
        """Encode n texts."""
        ...


class SentenceEncoder:
    """An encoder of the BERT family. The pooled embedding is the normalized mean of the last hidden states
    (Reimers & Gurevych 2019). Texts are encoded one by one, since in a batch the last bits would depend on the others.
    """

    def __init__(self, folder: Path, name: str, sha256: str | None = None, files_sha256: str | None = None) -> None:
        """Open the encoder in `folder`. Raises InputError if it holds none in safetensors format.

        sha256, files_sha256: of its weights, and of its config and tokenizer; they are checked before any is loaded.
        Other files of the folder are not read.
        """
        _require_transformers()
        for file in ("config.json", WEIGHTS_FILE):
            if not (folder / file).is_file():
                raise InputError(f"{folder} is not a sentence encoder: it holds no {file}")
        digest, files_digest = file_sha256(folder / WEIGHTS_FILE), hash_files(folder)
        for kind, found, expected in (
            ("other weights", digest, sha256),
            ("another config or tokenizer", files_digest, files_sha256),
        ):
            if expected is not None and found != expected:
                raise InputError(f"{folder} holds {kind} than {name}: {found[:12]}…, not {expected[:12]}…")
        with _only_hashed_files(folder) as hashed, refuse_unusable(folder, hashed):
            self.tokenizer, self.model = load_pretrained(hashed)
            width = int(self.model.config.hidden_size)
        self.info = TextEncoderInfo(name, digest, width, MAX_ROWS, files_digest)

    def __call__(self, texts: Sequence[str]) -> TextEncoding:
        rows = [self._encode_one(text) for text in texts]
        mask = torch.arange(max(map(len, rows)))[None] < torch.tensor([[len(row)] for row in rows])
        pooled = torch.stack([F.normalize(row.mean(0), dim=0) for row in rows])
        return TextEncoding(pooled, torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask)

    @torch.no_grad()
    def _encode_one(self, text: str) -> Float[Tensor, "l d"]:
        with refuse_unusable(self.info.name):
            tokens = self.tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            states: Tensor = self.model(**tokens).last_hidden_state[0]
        if not states.isfinite().all():
            raise InputError(f"{self.info.name} cannot be used as a sentence encoder: its embeddings are not finite")
        return states


def hash_files(folder: Path) -> str:
    """The SHA-256 of an encoder's config and tokenizer: of their names and hashes."""
    lines = (f"{file_sha256(folder / name)} {name}\n" for name in _hashed_files(folder) if name != WEIGHTS_FILE)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hashed_files(folder: Path) -> list[str]:
    """The names of the files that an encoder is read from."""
    names = [*MODEL_FILES, *(() if (folder / "tokenizer.json").is_file() else (OLD_TOKENIZER_FILE,))]
    return [name for name in names if (folder / name).is_file()]


@contextmanager
def _only_hashed_files(folder: Path) -> Iterator[Path]:
    """A temporary folder with these files alone, since the library behind the encoder reads others if there are any."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        for name in _hashed_files(folder):
            try:
                (Path(temporary) / name).symlink_to((folder / name).resolve())
            except OSError:  # not every file system has links
                shutil.copyfile(folder / name, Path(temporary) / name)
        yield Path(temporary)


def open_encoder(
    name: str = DEFAULT_ENCODER, sha256: str | None = None, files_sha256: str | None = None
) -> TextEncoder:
    """Open a text encoder that the user names: a folder, a model of the hub (hf://OWNER/NAME), or the default.

    The default is in a Python package; it is never fetched. sha256, files_sha256: of its weights, and of its config and
    tokenizer, checked before they are loaded; those of the default are known. Raises InputError if a package is not
    installed, or if there is no such encoder.
    """
    _require_transformers()
    if (known := KNOWN_ENCODERS.get(name)) is not None:
        hashes = sha256 or known.sha256, files_sha256 or known.files_sha256
        return SentenceEncoder(_package_folder(known), name, *hashes)
    if hub.is_hub_url(name):
        folder = hub.download(name, MODEL_FILES)
        return SentenceEncoder(folder, hub.pin(name, folder), sha256, files_sha256)
    if not Path(name).is_dir():
        raise InputError(
            f"no sentence encoder is called {shorten(name)}: give a folder, or hf://OWNER/NAME for a model of the hub"
        )
    return SentenceEncoder(Path(name), name, sha256, files_sha256)


def find_encoder(info: TextEncoderInfo) -> TextEncoder:
    """The encoder with which a model was trained: one that is known by its hash, or that the user trusts.

    The name in `info` opens nothing. Raises InputError if none of these has its weights, config and tokenizer. (Those
    of the last two are not known where an earlier version stored the model.)
    """
    if name := next((name for name, known in KNOWN_ENCODERS.items() if known.sha256 == info.sha256), None):
        return open_encoder(name, files_sha256=info.files_sha256)
    refusals = []
    for name in trusted_encoders():
        try:
            return open_encoder(name, info.sha256, info.files_sha256)
        except InputError as error:
            refusals.append(str(error))
    raise InputError(
        f"this model was trained with the text encoder {shorten(info.name)}, weights {shorten(info.sha256, 16)}, which "
        "is opened only if you name it: give --trust-encoder with its folder or hf://OWNER/NAME, or call "
        "noisette.data.text.trust_encoder" + (f" ({'; '.join(refusals)})" if refusals else "")
    )


def _package_folder(known: PackagedEncoder) -> Path:
    spec = find_spec(known.module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the default text encoder is in the package {known.distribution}, which is not installed: "
            "pip install 'noisette[text]'"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _require_transformers() -> None:
    if find_spec("transformers") is None:
        raise InputError("text needs the package transformers, which is not installed: pip install 'noisette[text]'")
