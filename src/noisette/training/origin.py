"""The model that a run starts from (`--from`): opening it, the recipe for what grows from it, and its weights."""

from dataclasses import replace
from pathlib import Path

from ..data.pictures import Pictures
from ..errors import InputError, suggest_names
from ..io import hub
from ..models import shipped
from ..models.config import ModelConfig, Origin
from ..models.initialize import adapt_network, initialize
from ..models.picture_model import PictureModel
from ..models.task import Draw
from ..nn.architecture import Architecture, UNetConfig
from .recipes.recipe import Recipe
from .state import TrainingState

FROM_SCRATCH = "none"  # instead of the name of a model
LR_RATIO = 0.6  # highest learning rate over that of a run from scratch
WARMUP = 0.05  # least share of the run with linear warmup
LIMITED_PICTURES, MAX_EPOCHS = 200, 100.0  # up to so many training pictures, each is shown so often at most
MIN_SHARE = 0.5  # of the new model's weights that must come from the old one


def open_origin(start_from: str | None, recipe: Recipe) -> PictureModel | None:
    """The model that a run of this recipe starts from; None: it starts from scratch.

    start_from: a path, hf://OWNER/NAME or the name of a model in the package; FROM_SCRATCH; or None: the base that
    ships for pictures of this size, where there is one of the recipe's network.
    """
    if start_from is not None:
        return open_named(start_from)
    model = recipe.model
    name = None if model.pictures.latent else shipped.find_base(model.pictures.height, model.pictures.width)
    if name is None or not isinstance(model.task, Draw):
        return None
    base = PictureModel.from_pretrained(name)
    same_network = _differ_in_attention_alone(adapt_network(base.config, model), model.net)
    return base if same_network and _predict_alike(base.config, model) else None


def open_named(start_from: str | None) -> PictureModel | None:
    """The model that a user named; None: none. Raises InputError if there is none of that name."""
    if start_from is None or start_from == FROM_SCRATCH:
        return None
    if not (Path(start_from).exists() or shipped.find_folder(start_from) or hub.is_hub_url(start_from)):
        raise InputError(f"no model is called {start_from}{suggest_names(start_from, shipped.list_names())}")
    return PictureModel.from_pretrained(start_from)


def grow_recipe(recipe: Recipe, base: PictureModel, keep_network: bool, pictures: int) -> Recipe:
    """The recipe for a run that starts from `base`: its schedule, parametrization and sampling defaults, a lower
    learning rate, and for few pictures an end before they are memorized.

    pictures: the number of training pictures. keep_network: with the network of `base`, too, instead of the recipe's.
    Where the two differ in the levels of their attention alone, it is kept in any case: without its attention a network
    is worth little. Raises InputError for a network that predicts something else than `base`.
    """
    model, config, training = recipe.model, base.config, recipe.training
    if config.pictures.latent != model.pictures.latent:
        raise InputError(
            f"{model_name(base)} {_describe_space(config.pictures)}, and this run {_describe_space(model.pictures)}: "
            "give another --from"
        )
    adapted = adapt_network(config, model)
    keep_network = keep_network or _differ_in_attention_alone(adapted, model.net)
    if not keep_network and not _predict_alike(config, model):
        raise InputError(
            f"{model_name(base)} was trained with {type(config.schedule).__name__} and "
            f"{type(config.parametrization).__name__}, this preset with {type(model.schedule).__name__} and "
            f"{type(model.parametrization).__name__}: leave --preset out to use that model's network"
        )
    model = replace(
        model,
        net=adapted if keep_network else model.net,
        schedule=config.schedule,
        parametrization=config.parametrization,
        sampling=model.sampling if base.has_learned_variance else config.sampling,  # short runs tune none
        origins=(origin_of(base), *config.origins),
    )
    training = replace(
        training,
        lr=LR_RATIO * training.lr,
        warmup=max(WARMUP, training.warmup),
        max_epochs=MAX_EPOCHS if pictures <= LIMITED_PICTURES else training.max_epochs,
    )
    return Recipe(model, training)


def load_origin(state: TrainingState, config: ModelConfig, start_from: str | None) -> tuple[str, ...]:
    """Give a run that starts the weights of the model that it starts from. Returns two lines that describe them.

    Does nothing, and returns (), for a run from scratch. Raises InputError if that model is not there any more, or not
    the same, and for one of which too little fits.
    """
    if not config.origins:
        return ()
    origin = config.origins[0]
    name = start_from or origin.name
    base = PictureModel.from_pretrained(name)
    if base.hash != origin.hash:
        raise InputError(f"{name} is not the model that this run was planned with: give another --out")
    made = initialize(base.net.state_dict(), base.config, state.model.net.state_dict(), config)
    if made.share < MIN_SHARE:
        raise InputError(
            f"only {100 * made.share:.2g} % of this network's weights can come from {origin.name}: leave --preset out "
            f"to use its network, or start from scratch with --from {FROM_SCRATCH}"
        )
    for model in (state.model, state.ema.model):
        model.net.load_state_dict(made.state)
    return (
        f"starts from {origin.name} ({origin.pictures}): {100 * made.share:.4g} % of the weights are taken over",
        f"new: {'; '.join(made.changes) or 'nothing'}",
    )


def origin_of(model: PictureModel) -> Origin:
    """A model as the origin of others."""
    return Origin(model_name(model), model.hash, describe_pictures(model.pictures))


def model_name(model: PictureModel) -> str:
    """The name of its run, or of its folder."""
    folder = Path("model") if model.folder is None else model.folder.resolve()
    return folder.parent.name if folder.name == "model" else folder.name


def describe_pictures(pictures: Pictures) -> str:
    """Size and mode."""
    return f"{pictures.width}×{pictures.height} {pictures.mode}"


def _describe_space(pictures: Pictures) -> str:
    return "works on pixels" if pictures.latent is None else f"works on latents of factor {pictures.latent.factor}"


def _differ_in_attention_alone(a: Architecture, b: Architecture) -> bool:
    """Whether two networks are equal, or U-Nets with attention on other levels."""
    if isinstance(a, UNetConfig) and isinstance(b, UNetConfig) and len(a.channels) == len(b.channels):
        a = replace(a, attention=b.attention)
    return a == b


def _predict_alike(a: ModelConfig, b: ModelConfig) -> bool:
    """Whether the networks of two models predict the same kind of mixture, on the same kind of schedule."""
    return type(a.parametrization) is type(b.parametrization) and type(a.schedule) is type(b.schedule)
