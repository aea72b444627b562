"""A model that knows its pictures: what `noisette.load` gives, and what a model folder holds."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.pictures import Pictures
from ..data.text import CachedTextEncoder
from ..diffusion.condition import Condition
from ..diffusion.denoiser import DiffusionModel, Prediction
from ..diffusion.gaussian_prior import GaussianPrior, PriorConfig
from ..diffusion.posterior import LearnedRange
from ..diffusion.sampler import DDPM, Sampler, scale_noise
from ..display import Displayed
from ..errors import InputError, lookup
from ..io import checkpoint, hub
from ..io.json_files import read_object, write_json
from ..io.json_types import get_field, get_only
from ..io.run_config import is_run_config, read_run_config
from ..shapes import Images, Time
from ..team import torch_defaults
from . import shipped
from .config import ModelConfig, SamplingDefaults, build, describe_network, from_json, to_json
from .context import Attributes, Label, encode_attributes, encode_labels
from .registry import GRIDS, OWN_NAME_HINT, SAMPLERS
from .task import InputImages

PRIOR_PREFIX = "prior."  # of its tensors in model.safetensors
NO_PRIOR_NOTE = "at high noise the network is called, too: the closed form of this model is not exported"


class PictureModel(DiffusionModel, Displayed):
    """A diffusion model with its config: size and mode of its pictures, their labels, its sampling defaults."""

    def __init__(self, config: ModelConfig, prior: GaussianPrior | None = None) -> None:
        """An untrained model. prior: what predicts x0 in place of the network where noise hides almost everything."""
        super().__init__(build(config.net), config.schedule, config.parametrization)
        self.config, self.prior = config, prior
        self.folder: Path | None = None  # that it was read from
        self.text_encoder = (
            None if config.pictures.text_encoder is None else CachedTextEncoder(config.pictures.text_encoder)
        )
        self.hash = "untrained"  # of the weights and of the config without sampling defaults

    @property
    def pictures(self) -> Pictures:
        return self.config.pictures

    def predict(self, x: Images, t: Time, cond: Condition | None = None) -> Prediction:
        """x0 and ε from x_t: by the network, or at high noise by the prior, if the model has one."""
        if self.prior is None or not (is_high := self._is_high(t, self.prior)).any():
            return super().predict(x, t, cond)
        closed = self.prior.predict(x, *self.schedule.at(t, x), None if cond is None else cond.label)
        return closed if is_high.all() else closed.where(is_high, super().predict(x, t, cond))

    def calls_network(self, t: Time) -> bool:
        """Whether a prediction at this time, or at any of these times, takes a call of the network."""
        return self.prior is None or not self._is_high(t, self.prior).all()

    def _is_high(self, t: Time, prior: GaussianPrior) -> Tensor:
        """Which times are at noise levels where the prior predicts: bool, of the shape of t."""
        return self.schedule.ratio(t) >= prior.config.min_ratio

    def condition(
        self,
        label: Label | Sequence[Label | None] | None = None,
        n: int = 1,
        *,
        attributes: Attributes | Sequence[Attributes | None] | None = None,
        text: str | Sequence[str | None] | None = None,
        image: InputImages | None = None,
    ) -> Condition | None:
        """The `Condition` of `n` images from names; None for a model that takes none.

        A label is a name, or a mixture: "potion:0.5,weapon:0.5" or {"potion": 0.5, "weapon": 0.5}. Attributes are
        {"hue": 0.3, "shape": "round"}, in the data's own units. A text is any sentence. Each is one for all images, or
        several: image i takes number i modulo their number. None is the null condition. `image` is the input picture
        of the model's task, (1 or n, C, H, W), premultiplied in [-1, 1]. Raises InputError for unknown names.
        """
        labels: list[Label | None] = [label] if label is None or isinstance(label, str | Mapping) else list(label)
        values = [attributes] if attributes is None or isinstance(attributes, Mapping) else list(attributes)
        texts = [text] if text is None or isinstance(text, str) else list(text)
        net, reader = self.config.net, self.text_encoder
        classes, vector = net.classes, net.vector
        if not classes and (name := next((one for one in labels if one is not None), None)) is not None:
            raise InputError(f"this model was trained without labels: leave out the label {name!r}")
        if not vector and (first := next((one for one in values if one), None)):
            raise InputError(f"this model was trained without attributes: leave out {next(iter(first))!r}")
        if reader is None and (caption := next((one for one in texts if one), None)):
            raise InputError(f"this model was trained without text: leave out the text {caption!r}")
        under = self.config.task.encode_cond_image(image, self.pictures)
        if not classes and not vector and reader is None and under is None:
            return None
        return Condition(
            label=encode_labels([labels[i % len(labels)] for i in range(n)], self.pictures.labels) if classes else None,
            vector=torch.stack([encode_attributes(values[i % len(values)], self.pictures) for i in range(n)])
            if vector
            else None,
            tokens=None if reader is None else reader([texts[i % len(texts)] for i in range(n)]),
            image=None if under is None else under.expand(n, -1, -1, -1),
        )

    def label_index(self, name: str | None) -> int:
        """The class number of a label; -1 for None. Raises InputError for unknown labels and mixtures."""
        row = encode_labels([name], self.pictures.labels)
        if row.is_floating_point():
            raise InputError(f"{name!r} is a mixture of labels, which has no class number: give one of them")
        return int(row[0])

    def sampler(self, name: str | None = None) -> Sampler:
        """A named sampler; None: the model's default, which adds noise of the default temperature."""
        if name is None:
            return scale_noise(self.sampler(self.config.sampling.sampler), self.config.sampling.temperature)
        found = lookup(name, SAMPLERS, "sampler", OWN_NAME_HINT)()
        if isinstance(found, DDPM) and isinstance(found.variance, LearnedRange) and not self.has_learned_variance:
            raise InputError("this model did not learn a variance: choose ddpm or ddpm-large")
        return found

    @property
    def has_learned_variance(self) -> bool:
        """Whether the network outputs logits of the variance beside its prediction."""
        return self.config.net.out_channels == 2 * self.pictures.channels

    def grid(self, steps: int | None = None, name: str | None = None) -> Tensor:
        """Decreasing times, (steps + 1,) float64, of a named grid; the model's defaults where an argument is None.

        Raises InputError for an unknown name.
        """
        sampling: SamplingDefaults = self.config.sampling
        make = lookup(name or sampling.grid, GRIDS, "grid", OWN_NAME_HINT)
        return make(self.config.schedule, steps if steps is not None else sampling.steps, sampling.fitted)

    def with_sampling(self, sampling: SamplingDefaults) -> "PictureModel":
        """A copy with other sampling defaults; it shares the weights."""
        other = copy(self)
        other.config = replace(self.config, sampling=sampling)
        return other

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically."""
        checkpoint.save_model(Path(folder), self.config_json(), self.tensors())

    def config_json(self) -> dict[str, Any]:
        """The content of config.json."""
        return {"model": to_json(self.config)} | ({} if self.prior is None else {"prior": to_json(self.prior.config)})

    def tensors(self) -> dict[str, Tensor]:
        """The content of model.safetensors."""
        prior = {} if self.prior is None else self.prior.state_dict(prefix=PRIOR_PREFIX)
        return self.net.state_dict() | prior

    def save_sampling(self, folder: str | Path, sampling: SamplingDefaults) -> None:
        """Make `sampling` the default of this model, in memory and in `folder`, from which it was read.

        Weights and hash do not change, so earlier samples can still be reproduced.
        """
        path = _find_model_folder(folder) / "config.json"
        data = read_object(path)
        get_field(data, "model", dict, path)["sampling"] = to_json(sampling)
        write_json(path, data)
        self.config = replace(self.config, sampling=sampling)

    @classmethod
    @torch_defaults()
    def from_pretrained(cls, folder: str | Path) -> "PictureModel":
        """Open a model folder, a run folder (its `model`), a checkpoint of a run (its averaged weights), a model of the
        package by its name, or `hf://OWNER/NAME` from the hub. The model is on the CPU, in evaluation mode.

        Raises InputError if there is no such model, or if it is damaged.
        """
        path = _find_model_folder(folder)
        if (path / "state.json").is_file():
            return cls._from_checkpoint(path)
        try:
            data, tensors = checkpoint.read_model(path, _describe)
        except InputError as error:
            if path.exists() or not hub.REPO_ID.fullmatch(str(folder)):
                raise
            raise InputError(f"there is no folder {folder}: a model of the hub would be hf://{folder}") from error
        with torch.random.fork_rng(devices=[]):  # of the initial weights
            model = cls(*_parse_config(data, path / "config.json"))
        if model.prior is not None:
            numbers = {name: tensors.pop(PRIOR_PREFIX + name).float() for name in model.prior.state_dict()}
            model.prior.load_state_dict(numbers, assign=True)
        model.net.load_state_dict(tensors)
        model.hash, model.folder = checkpoint.model_hash(path, ("model", "sampling")), path
        if model.text_encoder is not None:
            model.text_encoder.run = path.parent
        return model.eval().requires_grad_(False)

    @classmethod
    def _from_checkpoint(cls, folder: Path) -> "PictureModel":
        """The averaged weights of a checkpoint, with the model config from the run's config.json."""
        config, found = _read_checkpoint_config(folder), checkpoint.read(folder)
        expected = describe_network(config.net)
        checkpoint.check_size(folder / "ema.safetensors", expected)
        tensors = found.read_tensors("ema")
        checkpoint.check_tensors(tensors, expected, folder)
        with torch.random.fork_rng(devices=[]):
            model = cls(config)
        model.net.load_state_dict(tensors)
        model.hash = found.parts["ema"][1]
        if model.text_encoder is not None:
            model.text_encoder.run = folder.parent.parent
        return model.eval().requires_grad_(False)


