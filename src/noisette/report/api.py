"""`noisette.train`, `noisette.distill`, `noisette.train_classifier`: the commands of the same names, as functions."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor

from ..data.entry import Source
from ..data.in_memory import Attributes, Labels, source_from_array
from ..data.text import DEFAULT_ENCODER
from ..errors import InputError, lookup
from ..io.launcher import launched_processes
from ..io.units import Size, as_size, parse_count, parse_duration
from ..models.classifier import PictureClassifier
from ..models.picture_autoencoder import PictureAutoencoder
from ..models.registry import OWN_NAME_HINT, TASKS
from ..models.task import Task, Upscale
from ..team import torch_defaults
from ..training import Progress, TrainOptions, make_distill_options
from ..training import distill as distill_run
from ..training import train as train_run
from ..training.autoencoder import AutoencoderOptions
from ..training.autoencoder import train_autoencoder as train_autoencoder_run
from ..training.noisy_classifier import ClassifierOptions, classifier_data, fit_classifier
from .run import Run


def train(
    source: str | Path | Tensor | np.ndarray,
    out: str | Path | None = None,
    *,
    labels: Labels | str | Path | None = None,
    attributes: Attributes | None = None,
    texts: Sequence[str | None] | None = None,
    value_range: tuple[float, float] | None = None,
    preset: str = "auto",
    start_from: str | Path | None = None,
    autoencoder: str | Path | None = None,
    size: Size | None = None,
    pixel_art: bool = False,
    seconds: float | str | None = None,
    images: int | str | None = None,
    batch: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    task: Task | str = "draw",
    factor: int | None = None,
    dropout: float | None = None,
    flip: bool = False,
    recipe: str | Path | Mapping[str, Any] | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    seed: int = 0,
    cell: Size | None = None,
    spacing: int | None = None,
    margin: int | None = None,
    follow_links: bool = False,
    near_duplicates: float | None = None,
    percentiles: tuple[float, float] | None = None,
    mask_value: int | str | None = None,
    text: bool = False,
    encoder: str | Path | None = None,
    save_every: float | str = 60.0,
    log: Literal["jsonl", "tensorboard", "trackio"] = "jsonl",
    evaluations: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Train a model, as `noisette train` does, and return its run: `.model`, `.metrics`, `.samples`, `.folder`.

    source: whatever the command takes (a folder, zip, array, sprite sheet, Aseprite file, atlas, or a built-in set); or
        pictures in memory, (N, C, H, W) or (N, H, W, C), C = 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA, straight alpha): uint8,
        or floats with `value_range`.
    out: the run folder; one that holds a run of the same options is resumed. None: a new folder below runs/ in the
        current directory, named after the source.
    labels: for pictures in memory, N names, integers (negative: no label) or None. For an .npy file, the path of the
        .npy with its labels.
    attributes, texts: for pictures in memory, {name: N values} or N dicts of numbers and words; and N captions, which
        are used with `text` or `encoder`.
    value_range: (0, 1) or (-1, 1), required for floats in memory.
    seconds, images: length of the run: seconds or "10m" for everything that this call does; or training images, 50_000
        or "50k". Default: 600 seconds.
    size, cell: of pictures and of a sprite sheet's cells, in pixels: 16, (height, width), or "32x24" (width x height).
    cell, spacing, margin: "auto" finds the cells by the gaps between them; see `noisette.data.Cells`.
    follow_links, near_duplicates, percentiles, mask_value: see `noisette.data.prepare`.
    task, factor: "draw", "upscale" (factor: default 2) or "segment"; or a Task.
    recipe: a JSON file or a dict that overrides parts of the preset's recipe.
    text, encoder: train on captions, with the default sentence encoder or another one.
    save_every: seconds between checkpoints, or "60s".
    on_progress: called after every step.
    start_from: a model or run to start from: its folder, hf://OWNER/NAME, or the name of a model in the package;
        "none": from scratch. Default: the base model in the package that fits, if there is one.
    autoencoder: latent diffusion: the model works on the latents of this autoencoder, a folder of `train_autoencoder`,
        hf://OWNER/NAME or the name of one in the package.
    preset, pixel_art, batch, accumulate, lr, dropout, flip, precision, seed, log, evaluations: see `TrainOptions`.

    On a CPU, the same pictures and options give the same weights as the command, bit for bit. Global random states,
    default dtype, default device, threads and signal handlers are left as they were. Ctrl-C saves a checkpoint and
    raises noisette.training.Interrupted. Raises InputError for unusable input, and its subclass
    noisette.training.Diverged if the loss or gradient is not finite.
    """
    in_memory = not isinstance(source, str | Path)
    if not in_memory and (attributes is not None or texts is not None or value_range is not None):
        raise InputError("attributes, texts and value_range are for pictures in memory: files bring their own")
    if not in_memory and not isinstance(labels, str | Path | None):
        raise InputError("labels beside a file must be the path of an .npy file: give the pictures in memory, too")
    if in_memory and isinstance(labels, str | Path):
        raise InputError("labels beside pictures in memory must be one name or number per picture, got a path")
    opened: str | Path | Source
    if not isinstance(source, str | Path):
        opened = source_from_array(source, labels, attributes, texts, value_range)  # type: ignore[arg-type]
    else:
        opened = source
    if seconds is None and images is None:
        seconds = 600.0
    options = TrainOptions(
        preset=preset,
        seconds=_parse_seconds(seconds),
        images=_parse_images(images),
        size=as_size(size),
        pixel_art=pixel_art,
        cell="auto" if cell == "auto" else as_size(cell),
        spacing=spacing,
        margin=margin,
        follow_links=follow_links,
        near_duplicates=near_duplicates,
        percentiles=percentiles,
        mask_value=mask_value,
        labels=None if in_memory or labels is None else str(labels),
        task=_parse_task(task, factor),
        batch=batch,
        accumulate=accumulate,
        lr=lr,
        dropout=dropout,
        flip=flip,
        recipe=str(recipe) if isinstance(recipe, Path) else recipe,
        precision=precision,
        text=str(encoder) if encoder is not None else DEFAULT_ENCODER if text else None,
        seed=seed,
        save_every=_parse_seconds(save_every),
        log=log,
        evaluations=evaluations,
        start_from=None if start_from is None else str(start_from),
        autoencoder=None if autoencoder is None else str(autoencoder),
    )
    folder = _new_run_folder("array" if in_memory else Path(str(source)).stem) if out is None else Path(out)
    train_run(opened, folder, options, on_progress)
    return Run(folder)


