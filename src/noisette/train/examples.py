"""The pictures of one side of the split, as a task poses them."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ..condition import Condition
from ..data import Subset
from ..model import PictureModel
from ..noise import Noise
from ..shapes import Images
from ..task import Layers, Task


@dataclass(frozen=True)
class Examples:
    """x0 and what is told of it. Indices count the pictures of that side from 0."""

    data: Subset
    task: Task

    def __len__(self) -> int:
        return len(self.data)

    def layers(self, rows: Int[Tensor, "b"]) -> Layers:
        """The pictures, and what goes with them."""
        return self.data.layers(rows)

    def posed(
        self,
        rows: Int[Tensor, "b"],
        noise: Noise | None = None,
        mirror: Bool[Tensor, "b"] | None = None,
        device: torch.device | str = "cpu",
    ) -> tuple[Images, Condition]:
        """With `noise`, as in training; `mirror` says which of them are mirrored."""
        x = self.layers(rows).to(device)
        if mirror is not None:
            x = torch.where(mirror[:, None, None, None].to(device), x.flip(-1), x)
        return self.task.pose(x, self.data.condition(rows).to(device), noise)

    def wishes(self, model: PictureModel, number: int) -> tuple[Layers, Condition | None]:
        """What a run draws along the way: what these are made of; or, where a model is given nothing
        and reads no captions, all labels."""
        rows = torch.arange(number) * len(self) // number  # again and again, where they are few
        x = self.layers(rows)
        _, cond = self.task.pose(x, self.data.condition(rows))
        if cond.image is not None:
            return x, cond
        asked = model.condition(model.pictures.labels or None, number)
        return x, asked if asked is None or self.data.captions is None else cond
