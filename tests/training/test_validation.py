"""The held-out loss on a fixed batch."""

from pathlib import Path

import pytest
import torch

from noisette.data import prepare
from noisette.diffusion.loss.objective import Objective
from noisette.training import validation
from noisette.training.batch_stream import TaskDataset
from noisette.training.validation import FixedBatch
from tiny_models import tiny


def test_the_number_of_times_in_a_pass_changes_nothing(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data, device = tiny(labels=("food", "tool")), prepare(str(sprites), tmp_path / "run"), torch.device("cpu")
    task_data = TaskDataset(data.train, model.config.task)
    objective = Objective(model.schedule, model.parametrization)
    batch = FixedBatch.of_pictures(task_data, objective, 0, pictures=5)
    together = batch.losses(objective, model, device)
    assert together.shape == (8, 5)
    for pixels in (1, 3 * 5 * 64):  # one time in each pass; three, three and two
        monkeypatch.setattr(validation, "MAX_PIXELS", pixels)
        assert torch.allclose(batch.losses(objective, model, device), together, rtol=1e-5)
    one = objective(model, batch.x0[6], batch.t[6].expand(5), batch.eps[6], batch.cond)
    assert torch.allclose(one.double(), together[6], rtol=1e-5)
