"""What a model can do, for programs that choose one: its size, labels and edits."""

from typing import Any

from ..models.config import ModelConfig
from .edit_kinds import EDIT_NAMES, supported_kinds


def describe_model(config: ModelConfig) -> dict[str, Any]:
    """Size, mode, labels, attributes, edits and sampling steps of a model, as JSON types."""
    pictures = config.pictures
    return {
        "width": pictures.width,
        "height": pictures.height,
        "mode": pictures.mode,
        "task": type(config.task).__name__.lower(),
        "labels": list(pictures.labels),
        "attributes": list(pictures.attributes),
        "takes_text": pictures.text_encoder is not None,
        "edits": [EDIT_NAMES[kind] for kind in supported_kinds(config)],
        "steps": config.sampling.steps,
    }
