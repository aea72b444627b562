"""The model that another one started from, as the guide that its samples are led away from.

Domain guidance (Zhong et al., ICLR 2025): what a model learned from its own pictures is what it predicts and the model
that it started from does not.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..io.run_config import is_run_config, read_run_config
from ..models.initialize import adapt_network, initialize
from ..models.picture_model import PictureModel

BASE = "base"  # instead of a guide model's path: the model that this one started from


def load_base(model: PictureModel) -> PictureModel:
    """The model that `model` started from, for pictures like its own.

    It is looked for by its name, where `train --from` was given it, and beside the run. Raises
    InputError if `model` started from scratch, and if the other one is not there or has changed.
    """
    if not model.config.origins:
        raise InputError(
            f"this model did not start from another one, so it has no {BASE}: guide with RUN/early instead"
        )
    base, origin = find_base(model), model.config.origins[0]
    if base is None:
        raise InputError(
            f"this model started from {origin.name} ({origin.pictures}, {origin.hash[:12]}…), which is not found: give "
            "its folder as the guide model"
        )
    return adapt_guide(base, model)


def adapt_guide(guide: PictureModel, model: PictureModel) -> PictureModel:
    """The guide model itself, unless `model` started from it: then for pictures like those of `model`, as training
    began. Raises InputError where the two have different networks or schedules."""
    config = model.config
    if not is_base(guide.hash, model) or (guide.pictures, guide.config.task) == (model.pictures, config.task):
        return guide
    if (adapt_network(guide.config, config), guide.config.schedule) != (config.net, config.schedule):
        raise InputError(
            f"{config.origins[0].name} has another network or schedule than this model, which started from it: give "
            "another guide model"
        )
    adapted = PictureModel(
        replace(config, parametrization=guide.config.parametrization), model.prior, model.autoencoder
    )
    made = initialize(guide.net.state_dict(), guide.config, adapted.net.state_dict(), config)
    adapted.net.load_state_dict(made.state)
    adapted.hash = guide.hash
    return adapted.eval().requires_grad_(False)


def is_base(model_hash: str | None, model: PictureModel) -> bool:
    """Whether `model` started from the model of this hash."""
    return model_hash is not None and model_hash in [origin.hash for origin in model.config.origins[:1]]


def find_base(model: PictureModel) -> PictureModel | None:
    for place in _list_places(model):
        with suppress(InputError):  # nothing there, or no model
            base = PictureModel.from_pretrained(place)
            if is_base(base.hash, model):
                return base
    return None


def _list_places(model: PictureModel) -> Iterator[str | Path]:
    """Where the model may be that this one started from."""
    name = model.config.origins[0].name
    yield name
    for run in () if model.folder is None else model.folder.resolve().parents[:2]:  # RUN/model, RUN/snapshots/IMAGES
        if is_run_config(run / "config.json"):
            given = read_run_config(run / "config.json").options.get("start_from")
            if isinstance(given, str):
                yield given
        yield run.parent / name
