"""Runs that learn something else than to draw out of noise: they go on, resume and open as all runs do."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import noisette
from masked import folder
from noisette.data import Dataset, prepare
from noisette.diffusion.condition import Condition
from noisette.diffusion.loss import Objective
from noisette.edit.segment import binarize, mask_probability
from noisette.errors import InputError
from noisette.evaluation.metrics.segmentation import iou
from noisette.io.json_files import read_json
from noisette.models.task import Draw, Segment, Task, Upscale
from noisette.sampling.generate import final_samples, generate
from noisette.training import train
from noisette.training.batch_stream import TaskDataset

from .test_run import assert_same_run, losses, options, rows


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("masked"))


@pytest.fixture
def source(request: pytest.FixtureRequest, sprites: Path, masked: Path) -> Path:
    return masked if isinstance(request.getfixturevalue("task"), Segment) else sprites


TASKS = pytest.mark.parametrize("task", [Upscale(2), Segment()], ids=["upscale", "segment"])


@TASKS
def test_it_trains_shows_itself_and_opens(task: Task, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(source, out, options(task=task, flip=True, images=64))
    model = noisette.load(out)
    assert type(model.config.task) is type(task)
    assert model.config.net.in_channels == model.pictures.channels + model.config.task.cond_channels(model.pictures)
    assert all(p.isfinite().all() for p in model.parameters())
    assert rows(out, "held_out")[-1]["held_out"]["all"] < rows(out, "held_out")[0]["held_out"]["all"]
    sheet = Image.open(sorted((out / "samples").glob("*.png"))[-1])
    assert sheet.size == (4 * 3 * 8, 4 * 8) and sheet.mode == ("RGB" if isinstance(task, Segment) else "RGBA")
    with pytest.raises(InputError, match=r"needs one as input: noisette edit"):
        model.condition(None, 2)


class Stop(Exception):
    pass


@TASKS
def test_an_interrupted_and_resumed_run_ends_with_the_same_weights(task: Task, source: Path, tmp_path: Path) -> None:
    train(source, tmp_path / "whole", options(task=task, images=32))

    def watcher(progress) -> None:
        if progress.images == 16:
            raise Stop

    with pytest.raises(Stop):
        train(source, tmp_path / "run", options(task=task, images=32, save_every=0.0), watcher)
    train(source, tmp_path / "run", options(task=task, images=32))
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_parts_of_a_step_change_nothing(sprites: Path, tmp_path: Path) -> None:
    train(sprites, tmp_path / "one", options(task=Upscale(2), images=24))
    train(sprites, tmp_path / "four", options(task=Upscale(2), images=24, accumulate=4))
    assert losses(tmp_path / "four") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)


def test_pictures_and_masks_are_mirrored_together(masked: Path, tmp_path: Path) -> None:
    data = prepare(masked, tmp_path, masks=True)
    some = TaskDataset(data.train, Segment().adapt_to_data(data.pictures))
    picks = torch.arange(4)
    mirror = torch.tensor([True, False, True, False])
    x0, cond = some.make_batch(picks, flip=mirror)
    plain, task_cond = some.make_batch(picks)
    assert cond.image is not None and task_cond.image is not None
    for i, turned in enumerate(mirror):
        assert torch.equal(x0[i], plain[i].flip(-1) if turned else plain[i])
        assert torch.equal(cond.image[i], task_cond.image[i].flip(-1) if turned else task_cond.image[i])


def test_another_task_is_another_run(sprites: Path, tmp_path: Path) -> None:
    train(sprites, tmp_path / "run", options(images=8))
    with pytest.raises(InputError, match="was started with --task draw, not with --task upscale"):
        train(sprites, tmp_path / "run", options(images=8, task=Upscale(2)))
    path = tmp_path / "run" / "config.json"
    data = read_json(path)
    del data["options"]["task"]  # as it was before there were tasks
    path.write_text(json.dumps(data))
    train(sprites, tmp_path / "run", options(images=8, task=Draw()))


def test_what_cannot_be_trained(sprites: Path, masked: Path, tmp_path: Path) -> None:
    for source, task, message in (
        (sprites, Upscale(3), "not whole blocks of 3×3"),
        (sprites, Segment(), "holds no masks"),
        ("emoji", Segment(), "masks can only be read from a folder"),
    ):
        with pytest.raises(InputError, match=message):
            train(source, tmp_path / "run", options(task=task))
        assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow
def test_segmentation_finds_bright_shapes(tmp_path: Path) -> None:
    """Bright shapes on dark: no luck finds them. The mean mask of the set, for one, reaches less than half of this."""
    train(
        folder(tmp_path / "set", 200),
        tmp_path / "run",
        options(task=Segment(), images=1200, batch=16, lr=3e-3),
    )
    model, data = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run")
    held = torch.arange(len(data.held_out))
    layers, grid = data.held_out.images_and_masks(held), model.grid(6)
    cond = model.condition(None, 4 * len(held), image=layers[:, :-1].repeat_interleave(4, 0))
    drawn = final_samples(generate(model, [*range(4)] * len(held), cond, model.sampler(), grid), grid)
    found = [binarize(mask_probability(samples)) for samples in drawn.split(4)]
    truth = layers[:, -1:] > 0
    blind = binarize((data.train.images_and_masks(torch.arange(len(data.train)))[:, -1:].mean(0, keepdim=True) + 1) / 2)
    assert iou(torch.cat(found), truth).mean() > 0.7
    assert iou(blind.expand_as(truth), truth).mean() < 0.4


@pytest.mark.slow
def test_an_upscaler_uses_the_small_picture(tmp_path: Path) -> None:
    """Told of another one, it is wrong much oftener."""
    pictures = folder(tmp_path / "set", 200) / "masks"
    train(pictures, tmp_path / "run", options(task=Upscale(2), images=640, batch=16, lr=3e-3))
    model, data = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run")
    x0, cond = TaskDataset(data.held_out, model.config.task).make_batch(torch.arange(len(data.held_out)))
    assert cond.image is not None
    other = Condition(image=cond.image.roll(1, 0))
    eps, t = torch.randn(x0.shape), torch.full((len(x0),), 0.02, dtype=torch.float64)
    objective = Objective(model.schedule, model.parametrization)
    mine, theirs = (objective(model, x0, t, eps, condition).mean() for condition in (cond, other))
    assert mine < 0.7 * theirs
