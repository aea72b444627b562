"""Loading of a pretrained encoder and its tokenizer with `transformers`: whatever is wrong with the files is refused.

Checked before memory is taken or anything is fetched: sizes in the config, and the attention that it asks for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from ...errors import InputError, first_line
from ...io.json_files import read_object

WEIGHTS_FILE = "model.safetensors"
ATTENTION = (None, "eager", "sdpa")  # other implementations are packages, or kernels that the library fetches
UNUSED = ("pooler.",)  # tensors that many encoders are published without


def load_pretrained(folder: Path) -> tuple[Any, Any]:
    """The tokenizer and the network of an encoder; `InputError` if its config does not describe its weights.

    A tensor that is missing would be random, and different each time.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # tables of tensors, several lines long
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        _check_attention(read_object(folder / "config.json"))
        config = AutoConfig.from_pretrained(folder, **local)
        _check_size(config, folder / WEIGHTS_FILE)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model, info = AutoModel.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True,
            ignore_mismatched_sizes=True, **local,
        )  # fmt: skip
    finally:
        logging.set_verbosity(verbosity)
    if missing := sorted(name for name in info["missing_keys"] if not name.startswith(UNUSED)):
        raise InputError(f"{WEIGHTS_FILE} lacks {len(missing)} tensors that config.json describes, as {missing[0]}")
    for name, found, expected in sorted(info["mismatched_keys"]):
        raise InputError(f"the tensor {name} has shape {tuple(found)}, and config.json describes {tuple(expected)}")
    return tokenizer, model.eval().requires_grad_(False)


def _check_attention(config: Any) -> None:
    """Raise `InputError` if a config, or one within it, names another implementation of attention than torch's."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if str(key).endswith("attn_implementation") and value not in ATTENTION:
            raise InputError(f"config.json asks for another implementation of attention: remove its {key}")
        if isinstance(value, dict | list):
            _check_attention(value)


def _check_size(config: Any, weights: Path) -> None:
    """Raise `InputError` if a config describes more layers or parameters than the weights can hold."""
    from transformers import AutoModel

    with safe_open(weights, "pt") as file:
        tensors = len(file.keys())
    layers = getattr(config, "num_hidden_layers", 0)
    if layers > tensors:
        raise InputError(f"config.json describes {layers} layers, and {WEIGHTS_FILE} holds {tensors} tensors")
    with torch.device("meta"):
        parameters = sum(p.numel() for p in AutoModel.from_config(config).parameters())
    if parameters > (most := weights.stat().st_size):  # at least a byte each
        raise InputError(f"config.json describes {parameters} parameters, and {WEIGHTS_FILE} holds {most} bytes")


@contextmanager
def refuse_unusable(name: str | Path, folder: Path | None = None) -> Iterator[None]:
    """Turn whatever `transformers` and `tokenizers` raise into an `InputError` that names the encoder.

    folder: a temporary folder that messages name in its place.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of Rust, on damaged files
            raise
        reason = first_line(error)
        reason = reason if folder is None else reason.replace(str(folder), str(name))
        raise InputError(f"{name} cannot be used as a sentence encoder: {reason}") from error
