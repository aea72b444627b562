"""Encoded captions of a run: RUN/data/text.npy, mapped into memory, and its index RUN/data/text.json.

Embeddings are float16. A text has `TextEncoderInfo.max_tokens` rows at most: one for the whole text, then its tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from ...errors import InputError
from ...io.checkpoint import NewerFormatError
from ...io.files import atomic_write, file_sha256, require_space
from ...io.json_files import read_object, write_json
from ...io.json_types import get_field, parse_object
from ..pictures import TextEncoderInfo
from .encoder import TextEncoder, TextEncoding, find_encoder, open_encoder
from .trusted import trust_encoder

FORMAT_VERSION = 1
MAX_BYTES = 2**30  # of an index
INDEX_FILE, EMBEDDINGS_FILE = "data/text.json", "data/text.npy"
ENCODE_BATCH = 64  # texts per progress report

TextEmbedding = Float16[np.ndarray, "_ d"]  # the whole text, then its tokens


@dataclass(frozen=True, eq=False)
class CaptionEmbeddings:
    """The encoded captions of a run."""

    encoder_info: TextEncoderInfo
    row_ranges: dict[str, tuple[int, int]] = field(repr=False)  # text → first row, number of rows
    embeddings: Float16[np.ndarray, "every d"] = field(repr=False)

    @classmethod
    def open(cls, run: Path) -> "CaptionEmbeddings | None":
        """Open the captions of a run folder; None if it has none. Raises InputError if they are damaged."""
        if not (run / INDEX_FILE).is_file():
            return None
        path, rows_path = run / INDEX_FILE, run / EMBEDDINGS_FILE
        try:
            index = _read_index(path)
            info, counts = index.encoder, [rows for _, rows in index.texts]
            if file_sha256(rows_path) != index.rows_sha256:
                raise ValueError("another hash than in the index")
            array = np.load(rows_path, mmap_mode="r", allow_pickle=False)
            if array.shape != (sum(counts), info.width) or array.dtype != np.float16 or min(counts, default=1) < 1:
                raise ValueError("another shape than in the index")
        except (OSError, ValueError) as error:
            if isinstance(error, NewerFormatError):
                raise
            raise InputError(
                f"{rows_path} does not match {INDEX_FILE}: remove both files and run the command again ({error})"
            ) from error
        firsts = np.cumsum([0, *counts[:-1]]).tolist()
        texts = (text for text, _ in index.texts)
        return cls(info, dict(zip(texts, zip(firsts, counts, strict=True), strict=True)), array)

    def __contains__(self, text: str) -> bool:
        return text in self.row_ranges

    def tokens(self, texts: Sequence[str | None]) -> Float[Tensor, "b l d"]:
        """Embeddings of texts as `stack_tokens` gives them. Raises KeyError for a text that is not encoded."""
        return stack_tokens([None if text is None else self.embedding(text) for text in texts], self.encoder_info)

    def embedding(self, text: str) -> TextEmbedding:
        """The rows of one text."""
        first, count = self.row_ranges[text]
        return self.embeddings[first : first + count]


def stack_tokens(texts: Sequence[TextEmbedding | None], encoder_info: TextEncoderInfo) -> Float[Tensor, "b l d"]:
    """Embeddings as `Condition.tokens`, float32 (B, max_tokens, D): NaN after a text's end, all NaN for None."""
    tokens = torch.full((len(texts), encoder_info.max_tokens, encoder_info.width), torch.nan)
    for row, text in zip(tokens, texts, strict=True):
        if text is not None:
            row[: len(text)] = torch.from_numpy(np.array(text[: encoder_info.max_tokens], np.float32))
    return tokens


def to_half(encoded: TextEncoding, max_rows: int) -> list[TextEmbedding]:
    """The embedding of each text in float16, with at most `max_rows` rows."""
    return [
        torch.cat([pooled[None], tokens[mask]])[:max_rows].half().cpu().numpy()
        for pooled, tokens, mask in zip(encoded.pooled, encoded.tokens, encoded.mask, strict=True)
    ]


def encoder_factory(run: Path, name: str) -> Callable[[], TextEncoder]:
    """A function that returns the encoder of that name.

    If the run has no captions yet, the encoder is opened now, so that errors appear before anything is written. The
    run's models may open it from then on, since the user named it.
    """
    trust_encoder(name)
    if (run / INDEX_FILE).is_file():
        return lambda: open_encoder(name)
    opened = open_encoder(name)
    return lambda: opened


@dataclass(frozen=True)
class _Index:
    """The content of data/text.json."""

    encoder: TextEncoderInfo
    rows_sha256: str
    texts: tuple[tuple[str, int], ...]  # each text, and its number of rows