def distill(
    run: str | Path | Run,
    out: str | Path | None = None,
    *,
    steps: int = 4,
    guidance: float | None = None,
    seconds: float | str | None = None,
    images: int | str | None = None,
    batch: int | None = None,
    lr: float | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    seed: int = 0,
    save_every: float | str = 60.0,
    log: Literal["jsonl", "tensorboard", "trackio"] = "jsonl",
    any_quality: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Distill the model of a finished run, as `noisette distill` does: a student that draws in few network calls.

    run: the teacher, with the pictures that it was trained on. out: the student's run folder; one that holds a run of
        the same options is resumed. None: a new folder below runs/ in the current directory.
    steps: network calls of the student for a picture, 1 to 8.
    guidance: classifier-free guidance scale of the teacher, which becomes part of the student. None: the teacher's own,
        and autoguidance by its early snapshot where there is one.
    seconds, images: length: seconds or "5m" (default: 300 seconds) of training, or training examples.
    any_quality: keep the student without comparing it with its teacher.
    batch, lr, precision, seed, save_every, log, on_progress: as in `train`.

    Returns the student's run; the teacher's is not changed. Raises InputError in addition for a student that is not
    good enough: its held-out KID is more than 1.15 times its teacher's (1.5 times with 2 or 3 calls; with 1 it may be
    anything), or more of its pictures are copies. Its checkpoints are kept, and the same call with more time goes on.
    """
    if seconds is None and images is None:
        seconds = 300.0
    source = run.folder if isinstance(run, Run) else Path(run)
    folder = _new_run_folder(f"{source.name}-{steps}-steps") if out is None else Path(out)
    options = make_distill_options(
        source,
        folder,
        steps,
        guidance,
        seconds=_parse_seconds(seconds),
        images=_parse_images(images),
        batch=batch,
        lr=lr,
        precision=precision,
        seed=seed,
        save_every=_parse_seconds(save_every),
        log=log,
        any_quality=any_quality,
    )
    distill_run(source, folder, options, on_progress)
    return Run(folder)


@torch_defaults()
def train_classifier(
    source: str | Path,
    out: str | Path | None = None,
    *,
    seconds: float | str | None = None,
    images: int | str | None = None,
    size: Size | None = None,
    batch: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
) -> PictureClassifier:
    """Train a noise-conditioned classifier for classifier guidance, as `noisette train-classifier` does.

    source: a run folder, for its pictures, labels and noise schedule; or a source of pictures with labels, for models
        with the noise schedule of the presets `tiny` to `dit-tiny`.
    out: the folder to write the classifier into; None: nothing is written.
    seconds, images: length of the training: seconds or "2m" (default: 120 seconds), or training images.
    size: of the pictures in pixels, as in `train`; only if `source` is not a run. batch: images per step. lr: the
        highest learning rate.

    Returns the classifier on the CPU. Raises InputError if there are fewer than two labels. Global state is left as it
    was.
    """
    if seconds is None and images is None:
        seconds = 120.0
    options = ClassifierOptions(
        seconds=_parse_seconds(seconds),
        images=_parse_images(images),
        batch=batch,
        lr=lr,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        data, schedule = classifier_data(source, folder, as_size(size), seed)
        classifier = fit_classifier(data, schedule, options)
    if out is not None:
        classifier.save_pretrained(out)
    return classifier


def train_autoencoder(
    source: str | Path | Tensor | np.ndarray,
    out: str | Path,
    *,
    seconds: float | str | None = None,
    images: int | str | None = None,
    factor: int = 4,
    channels: int = 4,
    variational: bool = True,
    kl_weight: float = 1e-3,
    perceptual_weight: float = 0.0,
    start_from: str | Path | None = None,
    size: Size | None = None,
    crop: int | None = 32,
    batch: int = 16,
    lr: float = 1e-2,
    seed: int = 0,
    follow_links: bool = False,
    save_every: float | str = 60.0,
    value_range: tuple[float, float] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PictureAutoencoder:
    """Train an autoencoder for latent diffusion, as `noisette train-autoencoder` does.

    source, size, value_range, save_every: as in `train`. out: the run folder; the same call resumes what is there.
    seconds, images: length of the training: seconds or "10m" (default), or training crops.
    factor: pixels per latent pixel and side, a power of 2 up to 32. channels: of the latents. variational: with the KL
    term, of weight kl_weight per latent value. perceptual_weight: of the distance of EfficientNet's feature maps (after
    LPIPS), which needs the extra `metrics`. start_from: an autoencoder of the same network. crop: side in pixels of the
    squares that are trained on; None: whole pictures. batch: crops per step. lr: the highest learning rate.

    Returns the autoencoder on the CPU. Raises InputError, Diverged and Interrupted as `train` does.
    """
    if seconds is None and images is None:
        seconds = 600.0
    opened = source if isinstance(source, str | Path) else source_from_array(source, value_range=value_range)
    options = AutoencoderOptions(
        _parse_seconds(seconds), _parse_images(images), factor, channels, variational=variational, kl_weight=kl_weight,
        perceptual_weight=perceptual_weight, start_from=None if start_from is None else str(start_from),
        size=as_size(size), crop=crop, batch=batch, lr=lr, seed=seed, follow_links=follow_links,
        save_every=_parse_seconds(save_every),
    )  # fmt: skip
    return PictureAutoencoder.from_pretrained(train_autoencoder_run(opened, out, options, on_progress))


Seconds = TypeVar("Seconds", float, float | None)


def _parse_seconds(value: Seconds | str) -> Seconds | float:
    return parse_duration(value) if isinstance(value, str) else value


def _parse_images(value: int | str | None) -> int | None:
    return parse_count(value) if isinstance(value, str) else value


def _parse_task(task: Task | str, factor: int | None) -> Task:
    kind = lookup(task, TASKS, "task", OWN_NAME_HINT) if isinstance(task, str) else None
    if factor is None:
        return kind() if kind is not None else task  # type: ignore[return-value]
    if kind is not Upscale:
        raise InputError(f'factor belongs to task="upscale": leave it out with task={task!r}')
    return Upscale(factor)


def _new_run_folder(name: str) -> Path:
    """runs/NAME, or runs/NAME-2, … if there is one already."""
    if launched_processes()[1] > 1:
        raise InputError("several processes need the same run folder: give out")
    candidates = (Path("runs") / (name if k == 1 else f"{name}-{k}") for k in range(1, 1_000_000))
    return next(path for path in candidates if not path.exists())
