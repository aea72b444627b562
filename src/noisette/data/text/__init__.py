"""Captions as embeddings: a frozen sentence encoder, applied once to each text."""

from .captions import CachedTextEncoder, CaptionEmbeddings, encode_captions, encoder_factory
from .encoder import TextEncoder, TextEncoding, find_encoder, open_encoder
from .trusted import DEFAULT_ENCODER, trust_encoder

__all__ = [
    "DEFAULT_ENCODER",
    "CachedTextEncoder",
    "CaptionEmbeddings",
    "TextEncoder",
    "TextEncoding",
    "encode_captions",
    "encoder_factory",
    "find_encoder",
    "open_encoder",
    "trust_encoder",
]