def _read_index(path: Path) -> _Index:
    value = read_object(path, MAX_BYTES)
    if (version := get_field(value, "format", int, path)) > FORMAT_VERSION:
        raise NewerFormatError(f"{path} was written by a newer version (format {version}): update noisette")
    return parse_object(_Index, {k: v for k, v in value.items() if k != "format"}, "it", _current_names)


FORMER_NAMES: dict[type, dict[str, str]] = {
    _Index: {"wording": "encoder"},
    TextEncoderInfo: {"encoder": "name", "rows": "max_tokens"},
}


def _current_names(cls: type, data: dict[str, Any], path: str) -> tuple[type, dict[str, Any]]:
    """Version 0.1.0 stored the encoder under "wording", with other field names."""
    former = FORMER_NAMES.get(cls, {})
    return cls, {former.get(key, key): value for key, value in data.items()}


def encode_captions(
    run: Path,
    texts: Sequence[str],
    encoder: Callable[[], TextEncoder],
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> CaptionEmbeddings:
    """Open the captions of a run folder. If any of `texts` is missing, encode and write all of them first.

    encoder: only called in that case. progress: called with (texts done, texts in all).
    """
    existing = CaptionEmbeddings.open(run)
    if existing is not None and all(text in existing for text in texts):
        return existing
    distinct, counts, text_encoder = sorted(set(texts)), list[int](), encoder()
    info = text_encoder.info
    require_space(run, 2 * info.width * info.max_tokens * len(distinct))

    def write(file: BinaryIO) -> None:
        blocks = []
        for first in range(0, len(distinct), ENCODE_BATCH):
            progress(first, len(distinct))
            blocks += to_half(text_encoder(distinct[first : first + ENCODE_BATCH]), info.max_tokens)
        counts.extend(map(len, blocks))
        np.lib.format.write_array(file, np.concatenate(blocks), allow_pickle=False)
        progress(len(distinct), len(distinct))

    atomic_write(run / EMBEDDINGS_FILE, write)
    header = {"format": FORMAT_VERSION, "encoder": asdict(info), "rows_sha256": file_sha256(run / EMBEDDINGS_FILE)}
    write_json(run / INDEX_FILE, header | {"texts": [list(pair) for pair in zip(distinct, counts, strict=True)]})
    captions = CaptionEmbeddings.open(run)
    assert captions is not None
    return captions


class CachedTextEncoder:
    """Converts texts to `Condition.tokens` for a model. Each text is encoded once.

    Texts that are captions of the run are read from its folder; the encoder is opened only for others.
    """

    def __init__(self, encoder_info: TextEncoderInfo, run: Path | None = None) -> None:
        """encoder_info: the encoder of the model. run: its run folder, if there is one."""
        self.encoder_info, self.run = encoder_info, run
        self.cache: dict[str, TextEmbedding] = {}
        self._captions: CaptionEmbeddings | None = None
        self._encoder: TextEncoder | None = None

    def __call__(self, texts: Sequence[str | None]) -> Float[Tensor, "b l d"]:
        """Embeddings as `stack_tokens` gives them. None and blank texts are unconditional (NaN)."""
        plain = [" ".join((text or "").split()) or None for text in texts]
        for text in dict.fromkeys(plain):
            if text is not None and text not in self.cache:
                self.cache[text] = self._encode(text)
        return stack_tokens([None if text is None else self.cache[text] for text in plain], self.encoder_info)

    @property
    def encoder(self) -> TextEncoder:
        """The encoder of the model. Setting another one raises InputError."""
        if self._encoder is None:
            self.encoder = find_encoder(self.encoder_info)
        assert self._encoder is not None
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: TextEncoder) -> None:
        actual, expected = encoder.info, self.encoder_info
        if not actual.is_same_encoder(expected):
            difference = (
                f"weights {expected.sha256[:12]}…, not {actual.sha256[:12]}…"
                if actual.sha256 != expected.sha256
                else "with another config or tokenizer"
            )
            raise InputError(
                f"this model was trained with the text encoder {expected.name}, {difference}: use the encoder that it "
                "was trained with"
            )
        self._encoder = encoder

    def _encode(self, text: str) -> TextEmbedding:
        if self._captions is None and self.run is not None:
            self._captions = CaptionEmbeddings.open(self.run)
        captions = self._captions
        if captions is not None and captions.encoder_info.is_same_encoder(self.encoder_info) and text in captions:
            return captions.embedding(text)
        return to_half(self.encoder([text]), self.encoder_info.max_tokens)[0]
