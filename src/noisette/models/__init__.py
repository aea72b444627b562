"""Models: their configs, tasks and conditions; PictureModel and PictureClassifier; the models that ship.

    from noisette.models import PictureModel, load

    model = load("runs/mine")
    cond = model.condition("potion", n=4)

The names below are imported on first use: reading a config imports no network. `shipped` is a module.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import shipped
    from .classifier import ClassifierModelConfig, PictureClassifier
    from .codec import Codec, LatentCodec, make_codec
    from .config import ModelConfig, Origin, SamplingDefaults, build, from_json, to_json
    from .context import attribute_names, encode_attributes, encode_labels, label_weights, parse_attributes
    from .initialize import Initialization
    from .picture_autoencoder import AutoencoderModelConfig, PictureAutoencoder, reconstruct
    from .picture_model import PictureModel, load, read_config
    from .registry import register
    from .task import Draw, InputSpec, Segment, Task, Upscale

__all__ = [
    "AutoencoderModelConfig",
    "ClassifierModelConfig",
    "Codec",
    "Draw",
    "Initialization",
    "InputSpec",
    "LatentCodec",
    "ModelConfig",
    "Origin",
    "PictureAutoencoder",
    "PictureClassifier",
    "PictureModel",
    "SamplingDefaults",
    "Segment",
    "Task",
    "Upscale",
    "attribute_names",
    "build",
    "encode_attributes",
    "encode_labels",
    "from_json",
    "label_weights",
    "load",
    "make_codec",
    "parse_attributes",
    "read_config",
    "reconstruct",
    "register",
    "shipped",
    "to_json",
]
HOMES = {
    "classifier": ("ClassifierModelConfig", "PictureClassifier"),
    "codec": ("Codec", "LatentCodec", "make_codec"),
    "config": ("ModelConfig", "Origin", "SamplingDefaults", "from_json", "to_json", "build"),
    "context": ("attribute_names", "encode_attributes", "encode_labels", "label_weights", "parse_attributes"),
    "initialize": ("Initialization",),
    "picture_autoencoder": ("AutoencoderModelConfig", "PictureAutoencoder", "reconstruct"),
    "picture_model": ("PictureModel", "load", "read_config"),
    "registry": ("register",),
    "shipped": ("shipped",),
    "task": ("Draw", "InputSpec", "Segment", "Task", "Upscale"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
