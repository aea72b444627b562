"""What a run folder was started with, and what a run that goes on there must agree with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from .. import checkpoint, snapshots
from ..config import from_json, to_json
from ..data import Dataset
from ..errors import InputError
from ..files import read_json, write_json
from ..model import PictureModel
from .plan import Plan, TrainOptions, draw_up

FREE = ("save_every", "log", "accumulate")  # options that do not change what is learned


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """If what is done in the block puts nothing into a folder that was not there before, it is not there after."""
    fresh = not folder.exists()
    try:
        yield
    finally:
        if fresh:
            with suppress(OSError):  # it holds something, or was never made
                folder.rmdir()


def stored(run: Path, options: TrainOptions) -> Plan | None:
    """The plan that the run folder holds, if it was made of the same options."""
    path = run / "config.json"
    if not path.exists():
        return None
    found, told, unsaid = read_json(path), to_json(options), to_json(TrainOptions(images=1))
    if not isinstance(found, dict) or not {"format", "options", "plan"} <= found.keys():
        raise InputError(f"{path} is not the config of a run: give another --out")
    if found["format"] > checkpoint.FORMAT:
        raise InputError(f"{path} was made by a newer Noisette: upgrade to go on with it, or give another --out")
    for name, value in told.items():
        before = found["options"].get(name, unsaid[name])  # which it may have been too old to know
        if name not in FREE and before != value:
            raise InputError(
                f"{run} was started with {name} = {before!r}, not {value!r}: give the same options to go on with it, "
                "or another --out"
            )
    return from_json(Plan, found["plan"], f"{path}: plan")


def settle(
    plan: Plan | None, run: Path, data: Dataset, options: TrainOptions, accelerator: Accelerator, started: float
) -> Plan:
    """The plan of every process: the stored one, or a new one, which is then stored."""
    if accelerator.is_main_process and plan is None:
        left = None if options.seconds is None else 0.9 * (options.seconds - (time.monotonic() - started))
        plan = draw_up(data, options, accelerator.device, accelerator.num_processes, left)
        write_json(
            run / "config.json", {"format": checkpoint.FORMAT, "options": to_json(options), "plan": to_json(plan)}
        )
    return broadcast_object_list([plan])[0]


def holds(folder: Path, model: PictureModel) -> bool:
    """Whether a model folder is of this model: a run that was finished before leaves it, and how it samples, alone."""
    try:
        there = PictureModel.from_pretrained(folder)
    except InputError:
        return False
    mine, other = model.net.state_dict(), there.net.state_dict()
    if replace(there.config, sampling=model.config.sampling) != model.config or mine.keys() != other.keys():
        return False
    return all(torch.equal(mine[name].cpu(), other[name]) for name in mine)


def drawing_alike(run: Path, model: PictureModel) -> None:
    """Let the snapshots that a run keeps draw as its model does, so that they can be compared with it."""
    for kept in snapshots.found(run):
        place = snapshots.place(run, kept.images)
        PictureModel.from_pretrained(place).keep_sampling(place, model.config.sampling)
