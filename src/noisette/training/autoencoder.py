"""Train an autoencoder on a folder of pictures: `noisette train-autoencoder`.

Rombach et al. 2022, section 3.1, without adversarial loss: L1 and differences of neighboring pixels at several scales,
and a small KL term. A run folder holds the prepared pictures, checkpoints, metrics.jsonl, sample sheets of held-out
pictures beside their reconstructions, and at the end `model/`. A run that is stopped continues with the same call; one
of a number of images then ends, on a CPU, with the same weights bit for bit.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..data import Dataset, Subset, prepare
from ..data.entry import Source
from ..data.pictures import Pictures
from ..data.png import write_png
from ..diffusion.noise import derive_seed, make_generator
from ..errors import InputError, OutOfMemory
from ..evaluation.metrics.perceptual import PerceptualDistance
from ..io import checkpoint
from ..io.json_files import read_object, write_json
from ..io.lock import RunLock
from ..models.config import from_json, to_json
from ..models.picture_autoencoder import AutoencoderModelConfig, PictureAutoencoder, reconstruct
from ..nn.autoencoder import AutoencoderConfig, gradient_difference, kl_divergence, sample_latents
from ..nn.autoencoder_base import AutoencoderArchitecture
from ..nn.ema import EMA
from ..nn.muon import Muon, find_matrices
from ..shapes import Images, UInt8Images
from ..team import best_device
from .isolation import preserve_global_state
from .latent_data import open_autoencoder
from .latent_scale import BATCH_MEASURED, with_latent_scale
from .metrics_log import MetricsLog
from .plan import check_maxima
from .progress import Diverged, Interrupted, Progress, StopSignals
from .progress_schedule import lr_factor
from .resume import remove_if_empty, sweep
from .sample_sheets import make_sheet
from .trial_step import MEMORY_ADVICE

OPTIONS_KEY = "autoencoder_options"  # in RUN/config.json
WIDTHS = (32, 48, 64, 96, 128)  # channels at half the resolution, a quarter, and so on
BLOCKS = 2  # residual blocks of a level of the decoder
EVALUATIONS = 10  # measurements of held-out pictures, evenly spaced
MAX_EVALUATED = 512  # held-out pictures
SHEET_PICTURES = 8
MAX_PSNR = 60.0  # dB; of a picture that is reconstructed exactly


@dataclass(frozen=True)
class AutoencoderOptions:
    """Settings of an autoencoder's training. Exactly one of `seconds` and `images` is given."""

    seconds: float | None = None  # duration, in seconds
    images: int | None = None  # training images seen
    factor: int = 4  # pixels per latent pixel and side: 2, 4, 8, 16 or 32
    channels: int = 4  # of the latents, 1 to 64
    variational: bool = True  # KL-regularized; False: deterministic
    kl_weight: float = 1e-3  # of the KL term, per latent value, relative to L1 per pixel value
    gradient_weight: float = 1.0  # of the differences of neighboring pixels
    perceptual_weight: float = 0.0  # of the distance of EfficientNet's feature maps; needs the extra `metrics`
    size: tuple[int, int] | None = None  # height and width of the prepared pictures; None: see data.prepare
    crop: int | None = 32  # side of the random crops that are trained on, in pixels; None: whole pictures
    batch: int = 16  # crops per optimizer step
    lr: float = 1e-2  # highest learning rate
    seed: int = 0  # of all random numbers
    follow_links: bool = False  # as in `prepare`
    start_from: str | None = None  # an autoencoder of the same network to start from; None: random weights
    save_every: float = 60.0  # seconds between checkpoints

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.images is None):
            raise InputError("an autoencoder needs either a time (--for) or a number of images (--images), not both")
        check_maxima(self)
        for name, value in (
            ("kl_weight", self.kl_weight),
            ("gradient_weight", self.gradient_weight),
            ("perceptual_weight", self.perceptual_weight),
        ):
            if not 0 <= value <= 1000:
                raise InputError(f"{name} must be 0 to 1000, got {value:g}")
        if self.crop is not None and (self.crop < 8 or self.crop % self.factor):
            raise InputError(f"crop must be at least 8 and a multiple of the factor {self.factor}, got {self.crop}")
        self.net_config(Pictures())

    def net_config(self, pictures: Pictures) -> AutoencoderConfig:
        """The network for such pictures."""
        levels = max(1, self.factor.bit_length() - 1)
        return AutoencoderConfig(
            channels=pictures.channels, latent_channels=self.channels, factor=self.factor, widths=WIDTHS[:levels],
            blocks=BLOCKS, variational=self.variational,
        )  # fmt: skip


