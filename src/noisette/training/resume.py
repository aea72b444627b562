"""How a run starts or resumes in its folder: the stored plan, the data, and what must agree with them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..data import Dataset, prepare
from ..data.entry import Source
from ..data.sprite_sheet import make_cells
from ..data.text import encoder_factory
from ..errors import InputError
from ..io.files import folder_bytes, remove_leftovers, require_space
from ..io.run_config import read_run_config, write_run_config
from ..models.config import from_json, to_json
from ..models.picture_model import PictureModel
from . import snapshots
from .latent_data import add_latents, check_latent_run
from .origin import open_named
from .plan import TrainingPlan, TrainOptions, make_plan
from .recipes.recipe import read_overrides
from .state import TrainingState
from .stored_options import extend_plan, is_longer


@contextmanager
def remove_if_empty(folder: Path) -> Iterator[None]:
    """Remove a folder that did not exist before the block and is empty after it."""
    is_new = not folder.exists()
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()


def sweep(run: Path) -> None:
    """Remove what killed processes have left behind, in the run folder and in the folders in it."""
    remove_leftovers(run)
    for folder in run.iterdir() if run.is_dir() else ():
        remove_leftovers(folder)


def prepare_data(source: str | Path | Source, run: Path, options: TrainOptions) -> Dataset:
    """The data set of a run folder, made from `source` or opened; with embedded captions, if `options.text` is set."""
    encoder = None if options.text is None else encoder_factory(run, options.text)
    data = prepare(
        source, run, size=options.size, pixel_art=options.pixel_art, seed=options.seed,
        cell=make_cells(options.cell, options.spacing, options.margin), labels=options.labels,
        masks=options.task.target_layer == "mask",
        mask_value=options.mask_value, follow_links=options.follow_links, near_duplicates=options.near_duplicates,
        percentiles=options.percentiles,
    )  # fmt: skip
    data = data if encoder is None else data.with_captions(encoder)
    if options.autoencoder is None:
        return data
    return add_latents(data, run, options.autoencoder, options.flip, options.seed)


def load_plan(run: Path, options: TrainOptions) -> TrainingPlan | None:
    """The plan that a run folder was started with; None if there is none.

    A run that is asked to be longer than it was gets the longer plan, which is stored in its config.json. Raises
    InputError if the folder is not a run's, if it was started with other options, or if a new run is to start from a
    model, or have a recipe, that does not exist.
    """
    path = run / "config.json"
    if not path.exists():
        open_named(options.start_from)
        if options.recipe is not None:
            read_overrides(options.recipe)
        if options.autoencoder is not None:
            check_latent_run(options)
        return None
    config = read_run_config(path)
    plan = from_json(TrainingPlan, config.plan, f"{path}: plan")
    if is_longer(run, config.options, options):
        plan = extend_plan(run, plan, options)
        write_run_config(path, to_json(options), to_json(plan))
    return plan


def resolve_plan(
    stored: TrainingPlan | None,
    run: Path,
    data: Dataset,
    options: TrainOptions,
    accelerator: Accelerator,
    start_time: float,
) -> TrainingPlan:
    """The same plan in every process: the stored one, or a new one, which the main process writes to config.json."""
    if accelerator.is_main_process and stored is None:
        left = None if options.seconds is None else 0.9 * (options.seconds - (time.monotonic() - start_time))
        stored = make_plan(data, options, accelerator.device, accelerator.num_processes, left)
        write_run_config(run / "config.json", to_json(options), to_json(stored))
    return broadcast_object_list([stored])[0]


SHEETS_BYTES = 1_000_000  # for metrics.jsonl and the sample sheets
KEPT_CHECKPOINTS, KEPT_SNAPSHOTS = 2, 4  # that lie in a run folder at a time, one that is being written not counted


def require_run_space(run: Path, state: TrainingState, has_evaluations: bool) -> None:
    """Raise InputError if the disk has no room for all that the run will write, what is there already not counted."""
    weights = sum(p.nbytes for p in state.parameters.values())
    # weights, average, two numbers per weight of the optimizer; the reference of autoguidance
    checkpoint_bytes = (5 if state.autoguidance.is_used else 4) * weights
    prior = 0 if state.model.prior is None else sum(b.nbytes for b in state.model.prior.buffers())
    models = 2 + 1 + (KEPT_SNAPSHOTS if has_evaluations else 0)  # model/ and its replacement, early/, snapshots/
    needed = (KEPT_CHECKPOINTS + 1) * checkpoint_bytes + models * (weights + prior) + SHEETS_BYTES
    there = sum(folder_bytes(run / name) for name in ("checkpoints", "model", "early", snapshots.FOLDER))
    require_space(run, max(needed - there, 0))


def same_weights(folder: Path, model: PictureModel) -> bool:
    """Whether a model folder holds exactly this model, sampling defaults aside.

    A finished run that is started again then keeps its model folder, and with it defaults that were changed since.
    """
    try:
        other = PictureModel.from_pretrained(folder)
    except InputError:
        return False
    ours, theirs = model.tensors(), other.tensors()
    if replace(other.config, sampling=model.config.sampling) != model.config or ours.keys() != theirs.keys():
        return False
    return all(torch.equal(ours[name].cpu(), theirs[name]) for name in ours)


def sync_sampling(run: Path, model: PictureModel) -> None:
    """Give the snapshots of a run the sampling defaults of its model, so that samples of both can be compared."""
    for snapshot in snapshots.read_all(run):
        folder = snapshots.snapshot_folder(run, snapshot.images)
        PictureModel.from_pretrained(folder).save_sampling(folder, model.config.sampling)
