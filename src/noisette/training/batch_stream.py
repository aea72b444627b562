"""Which pictures, times and noises a training step uses: functions of the run's seed and the step's number alone.

So a resumed run continues as if it had not stopped, and the global batch of a step is the same for any number of
processes and of parts per step; each takes its slice.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ..data import Subset
from ..diffusion.condition import Condition
from ..diffusion.noise import Noise, ShardedNoise, make_generator
from ..models.picture_model import PictureModel
from ..models.task import DataBatch, Task
from ..shapes import Images
from .criterion import Criterion
from .recipes.recipe import TrainingConfig


@dataclass(frozen=True)
class TaskDataset:
    """Training examples of a task, made from one side of a data set. Indices count its pictures from 0."""

    data: Subset
    task: Task

    def __len__(self) -> int:
        return len(self.data)

    def images_and_masks(self, rows: Int[Tensor, "b"], flip: Bool[Tensor, "b"] | None = None) -> DataBatch:
        """Pictures in model space, (B, C, H, W); of a data set with masks, the mask is the last channel."""
        return self.data.images_and_masks(rows, flip)

    def make_batch(
        self,
        rows: Int[Tensor, "b"],
        noise: Noise | None = None,
        flip: Bool[Tensor, "b"] | None = None,
        device: torch.device | str = "cpu",
    ) -> tuple[Images, Condition]:
        """x0 and its condition. `noise`: augment as in training; `flip`: which pictures are mirrored, (B,) bool."""
        x = self.images_and_masks(rows, flip).to(device)
        return self.task.make_example(x, self.data.condition(rows).to(device), noise)

    def preview_inputs(self, model: PictureModel, count: int) -> tuple[DataBatch, Condition | None]:
        """Pictures and conditions for the sample sheets.

        The conditions of evenly spaced pictures, if the task has an input picture or the data has captions; otherwise
        each label in turn.
        """
        rows = torch.arange(count) * len(self) // count  # with repetitions, if there are fewer pictures
        x = self.images_and_masks(rows)
        _, cond = self.task.make_example(x, self.data.condition(rows))
        if cond.image is not None:
            return x, cond
        by_label = model.condition(model.pictures.labels or None, count)
        return x, by_label if by_label is None or self.data.captions is None else cond


@dataclass(frozen=True)
class Batch:
    """A micro-batch: some images of a step, on the device."""

    x0: Tensor  # (B, C, H, W)
    t: Tensor  # (B,), float64, on the CPU
    eps: Tensor  # (B, C, H, W)
    cond: Condition
    indices: Tensor  # (B,) int64: which pictures of the training split


class BatchStream:
    """Endless batches: seeded, without replacement within an epoch."""

    def __init__(
        self, data: TaskDataset, criterion: Criterion, training: TrainingConfig, seed: int, device: torch.device
    ) -> None:
        self.data, self.criterion, self.training, self.seed, self.device = data, criterion, training, seed, device
        self.permutations: dict[int, Tensor] = {}

    def indices(self, step: int) -> Tensor:
        """The step's pictures, (batch,) int64: taken from one permutation of all pictures after another."""
        n, batch = len(self.data), self.training.batch
        first, last = step * batch, (step + 1) * batch
        epochs = range(first // n, (last - 1) // n + 1)
        self.permutations = {k: v for k, v in self.permutations.items() if k in epochs}
        for epoch in epochs:
            if epoch not in self.permutations:
                self.permutations[epoch] = torch.randperm(n, generator=make_generator(self.seed, "order", epoch))
        order = torch.cat([self.permutations[epoch] for epoch in epochs])
        return order[first - epochs[0] * n : last - epochs[0] * n]

    def batch(self, step: int, batch_slice: slice) -> Batch:
        """The images `batch_slice` of the global batch of step number `step`."""
        size, training = self.training.batch, self.training
        cpu = make_generator(self.seed, "step", step)
        loss = self.criterion.loss
        t = loss.times(loss.schedule, size, cpu)
        is_dropped = torch.rand(size, generator=cpu) < training.cond_dropout
        is_flipped = torch.rand(size, generator=cpu) < 0.5
        rows = self.indices(step)[batch_slice]

        def noise(purpose: str) -> Noise:
            return ShardedNoise(make_generator(self.seed, purpose, step, device=self.device), size, batch_slice)

        x0, cond = self.data.make_batch(
            rows, noise("task"), is_flipped[batch_slice] if training.flip else None, self.device
        )
        cond = cond.drop(is_dropped[batch_slice])
        # with several kinds of condition, each is also dropped alone, so that samples can use it without the others
        for kind in cond.droppable_fields if len(cond.droppable_fields) > 1 else ():
            cond = cond.drop((torch.rand(size, generator=cpu) < training.cond_dropout)[batch_slice], kind)
        return Batch(x0, t[batch_slice], noise("eps")(x0), cond, rows)