def train_autoencoder(
    source: str | Path | Source,
    out: str | Path,
    options: AutoencoderOptions,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train an autoencoder on `source` in the folder `out`, or resume what is there. Returns the model's folder.

    `source` as in `train`. A time limit does not include preparing the pictures. Raises InputError for unusable input,
    Diverged, and Interrupted after a signal, when the run has been saved. Global random state and the like are left as
    they were.
    """
    run = Path(out)
    with preserve_global_state(), remove_if_empty(run), RunLock(run):
        sweep(run)
        _check_options(run, options)
        if options.start_from is not None and not (run / "config.json").exists():
            open_autoencoder(options.start_from)
        data = prepare(source, run, size=options.size, seed=options.seed, follow_links=options.follow_links)
        _require_autoencodable(data, options)
        write_json(run / "config.json", {OPTIONS_KEY: to_json(options)})
        try:
            return AutoencoderRun(run, data, options).run(on_progress)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"a training step does not fit into memory: {MEMORY_ADVICE}") from error


def is_autoencoder_run(run: Path) -> bool:
    """Whether the folder is that of a run of `train_autoencoder`."""
    path = run / "config.json"
    return path.is_file() and OPTIONS_KEY in read_object(path)


def read_options(run: Path) -> AutoencoderOptions:
    """The options that a run of `train_autoencoder` was started with. Raises InputError for another folder."""
    path = run / "config.json"
    if not is_autoencoder_run(run):
        raise InputError(f"{run} is not a run of train-autoencoder: give another --out")
    return from_json(AutoencoderOptions, read_object(path)[OPTIONS_KEY], f"{path}: {OPTIONS_KEY}")


def _check_options(run: Path, options: AutoencoderOptions) -> None:
    """Raise InputError if the folder belongs to something else, or to a run of other options."""
    if not (run / "config.json").exists():
        return
    stored = read_options(run)
    if replace(stored, save_every=options.save_every) != options:
        names = [name for name in options.__dataclass_fields__ if getattr(stored, name) != getattr(options, name)]
        wrong = next(name for name in names if name != "save_every")
        raise InputError(
            f"{run} was started with {wrong} {getattr(stored, wrong)}, not {getattr(options, wrong)}: "
            "give the same options, or another --out"
        )


def _require_autoencodable(data: Dataset, options: AutoencoderOptions) -> None:
    least = min(data.pictures.height, data.pictures.width)
    if least < 2 * options.factor:
        raise InputError(
            f"pictures of {data.pictures.width}×{data.pictures.height} leave fewer than 2 latent pixels at factor "
            f"{options.factor}: give a smaller --factor, or a larger --size"
        )


class AutoencoderRun:
    """A run from its start or from its newest checkpoint to its end."""

    def __init__(self, folder: Path, data: Dataset, options: AutoencoderOptions) -> None:
        self.folder, self.data, self.options, self.device = folder, data, options, best_device()
        torch.manual_seed(derive_seed(options.seed, "autoencoder"))
        config = AutoencoderModelConfig(options.net_config(data.pictures), data.pictures.mode)
        self.model = PictureAutoencoder(config).to(self.device).train()
        self.ema = EMA(self.model, half_life=math.inf if options.images is None else 0.05 * options.images)
        matrices = find_matrices(self.model)
        others = [p for p in self.model.parameters() if not any(p is matrix for matrix in matrices)]
        self.optimizer = Muon(matrices, others, options.lr, (0.9, 0.99), 0.0)
        self.perceptual: PerceptualDistance | None = None
        if options.perceptual_weight:
            self.perceptual = PerceptualDistance(data.pictures).to(self.device)
        self.images, self.seconds_before = 0, 0.0
        self._resume()
        self.images_before = self.images  # of this process's first step
        self.start = time.monotonic()
        self.log = MetricsLog(folder / "metrics.jsonl", self.images)

    @property
    def seconds(self) -> float:
        """Duration so far, time before a resumption included."""
        return self.seconds_before + time.monotonic() - self.start

    def progress(self) -> float:
        """0 to 1."""
        options = self.options
        done = self.images / options.images if options.images is not None else self.seconds / (options.seconds or 1.0)
        return min(done, 1.0)

    def run(self, on_progress: Callable[[Progress], None]) -> Path:
        """Train to the end; returns the model's folder."""
        last_save, before = time.monotonic(), self.progress()
        with StopSignals() as stop:
            while before < 1.0:
                loss = self.step(before)
                after = self.progress()
                is_due = math.floor(EVALUATIONS * before) != math.floor(EVALUATIONS * after)
                notes = (
                    (f"held-out pictures, encoded and decoded again: PSNR {self.evaluate(loss):.2f} dB",)
                    if is_due
                    else ()
                )
                on_progress(self.make_progress(loss, after, notes))
                if time.monotonic() - last_save > self.options.save_every or stop.signal_number:
                    self._save()
                    last_save = time.monotonic()
                if stop.signal_number:
                    raise Interrupted(stop.signal_number, self.folder)
                before = after
        self._save()
        finished = with_latent_scale(self.ema.model.eval(), self.data.train, self.options.seed)
        finished.save_pretrained(self.folder / "model")
        return self.folder / "model"

    def make_progress(self, loss: float, progress: float, notes: tuple[str, ...]) -> Progress:
        """What is reported after a step."""
        total = self.images if progress == 1.0 else round(self.images / progress)
        rate = (self.images - self.images_before) / max(self.seconds - self.seconds_before, 1e-9)
        return Progress(self.images, total, self.seconds, rate, loss, notes=notes, time_limit=self.options.seconds)

    def step(self, progress: float) -> float:
        """One optimizer step; its loss."""
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = options.lr * lr_factor(progress, 0.03, 0.01)
        generator = make_generator(options.seed, "autoencode", self.images)
        x = random_crops(self.data.train, options.crop, options.factor, options.batch, generator).to(self.device)
        x = self.model.pad(x)
        mean, log_variance = self.model.net.encode(x)
        noise = torch.randn(mean.shape, generator=generator).to(self.device)
        restored = self.model.net.decode(sample_latents(mean, log_variance, noise))
        loss = (restored - x).abs().mean() + options.gradient_weight * gradient_difference(restored, x)
        if self.perceptual is not None:
            loss = loss + options.perceptual_weight * self.perceptual(restored, x)
        if log_variance is not None:
            loss = loss + options.kl_weight * kl_divergence(mean, log_variance)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not (loss.isfinite() and norm.isfinite()):
            raise Diverged(f"the loss is not finite after {self.images} images: lower --lr, or check the pictures")
        self.optimizer.step()
        self.images += options.batch
        self.ema.update(self.model, self.images, options.batch)
        return loss.item()

    def evaluate(self, loss: float) -> float:
        """PSNR of held-out pictures; writes a row of metrics.jsonl and a sheet of pictures and reconstructions."""
        pixels = first_pixels(self.data.held_out, MAX_EVALUATED)
        restored = reconstruct_all(self.ema.model, self.data.pictures, pixels)
        psnr = measure_psnr(self.data.pictures, restored, pixels).mean().item()
        row = {"images": self.images, "loss": loss, "psnr": psnr, "seconds": round(self.seconds, 3)}
        self.log.write(row)
        shown = torch.stack([pixels[:SHEET_PICTURES], restored[:SHEET_PICTURES]]).flatten(0, 1)
        (self.folder / "samples").mkdir(exist_ok=True)
        write_png(
            self.folder / "samples" / f"{self.images:09d}.png",
            make_sheet(shown, min(SHEET_PICTURES, len(pixels))),
            {"images": self.images},
            origin="edited",
        )
        return psnr

    def _save(self) -> None:
        parameters = dict(self.model.net.named_parameters())
        parts = {
            "model": self.model.net.state_dict(),
            "ema": self.ema.model.net.state_dict(),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer, parameters),
        }
        checkpoint.save(self.folder, self.images, parts, {"seconds": self.seconds})

    def _start_from(self, name: str) -> None:
        weights = require_same_network(name, self.model.config.net).net.state_dict()
        for model in (self.model, self.ema.model):
            model.net.load_state_dict(weights)

    def _resume(self) -> None:
        found = checkpoint.find_latest(self.folder)
        if found is None:
            if self.options.start_from is not None:
                self._start_from(self.options.start_from)
            return
        self.model.net.load_state_dict(found.read_tensors("model"))
        self.ema.model.net.load_state_dict(found.read_tensors("ema"))
        parameters = dict(self.model.net.named_parameters())
        checkpoint.load_optimizer_tensors(self.optimizer, parameters, found.read_tensors("optimizer"))
        self.images, self.seconds_before = found.images, float(found.meta["seconds"])


