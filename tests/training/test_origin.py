"""Runs that start from another model: `noisette train --from`."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import noisette
from commands import run
from noisette.data import Dataset, prepare
from noisette.errors import InputError
from noisette.models import shipped
from noisette.models.picture_model import PictureModel
from noisette.models.task import Upscale
from noisette.report.card import recipe_facts
from noisette.training import Progress, TrainOptions, train
from noisette.training.batch_stream import TaskDataset
from noisette.training.origin import MAX_EPOCHS
from noisette.training.plan import build_recipe, make_plan
from noisette.training.recipes.presets import MIN_IMAGES
from noisette.training.resume import load_plan
from noisette.training.validation import FixedBatch
from tiny_models import make_classifier, tiny


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model of larger pictures with the same labels."""
    tiny(labels=("food", "tool"), height=16, width=16).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def data(sprites: Path, tmp_path: Path) -> Dataset:
    return prepare(sprites, tmp_path / "data", size=16)


def options(base: Path | str | None, **changes: object) -> TrainOptions:
    settings = {"images": 64, "batch": 8, "precision": "fp32", "start_from": None if base is None else str(base)}
    return TrainOptions(**(settings | changes))  # type: ignore[arg-type]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def test_initial_loss_equals_that_of_the_origin(sprites: Path, tmp_path: Path, base: Path) -> None:
    """Exactly, if all shapes agree: network, schedule and parametrization are the origin's. The notes report it."""
    settings, out, notes = options(base), tmp_path / "run", list[str]()
    train(sprites, out, settings, lambda progress: notes.extend(progress.notes))
    assert notes == ["starts from base (16×16 RGBA): 100 % of the weights are taken over", "new: nothing"]
    old, start = noisette.load(base), noisette.load(out / "checkpoints" / "000000000")
    assert noisette.load(out).config.sampling == old.config.sampling  # too short to tune others
    plan = load_plan(out, settings)
    assert plan is not None
    held_out = TaskDataset(Dataset.open(out).held_out, start.config.task)
    objective, device = plan.recipe.build_loss(), torch.device("cpu")
    batch = FixedBatch.of_pictures(held_out, objective, seed=0)
    assert torch.equal(batch.losses(objective, start, device), batch.losses(objective, old, device))


def test_resume_without_the_origin_is_bit_exact(sprites: Path, tmp_path: Path, base: Path) -> None:
    train(sprites, tmp_path / "whole", options(base))

    def die(progress: Progress) -> None:
        if progress.images == 24:
            raise ConnectionError("as if the power failed")

    with pytest.raises(ConnectionError):
        train(sprites, tmp_path / "run", options(base), die)
    shutil.rmtree(base)
    train(sprites, tmp_path / "run", options(base))
    whole = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, whole[name]) for name, tensor in weights(tmp_path / "run").items())