def read_config(folder: str | Path) -> ModelConfig:
    """The config of a model, without its weights: what `load` would open. Raises InputError if there is none."""
    path = _find_model_folder(folder)
    if (path / "state.json").is_file():
        return _read_checkpoint_config(path)
    return _parse_config(checkpoint.read_model_config(path), path / "config.json")[0]


def _read_checkpoint_config(folder: Path) -> ModelConfig:
    """The model config in the config.json of a checkpoint's run."""
    path = folder.parent.parent / "config.json"
    return from_json(ModelConfig, read_run_config(path).plan["recipe"]["model"], f"{path}: model")


def _parse_config(data: Mapping[str, Any], path: Path) -> tuple[ModelConfig, GaussianPrior | None]:
    """The config in the content of a model folder's config.json, and a prior of its shape, without its numbers."""
    if "classifier" in data:
        raise InputError(
            f"{path.parent} is a classifier and generates no pictures: open it with PictureClassifier.from_pretrained"
        )
    rest = {key: value for key, value in data.items() if key != "prior"}
    config = from_json(ModelConfig, get_only(rest, "model", path), f"{path}: model")
    if "prior" not in data:
        return config, None
    shape = from_json(PriorConfig, data["prior"], f"{path}: prior")
    if shape.groups != config.net.classes + 1:
        raise InputError(f"{path}: prior.groups is {shape.groups}, of a network with {config.net.classes} classes")
    with torch.device("meta"):
        return config, GaussianPrior(shape, config.pictures.shape)


