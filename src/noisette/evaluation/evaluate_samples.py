"""`noisette.evaluate`: measure pictures of any origin, or a model, against real pictures."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Dataset, prepare
from ..data.color_mode import convert_mode
from ..data.dataset import MANIFEST_FILE
from ..data.entry import Source
from ..data.in_memory import source_from_array, to_pixels
from ..data.pictures import MODE_BY_CHANNELS
from ..data.scan_chunk import decode_entry, load_entry
from ..data.source import open_source
from ..errors import InputError
from ..io.version import __version__
from ..models.picture_model import PictureModel, load
from ..sampling.draw import draw
from ..shapes import UInt8Images
from ..team import torch_defaults
from .evaluate import MIN_PICTURES, Evaluation, check_counts, evaluate_model, is_flip_augmented
from .held_out import all_pixels
from .metrics.evaluator import SampleEvaluator, SampleSet, score_with_baselines
from .metrics.features import CachedExtractor, EfficientNetExtractor, FeatureExtractor
from .metrics.memorization import measure_memorization

SHEET_NAME = "grid.png"  # the contact sheet that `noisette sample` writes beside its pictures


@runtime_checkable
class HasPixels(Protocol):
    """Pictures with a name for each, as `noisette.draw` returns them."""

    @property
    def pixels(self) -> UInt8Images: ...


@runtime_checkable
class HasFolder(Protocol):
    """A run, as `noisette.Run` and `noisette.train` give it."""

    @property
    def folder(self) -> Path: ...


Pictures = np.ndarray | Tensor | HasPixels | str | Path


@dataclass(frozen=True, eq=False)
class Reference:
    """Real pictures in two parts: those that samples may be copies of, and those that quality is measured against."""

    train: UInt8Images
    held_out: UInt8[Tensor, "n _ _ _"]
    name: str
    data: Dataset | None = None  # of a run


@torch_defaults()
def evaluate(
    samples: Pictures | HasFolder | PictureModel,
    reference: Pictures | HasFolder | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    n: int = 1000,
    seed: int = 0,
    flips: bool | None = None,
    max_shift: int = 1,
    batch: int | None = None,
    extractor: FeatureExtractor | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Evaluation:
    """Quality, diversity and memorization of samples, with 95 % intervals; also of real data, copies and noise.

    samples: pictures, at least 20: an array or tensor, (N, C, H, W) or (N, H, W, C), uint8 with straight alpha; what
        `noisette.draw` returns; or a folder or file of them. Or a model, or a run, as in `noisette evaluate`: it
        generates `n` pictures, with seeds from `seed` on.
    reference: real pictures, at least 40, in the same forms. Of a run (its folder, or `noisette.Run`), the training and
        held-out pictures are used. Other pictures are split into random halves, with near duplicates in one half:
        quality is measured against one half, the other half is the row "real data", and copies are searched in both.
        Default: the run that the model was trained in.
    value_range: the values of black and white in arrays of floats: (0, 1) or (-1, 1). Samples, reference or both can be
        floats; it does not apply to uint8.
    flips, max_shift: a mirrored reference picture (flips), or one shifted by up to max_shift pixels, counts as that
        picture. Default of flips: whether the run was trained with --flip.
    batch: pictures per batch of a model; 64 on a CPU, else 256, by default.
    extractor: the network of the features; EfficientNet-Lite0 by default, InceptionExtractor for published figures.
    progress: called with (name of the current part, units done, units in all).

    Returns an `Evaluation`: `.model` is the row of the samples: `.model.kid` (× 1000, Bińkowski et al. 2018),
    `.model.prdc` (precision and recall, Kynkäänniemi et al. 2019; density and coverage, Naeem et al. 2020),
    `.model.memorized` (the share of copies with its Wilson 1927 interval), colors and palette. Figures that need a
    model, such as bits per dimension, are None where there is none.
    Raises InputError for arrays of floats without a range, for too few pictures, and for pictures of different sizes.
    """
    extractor = extractor or EfficientNetExtractor()
    model = _find_model(samples)
    if model is not None:
        return _evaluate_model(model, samples, reference, n, seed, flips, max_shift, batch, extractor, progress)
    if reference is None:
        raise InputError("samples are compared with real pictures: give them as reference")
    if value_range is not None and not (_has_floats(samples) or _has_floats(reference)):
        raise InputError("value_range is for arrays of floats, and neither samples nor reference is one: leave it out")
    pixels = _load_samples(samples, value_range)
    real = _load_reference(reference, pixels, value_range, seed)
    if flips is None:
        flips = _is_run(reference) and is_flip_augmented(_folder(reference))
    return _score(pixels, real, CachedExtractor(extractor), flips, max_shift, seed, progress)


def _score(
    pixels: UInt8Images,
    real: Reference,
    extractor: FeatureExtractor,
    flips: bool,
    max_shift: int,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> Evaluation:
    """The four rows; copies are counted among all pictures that are not held out by a run."""
    check_counts(len(real.train), len(real.held_out))
    if len(pixels) < MIN_PICTURES:
        raise InputError(f"an evaluation needs at least {MIN_PICTURES} samples, got {len(pixels)}")
    progress("measuring", 0, 5)
    evaluator = SampleEvaluator(real.train, real.held_out, extractor, None, flips, max_shift)
    done = iter(range(1, 5))
    scores = score_with_baselines(
        evaluator, SampleSet("samples", pixels), on_score=lambda _: progress("measuring", next(done), 5)
    )
    if real.data is None:  # nothing was held out from the samples' maker: copies of either half are copies
        known = torch.cat([real.train, real.held_out])
        share = measure_memorization(pixels, known, flips=flips, max_shift=max_shift).share
        scores = (scores[0], replace(scores[1], memorized=share), *scores[2:])
    progress("measuring", 5, 5)
    settings: dict[str, Any] = {
        "noisette": __version__, "reference": real.name, "seed": seed, "samples": len(pixels),
        "training": len(real.train), "held_out": len(real.held_out),
        "extractor": extractor.name, "extractor_hash": extractor.hash, "flips": flips, "max_shift": max_shift,
    }  # fmt: skip
    return Evaluation(scores, None, None, None, settings)


def _evaluate_model(
    model: PictureModel,
    samples: object,
    reference: object,
    n: int,
    seed: int,
    flips: bool | None,
    max_shift: int,
    batch: int | None,
    extractor: FeatureExtractor,
    progress: Callable[[str, int, int], None],
) -> Evaluation:
    """What `noisette evaluate` measures: the model's own samples against the run's held-out pictures."""
    if reference is not None and not _is_run(reference):
        real = _load_reference(reference, torch.empty(0, *model.codec.shape, dtype=torch.uint8), None, seed)
        pixels = draw(model, n, seed=seed, batch=batch or 64).pixels
        return _score(pixels, real, CachedExtractor(extractor), bool(flips), max_shift, seed, progress)
    run = _folder(reference) if reference is not None else _run_of(model, samples)
    on_cpu = next(model.parameters()).device.type == "cpu"
    return evaluate_model(
        model, Dataset.open(run), extractor, n=n, seed=seed, batch=batch or (64 if on_cpu else 256),
        flips=is_flip_augmented(run) if flips is None else flips, max_shift=max_shift, progress=progress,
    )[0]  # fmt: skip


def _find_model(samples: object) -> PictureModel | None:
    """The model that is to be evaluated; None where pictures are."""
    if isinstance(samples, PictureModel):
        return samples
    if isinstance(samples, np.ndarray | Tensor | HasPixels):
        return None
    folder = _folder(samples)
    is_model = any((folder / name).is_file() for name in ("model.safetensors", "model/model.safetensors", "state.json"))
    return load(folder) if is_model else None


def _run_of(model: PictureModel, samples: object) -> Path:
    """The run folder that a model was read from."""
    folder = model.folder if isinstance(samples, PictureModel) else _folder(samples)
    for candidate in () if folder is None else (folder, folder.parent):
        if (candidate / MANIFEST_FILE).is_file():
            return candidate
    raise InputError("the model's training pictures are not known: give its run folder, or real pictures, as reference")


def _folder(value: object) -> Path:
    if isinstance(value, str | Path):
        return Path(value)
    if isinstance(value, HasFolder):
        return Path(value.folder)
    raise InputError(
        f"pictures are given as an array, a tensor, a folder, a run or a model, not as a {type(value).__name__}"
    )


def _is_run(value: object) -> bool:
    return not isinstance(value, np.ndarray | Tensor | HasPixels) and (_folder(value) / MANIFEST_FILE).is_file()


def _has_floats(value: object) -> bool:
    """Whether this is an array or tensor of floating-point numbers."""
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _load_samples(samples: object, value_range: tuple[float, float] | None) -> UInt8Images:
    """Every sample as it is, in one mode: the smallest that holds all."""
    if isinstance(samples, np.ndarray | Tensor):
        return to_pixels(samples, value_range if _has_floats(samples) else None, "samples")
    if isinstance(samples, HasPixels):
        return samples.pixels
    source = open_source(str(_folder(samples)))
    entries = [entry for entry in source.entries if Path(entry.name).name != SHEET_NAME]
    arrays = [decode_entry(load_entry(entry)[0]).pixels for entry in entries]
    if not arrays:
        raise InputError(f"{source.location} holds no pictures: give a folder of samples")
    for entry, array in zip(entries, arrays, strict=True):
        if array.shape[:2] != arrays[0].shape[:2]:
            raise InputError(
                f"{source.location} holds pictures of different sizes: {entries[0].name} is "
                f"{arrays[0].shape[1]}×{arrays[0].shape[0]}, {entry.name} {array.shape[1]}×{array.shape[0]}"
            )
    mode = MODE_BY_CHANNELS[max(array.shape[2] for array in arrays)]
    if any(array.shape[2] == 3 for array in arrays) and mode == "LA":
        mode = "RGBA"
    return to_pixels(np.stack([convert_mode(array, mode) for array in arrays]))


def _load_reference(
    reference: object, samples: UInt8Images, value_range: tuple[float, float] | None, seed: int
) -> Reference:
    """Real pictures of the samples' mode and size, in two parts."""
    mode, size = MODE_BY_CHANNELS[samples.shape[1]], (samples.shape[2], samples.shape[3])
    if _is_run(reference):
        data = Dataset.open(_folder(reference))
        real = Reference(all_pixels(data.train), all_pixels(data.held_out), data.manifest.pixels_sha256[:16], data)
        return _check_same_kind(samples, real)
    with tempfile.TemporaryDirectory() as folder:
        source, name = _as_source(reference, value_range, samples)
        data = prepare(source, folder, size=size, mode=mode, held_out=0.5, seed=seed)
        return Reference(all_pixels(data.train), all_pixels(data.held_out), name)


def _as_source(
    reference: object, value_range: tuple[float, float] | None, samples: UInt8Images
) -> tuple[Path | Source, str]:
    """What `prepare` reads, and its name in the settings."""
    if not isinstance(reference, np.ndarray | Tensor | HasPixels):
        return _folder(reference), str(_folder(reference))
    if isinstance(reference, HasPixels):
        pixels = reference.pixels
    else:
        pixels = to_pixels(reference, value_range if _has_floats(reference) else None, "reference")
    _check_same_kind(samples, Reference(pixels, pixels, ""))
    return source_from_array(pixels), "array"


def _check_same_kind(samples: UInt8Images, real: Reference) -> Reference:
    if samples.shape[1:] != real.train.shape[1:]:
        (c, h, w), (c2, h2, w2) = samples.shape[1:], real.train.shape[1:]
        raise InputError(
            f"the samples are {MODE_BY_CHANNELS[c]} {w}×{h} and the reference is {MODE_BY_CHANNELS[c2]} {w2}×{h2}: "
            "bring both to one mode and size"
        )
    return real