def test_few_pictures_end_a_time_limit_early(sprites: Path, tmp_path: Path, base: Path) -> None:
    """After max_epochs of them, which the notes say; more time makes the run longer all the same."""
    settings = options(base, images=None, seconds=60.0, recipe={"training": {"max_epochs": 2.0}}, evaluations=0)
    seen, notes = list[int](), list[str]()

    def watch(progress: Progress) -> None:
        seen.append(progress.images)
        notes.extend(progress.notes)

    train(sprites, tmp_path / "run", settings, watch)
    pictures = len(Dataset.open(tmp_path / "run").train)
    assert seen[-1] == -(-2 * pictures // 8) * 8
    assert notes[2].startswith(f"ends early: {pictures} training pictures, each shown 2 times")
    grown = build_recipe("tiny", Dataset.open(tmp_path / "run"), options(base))
    assert grown.training.max_epochs == MAX_EPOCHS
    assert build_recipe("tiny", Dataset.open(tmp_path / "run"), options("none")).training.max_epochs is None


def test_a_model_records_the_chain_of_its_origins(sprites: Path, tmp_path: Path, base: Path) -> None:
    train(sprites, tmp_path / "first", options(base, images=8))
    train(sprites, tmp_path / "second", options(tmp_path / "first", images=8))
    model = noisette.load(tmp_path / "second")
    assert [(o.name, o.hash) for o in model.config.origins] == [
        ("first", noisette.load(tmp_path / "first").hash), ("base", noisette.load(base).hash),
    ]  # fmt: skip
    facts = recipe_facts(model.config, tmp_path / "second")
    assert facts["started from"] == "first (8×8 RGBA), which started from base (16×16 RGBA)"


def test_learning_rate_is_lower_than_from_scratch(data: Dataset, base: Path) -> None:
    def rate(**changes: object) -> float:
        return build_recipe("tiny", data, options(**changes)).training.lr  # type: ignore[arg-type]

    assert rate(base=base) < rate(base="none")
    assert rate(base=base, lr=0.01) == 0.01


def test_shipped_base_model_is_the_default_origin(
    sprites: Path, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it has the network of the preset; with `none`, training starts from scratch."""
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    assert shipped.find_base(8, 8) is None
    scratch = build_recipe("tiny", data, options(None)).model
    assert not scratch.origins
    unlabeled = replace(scratch, net=replace(scratch.net, classes=0), pictures=replace(scratch.pictures, labels=()))
    PictureModel(unlabeled).save_pretrained(tmp_path / "home" / "base-16")
    assert shipped.find_base(12, 16) == shipped.find_base(24, 24) == "base-16" and shipped.find_base(64, 16) is None
    assert shipped.find_base(8, 8) is None  # `tiny` has two levels there
    larger = prepare(sprites, tmp_path / "larger", size=24)  # at this size `tiny` has attention at another level
    assert build_recipe("tiny", larger, options(None)).model.net == scratch.net
    assert build_recipe("tiny", larger, options("none")).model.net != scratch.net
    narrow = {"model": {"net": {"channels": [16, 16, 16]}}}
    for changes in ({"recipe": narrow}, {"task": Upscale(2)}, {"preset": "patch"}):  # for other networks: from scratch
        assert not build_recipe(str(changes.get("preset", "tiny")), data, options(None, **changes)).model.origins
    for preset, start_from, names in (("tiny", None, ["base-16"]), ("tiny", "none", [])):
        recipe = build_recipe(preset, data, options(start_from))
        assert [o.name for o in recipe.model.origins] == names
    long = replace(options(None), images=max(MIN_IMAGES.values()))
    plan = make_plan(data, long, torch.device("cpu"), 1, None)  # long enough for larger networks, from scratch
    assert plan.preset == "tiny" and [o.name for o in plan.recipe.model.origins] == ["base-16"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "tiny"}, r"only .* % of this network's weights can come from base: leave --preset out"),
        (
            {"preset": "ddpm-cifar10"},
            "base was trained with VarianceExploding and EDM, this preset with .* leave --preset out",
        ),
        ({"start_from": "base-33"}, "no model is called base-33"),
    ],
)
def test_unsuitable_origins_are_refused(
    sprites: Path, tmp_path: Path, base: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(sprites, tmp_path / "run", options(base, **changes))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_classifier_is_refused_as_origin(sprites: Path, tmp_path: Path) -> None:
    make_classifier(tiny()).save_pretrained(tmp_path / "classifier")
    with pytest.raises(InputError, match="is a classifier"):
        train(sprites, tmp_path / "run", options(tmp_path / "classifier"))


def test_a_changed_origin_is_refused(sprites: Path, tmp_path: Path, base: Path) -> None:
    train(sprites, tmp_path / "run", options(base, images=8))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    tiny(labels=("food", "tool"), seed=7).save_pretrained(base)
    with pytest.raises(InputError, match="base is not the model that this run was planned with"):
        train(sprites, tmp_path / "run", options(base, images=8))


@pytest.mark.slow
def test_command_line_reports_the_origin(sprites: Path, tmp_path: Path, base: Path) -> None:
    words = ("train", sprites, "--out", tmp_path / "run", "--images", "16", "--batch", "8", "--precision", "fp32")
    done = run(*words, "--from", base)
    assert done.returncode == 0, done.stderr
    assert "starts from base (16×16 RGBA)" in done.stdout + done.stderr
    refused = run(*words[:3], tmp_path / "other", *words[4:], "--from", tmp_path / "nothing")
    assert refused.returncode == 2 and not (tmp_path / "other").exists()