def _describe(data: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    config, prior = _parse_config(data, path)
    return describe_network(config.net) | ({} if prior is None else prior.state_dict(prefix=PRIOR_PREFIX))


def _find_model_folder(folder: str | Path) -> Path:
    """The folder itself or a run folder's `model`; for `hf://…` its download; for a name that is no folder, the model
    of that name that ships with the package."""
    if not str(folder):
        raise InputError("the model must not be empty: give a folder or a name")
    path = hub.download(folder) if hub.is_hub_url(folder) else Path(folder)
    if not path.exists():
        path = shipped.find_folder(str(folder)) or path
    if (path / "model" / "config.json").is_file():
        return path / "model"
    if is_run_config(path / "config.json"):
        raise InputError(_describe_unfinished(path))
    return path


def _describe_unfinished(run: Path) -> str:
    """What to do with a run folder that has no model yet."""
    newest, command = checkpoint.find_latest(run), read_run_config(run / "config.json").command
    instead = "" if newest is None else f", or give its newest checkpoint, {newest.folder}, in place of {run}"
    return f"{run} is a run that is not finished: continue it with the same {command} command{instead}"


def load(path: str | Path) -> PictureModel:
    """Open a run folder, a model folder or a checkpoint of a run: `noisette.load("runs/emoji")`.

    Or a model of the package by its name, `noisette.load("emoji-16")`, or of the hub, "hf://OWNER/NAME", which is
    downloaded. The model is on the CPU, in evaluation mode. Raises InputError if there is no such model.
    """
    return PictureModel.from_pretrained(path)