def require_same_network(start_from: str, config: AutoencoderArchitecture) -> PictureAutoencoder:
    """The autoencoder of this name. Raises InputError if there is none, or if it is another network."""
    found = open_autoencoder(start_from)
    if found.config.net != config:
        raise InputError(f"{start_from} is another network than this run's: give its --factor, --channels and mode")
    return found


def random_crops(data: Subset, crop: int | None, factor: int, batch: int, generator: torch.Generator) -> Images:
    """Random pictures in model space, half of them mirrored, of each a square of `crop` pixels at a random place, or
    as much of it as there is; (batch, C, h, w)."""
    rows = torch.randint(len(data), (batch,), generator=generator)
    height, width = (side if crop is None else min(crop, side) for side in (data.pictures.height, data.pictures.width))
    tops = torch.randint(data.pictures.height - height + 1, (batch,), generator=generator).tolist()
    lefts = torch.randint(data.pictures.width - width + 1, (batch,), generator=generator).tolist()
    pixels = data.pixels(rows)
    cropped = torch.stack(
        [p[:, top : top + height, left : left + width] for p, top, left in zip(pixels, tops, lefts, strict=True)]
    )
    x = data.pictures.encode(cropped)
    mirrored = torch.rand(batch, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def first_pixels(data: Subset, count: int) -> UInt8Images:
    """The first pictures of a side."""
    return data.pixels(torch.arange(min(count, len(data))))


def reconstruct_all(autoencoder: PictureAutoencoder, pictures: Pictures, pixels: UInt8Images) -> UInt8Images:
    """Pictures, encoded and decoded again, a few at a time."""
    with torch.no_grad():
        return torch.cat([reconstruct(autoencoder, pictures, part) for part in pixels.split(BATCH_MEASURED)])


def measure_psnr(pictures: Pictures, a: UInt8Images, b: UInt8Images) -> Float[Tensor, "b"]:
    """Peak signal-to-noise ratio of each picture in dB, over premultiplied colors and alpha, at most MAX_PSNR."""
    error = (pictures.encode(a) - pictures.encode(b)).square().flatten(1).mean(1) / 4  # the range is 2
    return -10 * error.clamp(min=10 ** (-MAX_PSNR / 10)).log10()
