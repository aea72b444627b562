"""Texts that were encoded once: RUN/data/text.npy, mapped into memory, and text.json, which says what lies where."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from ..errors import InputError
from ..files import atomic_write, read_json, require_space, sha256_of, write_json
from ..pictures import Wording
from .encoder import Encoded, TextEncoder, open_encoder

FORMAT = 1
INDEX, ROWS = "data/text.json", "data/text.npy"
CHUNK = 64  # texts that are encoded between two reports

Text = Float16[np.ndarray, "_ d"]  # a text as a whole, then its tokens


@dataclass(frozen=True, eq=False)
class Captions:
    """The texts of a run, as the encoder of `wording` reads them, in half precision."""

    wording: Wording
    places: dict[str, tuple[int, int]] = field(repr=False)  # text → first row, and how many
    array: Float16[np.ndarray, "every d"] = field(repr=False)

    @classmethod
    def open(cls, run: Path) -> "Captions | None":
        """Those of a run folder; None if it has none. Raises InputError for damaged ones."""
        if not (run / INDEX).is_file():
            return None
        try:
            told = read_json(run / INDEX)
            if told["format"] > FORMAT:
                raise InputError(f"{run / INDEX} was made by a newer Noisette: upgrade Noisette")
            wording, counts = Wording(**told["wording"]), [int(rows) for _, rows in told["texts"]]
            if sha256_of(run / ROWS) != told["rows_sha256"]:
                raise ValueError("its hash is another")
            array = np.load(run / ROWS, mmap_mode="r", allow_pickle=False)
            if array.shape != (sum(counts), wording.width) or array.dtype != np.float16:
                raise ValueError("its shape is another")
        except (OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{run / ROWS} is not what {INDEX} describes: remove both, and the same command makes them anew"
            ) from error
        firsts = np.cumsum([0, *counts[:-1]]).tolist()
        places = dict(zip((str(text) for text, _ in told["texts"]), zip(firsts, counts, strict=True), strict=True))
        return cls(wording, places, array)

    def __contains__(self, text: str) -> bool:
        return text in self.places

    def tokens(self, texts: Sequence[str | None]) -> Float[Tensor, "b l d"]:
        """The condition's tokens; None is null."""
        return stacked([None if text is None else self.rows(text) for text in texts], self.wording)

    def rows(self, text: str) -> Text:
        """What is known of one text."""
        first, count = self.places[text]
        return self.array[first : first + count]


def stacked(texts: Sequence[Text | None], wording: Wording) -> Float[Tensor, "b l d"]:
    """The condition's tokens: as many rows for every text, NaN after its end; all NaN for None."""
    tokens = torch.full((len(texts), wording.rows, wording.width), torch.nan)
    for place, text in zip(tokens, texts, strict=True):
        if text is not None:
            place[: len(text)] = torch.from_numpy(np.array(text[: wording.rows], np.float32))
    return tokens


def half(encoded: Encoded, rows: int) -> list[Text]:
    """Each text as it is kept: `rows` at the most."""
    found = []
    for pooled, tokens, mask in zip(encoded.pooled, encoded.tokens, encoded.mask, strict=True):
        found.append(torch.cat([pooled[None], tokens[mask]])[:rows].half().cpu().numpy())
    return found


def encoder_of(run: Path, name: str) -> Callable[[], TextEncoder]:
    """What opens the encoder of a run. Where it will be needed it is opened now, so that what is wrong with it is said
    before anything is written."""
    if (run / INDEX).is_file():
        return lambda: open_encoder(name)
    opened = open_encoder(name)
    return lambda: opened


def written(
    run: Path,
    texts: Sequence[str],
    encoder: Callable[[], TextEncoder],
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Captions:
    """The captions of a run folder, which are encoded and written if they are not there. Only then is the encoder
    opened."""
    there = Captions.open(run)
    if there is not None and all(text in there for text in texts):
        return there
    distinct, counts, opened = sorted(set(texts)), list[int](), encoder()
    wording = opened.wording
    require_space(run, 2 * wording.width * wording.rows * len(distinct))

    def write(file: BinaryIO) -> None:
        blocks = []
        for first in range(0, len(distinct), CHUNK):
            progress(first, len(distinct))
            blocks += half(opened(distinct[first : first + CHUNK]), wording.rows)
        counts.extend(map(len, blocks))
        np.lib.format.write_array(file, np.concatenate(blocks), allow_pickle=False)
        progress(len(distinct), len(distinct))

    atomic_write(run / ROWS, write)
    told = {"format": FORMAT, "wording": asdict(wording), "rows_sha256": sha256_of(run / ROWS)}
    write_json(run / INDEX, told | {"texts": [list(pair) for pair in zip(distinct, counts, strict=True)]})
    found = Captions.open(run)
    assert found is not None
    return found
