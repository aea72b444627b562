"""A model's way of reading: known texts from its run folder, others by the encoder that it was trained with."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..pictures import Wording
from .captions import Captions, Text, half, stacked
from .encoder import TextEncoder, open_encoder


class Reader:
    """Texts to the condition's tokens. A text is encoded once."""

    def __init__(self, wording: Wording, run: Path | None = None) -> None:
        """`run` is the folder of the run, where there is one."""
        self.wording, self.run = wording, run
        self.known: dict[str, Text] = {}
        self._captions: Captions | None = None
        self._encoder: TextEncoder | None = None

    def __call__(self, texts: Sequence[str | None]) -> Float[Tensor, "b l d"]:
        """A row a text; None, and a text without a word, is null."""
        plain = [" ".join((text or "").split()) or None for text in texts]
        for text in dict.fromkeys(plain):
            if text is not None and text not in self.known:
                self.known[text] = self._read(text)
        return stacked([None if text is None else self.known[text] for text in plain], self.wording)

    @property
    def encoder(self) -> TextEncoder:
        """Of the name, and of the weights, that the model was trained with."""
        if self._encoder is None:
            self.encoder = open_encoder(self.wording.encoder)
        assert self._encoder is not None
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: TextEncoder) -> None:
        if (found := encoder.wording.sha256) != (right := self.wording.sha256):
            raise InputError(
                f"this model reads text by {self.wording.encoder}, weights {right[:12]}…, and those here are "
                f"{found[:12]}…: give it the encoder that it was trained with"
            )
        self._encoder = encoder

    def _read(self, text: str) -> Text:
        if self._captions is None and self.run is not None:
            self._captions = Captions.open(self.run)
        captions = self._captions
        if captions is not None and captions.wording.sha256 == self.wording.sha256 and text in captions:
            return captions.rows(text)
        return half(self.encoder([text]), self.wording.rows)[0]
