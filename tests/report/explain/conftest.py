"""A run of a few steps on colored squares: its samples are poor, but the report has all its chapters."""

import shutil
from pathlib import Path

import pytest

from commands import SMALL
from noisette.report.explain import Subject, load_subject
from noisette.training import TrainOptions, distill, make_distill_options, train
from tiny_models import tiny


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, sprites: Path) -> Path:
    folder = tmp_path_factory.mktemp("explain") / "squares"
    train(sprites, folder, TrainOptions(preset="tiny", images=24, batch=8, precision="fp32", recipe=SMALL))
    shutil.rmtree(folder / "model")
    tiny(labels=("food", "tool")).save_pretrained(folder / "model")  # a smaller one, which is quicker to draw with
    return folder


@pytest.fixture(scope="session")
def subject(run: Path) -> Subject:
    """The run as the subject of a report."""
    return load_subject(run, seed=1)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A model folder alone: gray, 8 high and 12 wide, without labels."""
    folder = tmp_path_factory.mktemp("explain") / "bare"
    tiny("L", (), width=12).save_pretrained(folder)
    return load_subject(folder)


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Subject:
    """A student of the run with two network calls."""
    folder = tmp_path_factory.mktemp("explain") / "student"
    options = make_distill_options(run, folder, 2, images=16, batch=8, precision="fp32", any_quality=True)
    distill(run, folder, options)
    return load_subject(folder, seed=1)
