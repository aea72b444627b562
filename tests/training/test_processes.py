"""What several processes share exactly, and what they say when something goes wrong in one of them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from commands import ENV, SMALL, TINY, run_ranks
from noisette.data import Dataset, prepare
from noisette.models.task import Draw
from noisette.training import train
from noisette.training.batch_stream import BatchStream, TaskDataset
from noisette.training.criterion import build_criterion
from noisette.training.plan import build_recipe
from noisette.training.progress import describe_divergence

from .test_run import TORCHRUN, losses, options, rows, weights


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_step_are_slices_of_the_global_batch_bit_for_bit(sprites: Path, tmp_path: Path, parts: int) -> None:
    """The pictures, times, noises and conditions of a step do not depend on how many processes and parts share it."""
    data = prepare(sprites, tmp_path)
    recipe = build_recipe("tiny", data, options(flip=True))
    stream = BatchStream(
        TaskDataset(data.train, Draw()), build_criterion(recipe, torch.device("cpu")), recipe.training, 0,
        torch.device("cpu"),
    )  # fmt: skip
    size = 8 // parts
    for step in (0, 3, 7):
        whole = stream.batch(step, slice(0, 8))
        shares = [stream.batch(step, slice(first, first + size)) for first in range(0, 8, size)]
        for name in ("x0", "t", "eps", "indices"):
            assert torch.equal(torch.cat([getattr(s, name) for s in shares]), getattr(whole, name)), name
        labels = [s.cond.label for s in shares]
        assert whole.cond.label is not None and torch.equal(
            torch.cat([v for v in labels if v is not None]), whole.cond.label
        )


@pytest.mark.slow
def test_two_processes_are_one_process_with_two_parts_bit_for_bit(sprites: Path, tmp_path: Path) -> None:
    """The same gradients are added, so all that is left of the number of processes is nothing."""
    train(sprites, tmp_path / "one", options(accumulate=2, evaluations=0))
    words = ("--images", "96", *TINY, "--recipe", SMALL, "--evaluations", "0")
    done = run_ranks("train", sprites, "--out", tmp_path / "two", *words)
    assert done.returncode == 0, done.stderr
    ours, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [r["held_out"] for r in rows(tmp_path / "one", "held_out")] == [
        r["held_out"] for r in rows(tmp_path / "two", "held_out")
    ]
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), rel=1e-6)


def test_a_divergence_names_the_pictures_whose_loss_is_not_finite() -> None:
    pictures = [("a.png", True), ("b.png", False), ("c.png", True)]
    message = describe_divergence(pictures, 3, 24)
    assert message == "the loss is not finite at step 3 (24 images seen), with b.png in the batch"
    assert "the gradient is not finite" in describe_divergence([(n, True) for n, _ in pictures], 3, 24)
    assert "a.png, b.png, c.png" in describe_divergence([(n, True) for n, _ in pictures], 3, 24)
    many = [(f"{i}.png", False) for i in range(12)]
    assert "7.png and 4 more in the batch" in describe_divergence(many, 0, 0)


POISON = """
import sys
from pathlib import Path
from noisette.training import TrainOptions, train
from noisette.training.batch_stream import BatchStream

source, out, victim = sys.argv[1:]
clean = BatchStream.batch

def poisoned(self, step, batch_slice):  # one picture's noise is not a number, whichever process has it
    batch = clean(self, step, batch_slice)
    for i, name in enumerate(self.data.data.names(batch.indices)):
        if name == victim:
            batch.eps[i] = float("nan")
    return batch

BatchStream.batch = poisoned
train(source, out, TrainOptions(preset="tiny", images=96, batch=8, precision="fp32", recipe=%r, evaluations=0))
"""


@pytest.mark.slow
def test_a_divergence_in_the_second_process_names_its_pictures(sprites: Path, tmp_path: Path) -> None:
    script = tmp_path / "poison.py"
    script.write_text(POISON % SMALL)
    data = prepare(sprites, tmp_path / "data")
    victim = second_half_of_step(data, 0)[1]  # the second process has images 4 to 7 of the first step
    command = [sys.executable, "-m", *TORCHRUN, script, sprites, tmp_path / "run", victim]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=ENV, timeout=280, check=False)
    expected = f"the loss is not finite at step 0 (0 images seen), with {victim} in the batch"
    assert done.returncode != 0 and f"Diverged: {expected}" in done.stderr, done.stderr
    assert [r["diverged"] for r in rows(tmp_path / "run", "diverged")] == [expected]


def second_half_of_step(data: Dataset, step: int) -> list[str]:
    recipe = build_recipe("tiny", data, options())
    stream = BatchStream(
        TaskDataset(data.train, Draw()), build_criterion(recipe, torch.device("cpu")), recipe.training, 0,
        torch.device("cpu"),
    )  # fmt: skip
    return data.train.names(stream.indices(step)[4:])
