"""A cascade: small samples, enlarged by one model after another, 16 → 32 → 64 (Ho et al. 2021).

Noise of a small deviation is added to each upscaler's input, and the upscaler is conditioned on that deviation
(noise conditioning augmentation, `Upscale.augment`), so that it corrects faults of the model before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..diffusion.noise import Seeded, derive_seed
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..models.task import InputImages, Upscale
from ..shapes import Images
from .generate import sample_images

DEFAULT_NOISE_AUG = 0.1  # deviation of the noise added to an upscaler's input


@dataclass(frozen=True)
class Cascade:
    """Upscalers in order, each with its own sampling defaults. `noise_aug`: deviation of the noise on their input."""

    models: tuple[PictureModel, ...]
    noise_aug: float = DEFAULT_NOISE_AUG

    def validate(self, base_model: PictureModel) -> "Cascade":
        """Raises InputError where a model does not enlarge the images of the one before, or for noise_aug out of
        range."""
        for before, after in zip((base_model, *self.models), self.models, strict=False):
            task, pictures = after.config.task, before.pictures
            if not isinstance(task, Upscale):
                raise InputError(
                    "an upscaler must be a model of noisette train --task upscale, "
                    f"got one of task {type(task).__name__}"
                )
            expected = task.input_spec(after.pictures)
            given = (pictures.mode, pictures.height, pictures.width)
            if (expected.pictures.mode, expected.height, expected.width) != given:
                raise InputError(
                    f"an upscaler of {expected} cannot follow a model of {pictures.mode} pictures of "
                    f"{pictures.width}×{pictures.height}: give models whose sizes and modes match"
                )
            if not 0 <= self.noise_aug <= task.augment:
                raise InputError(
                    f"noise_aug must be between 0 and {task.augment:g}, which the upscaler was trained with, "
                    f"got {self.noise_aug:g}"
                )
        return self

    def last_model(self, base_model: PictureModel) -> PictureModel:
        """The model whose images come out."""
        return (base_model, *self.models)[-1]

    def upscale(
        self,
        base_model: PictureModel,
        samples: InputImages,
        seeds: Sequence[int],
        labels: Sequence[str | None],
        batch: int = 16,
    ) -> Images:
        """The base model's samples, in its space, enlarged by each upscaler. Image i depends on samples[i], seeds[i]
        and labels[i]."""
        large = base_model.codec.to_images(samples) if self.models else samples
        for number, model in enumerate(self.models):
            names = model.pictures.labels
            known = labels if names and names == base_model.pictures.labels else [None]
            large = self._upscale_once(
                model, large, [derive_seed(seed, "then", number) for seed in seeds], known, batch
            )
        return large

    def _upscale_once(
        self, model: PictureModel, small: InputImages, seeds: Sequence[int], labels: Sequence[str | None], batch: int
    ) -> Images:
        task, device = model.config.task, next(model.parameters()).device
        assert isinstance(task, Upscale)
        small = small.clamp(-1, 1).to(device)
        cond = model.condition(labels, len(seeds), image=small)
        assert cond is not None
        noise = Seeded([derive_seed(seed, "level") for seed in seeds])
        cond = replace(cond, image=task.encode_input(small, self.noise_aug, noise))
        return sample_images(model, seeds, cond, batch=batch).to(device)
