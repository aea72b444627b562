"""Texts as numbers: a frozen sentence encoder, asked once for each text."""

from .captions import Captions, encoder_of, written
from .encoder import DEFAULT, Encoded, TextEncoder, open_encoder
from .reader import Reader

__all__ = [
    "DEFAULT",
    "Captions",
    "Encoded",
    "Reader",
    "TextEncoder",
    "encoder_of",
    "open_encoder",
    "written",
]
