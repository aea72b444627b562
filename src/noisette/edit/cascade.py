"""A small picture, made larger by one trained model after another: 16 → 32 → 64 (Ho et al. 2021).

Each model is told that what it is given is a model's, and no photograph: noise of a small deviation is put on it, and
the model knows of it (`Upscale.augment`), so that it draws anew what the model before got wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import InputError
from ..model import PictureModel
from ..noise import Seeded, key
from ..shapes import Bytes, Images
from ..task import Given, Upscale
from .generate import ends, generate

LEVEL = 0.1  # deviation of the noise that is put on what a model drew, unless said


@dataclass(frozen=True)
class Cascade:
    """The models that follow a first one, each as it draws by itself. `level`: noise on what each of them is given."""

    models: tuple[PictureModel, ...]
    level: float = LEVEL

    def check(self, base: PictureModel) -> "Cascade":
        """Refuse models that do not follow each other."""
        for before, after in zip((base, *self.models), self.models, strict=False):
            task, drawn = after.config.task, before.pictures
            if not isinstance(task, Upscale):
                raise InputError(
                    f"what follows a model in a cascade enlarges its pictures, and a {type(task).__name__} model does "
                    "not: give models of noisette train --task upscale"
                )
            wanted = task.wanted(after.pictures)
            if (wanted.pictures.mode, wanted.height, wanted.width) != (drawn.mode, drawn.height, drawn.width):
                raise InputError(
                    f"a model that enlarges {wanted} cannot follow one that draws {drawn.mode} pictures of "
                    f"{drawn.width}×{drawn.height}: give models whose sizes meet"
                )
            if not 0 <= self.level <= task.augment:
                raise InputError(f"noise of {self.level:g} is more than a model knows: give 0 to {task.augment:g}")
        return self

    def last(self, base: PictureModel) -> PictureModel:
        """Whose pictures come out."""
        return (base, *self.models)[-1]

    def enlarged(
        self, base: PictureModel, x: Given, seeds: Sequence[int], labels: Sequence[str | None], batch: int = 16
    ) -> Images:
        """What `base` drew for `seeds`, as large as the last model's pictures. Image i depends on its seed alone."""
        large = x
        for number, model in enumerate(self.models):
            names = model.pictures.labels
            asked = labels if names and names == base.pictures.labels else [None]
            large = self._by(model, large, [key(seed, "then", number) for seed in seeds], asked, batch)
        return large

    def _by(
        self, model: PictureModel, small: Given, seeds: Sequence[int], asked: Sequence[str | None], batch: int
    ) -> Images:
        task, own, device = model.config.task, model.config.sampling, next(model.parameters()).device
        assert isinstance(task, Upscale)
        small = small.clamp(-1, 1).to(device)
        cond = model.condition(asked, len(seeds), image=small)
        assert cond is not None
        under = task.image(small, self.level, Seeded([key(seed, "level") for seed in seeds]))
        grid = model.grid()
        cond = replace(cond, image=under)
        walk = generate(model, seeds, cond, model.sampler(), grid, own.guidance, batch, own.temperature)
        return ends(walk, grid).to(device)


def drawn(
    base: PictureModel,
    models: Sequence[PictureModel],
    seeds: Sequence[int],
    label: str | None = None,
    level: float = LEVEL,
    batch: int = 16,
) -> Bytes:
    """Pictures of a cascade: `base` draws small ones, and each of `models` enlarges them."""
    after, own, grid = Cascade(tuple(models), level).check(base), base.config.sampling, base.grid()
    cond = base.condition(label, len(seeds))
    walk = generate(base, seeds, cond, base.sampler(), grid, own.guidance, batch, own.temperature)
    large = after.enlarged(base, ends(walk, grid), seeds, [label] * len(seeds), batch)
    return after.last(base).pictures.finished(large).cpu()
