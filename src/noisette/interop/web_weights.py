"""Weights in fewer bytes, for files that are downloaded: single precision with a shorter mantissa, packed.

The lowest bits of each weight's mantissa are rounded away, the bytes of the file are sorted into four planes, so that
exponents are next to exponents and zeros next to zeros, and gzip packs them. With 16 of 23 bits a weight takes 20 bits
and pictures change by at most 1 of 255; with the 10 bits of half precision it takes 15 bits, and in a fifth to three
quarters of the pictures a pixel changes by more than 2 of 255 (docs/log.md, 2026-12-01). The network computes in single
precision in any case.
"""

import copy
import gzip
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from ..data import Dataset
from ..diffusion.noise import derive_seed, make_generator
from ..errors import InputError
from ..evaluation.evaluate import build_condition
from ..evaluation.held_out import all_pixels
from ..evaluation.metrics.features import EfficientNetExtractor
from ..evaluation.metrics.kid import kid
from ..models.picture_model import PictureModel
from ..report.card import find_run
from ..sampling.generate import sample_images

FULL_BITS, CLOSE_BITS, HALF_BITS = 23, 16, 10  # of the mantissa: single precision, the default, half precision
MIN_SIZE = 256  # numbers of a tensor that is rounded: not of biases and constants
PLANES = 4
KID_SAMPLES, KID_BATCH = 300, 50  # pictures that are compared with the held-out ones
MAX_KID_COST = 0.05  # of half precision, as a share of the KID


def round_mantissa(values: Float32[np.ndarray, "..."], bits: int) -> Float32[np.ndarray, "..."]:
    """The nearest numbers with so many bits of mantissa, 1 to 22."""
    low = FULL_BITS - bits
    words = values.view(np.uint32)
    return ((words + (1 << (low - 1))) & np.uint32(2**32 - (1 << low))).view(np.float32)


def round_network(net: nn.Module, bits: int) -> None:
    """Round the large weights of a network, in place."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.numel() >= MIN_SIZE:
                weight.copy_(torch.from_numpy(round_mantissa(weight.float().cpu().numpy(), bits)))


def round_onnx(data: bytes, bits: int) -> bytes:
    """An ONNX file with its large weights rounded."""
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_model_from_string(data)
    for weight in proto.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= MIN_SIZE:
            weight.CopyFrom(numpy_helper.from_array(round_mantissa(np.ascontiguousarray(values), bits), weight.name))
    return bytes(proto.SerializeToString())


def pack(data: bytes) -> bytes:
    """A gzip file of every fourth byte, from the first, the second, the third and the fourth on."""
    return gzip.compress(b"".join(data[plane::PLANES] for plane in range(PLANES)), mtime=0)


@dataclass(frozen=True)
class KidCost:
    """KID × 10³ of a model's samples against its held-out pictures, and with weights in half precision."""

    full: float
    half: float

    @property
    def is_small(self) -> bool:
        return self.half - self.full <= MAX_KID_COST * abs(self.full)


def measure_kid_cost(model: PictureModel) -> KidCost:
    """What half precision costs in KID, from 300 samples of the same seeds each, with the labels of training pictures.

    Raises InputError where it cannot be measured: without the run folder that the model is in, or without the extra
    `metrics`.
    """
    run = find_run(model.folder)
    if run is None:
        raise InputError(
            "half precision is used only where it costs little KID, which is measured on the held-out pictures of a "
            "run: give a run folder, or leave --half out"
        )
    data, extract = Dataset.open(run), EfficientNetExtractor()
    rows = torch.randint(len(data.train), (KID_SAMPLES,), generator=make_generator(0, "half"))
    seeds = [derive_seed(0, "half", i) for i in range(KID_SAMPLES)]
    rounded = copy.deepcopy(model)
    round_network(rounded.net, HALF_BITS)
    reference, values = extract(all_pixels(data.held_out)), []
    for one in (model, rounded):
        x = sample_images(one, seeds, build_condition(one, data.train, rows), batch=KID_BATCH)
        values.append(1000 * kid(extract(one.pictures.decode_samples(x)), reference))
    return KidCost(*values)
