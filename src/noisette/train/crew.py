"""The processes of accelerate launch and torchrun, as a team."""

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from ..team import Alone, Team


class Crew:
    """Accelerate's processes."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def size(self) -> int:
        return int(self.accelerator.num_processes)

    def gather(self, mine: dict[int, Tensor]) -> dict[int, Tensor]:
        return dict(gather_object(list(mine.items())))


def crew() -> tuple[Team, torch.device]:
    """Who works together here, and the device of this process."""
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no")
    return (Crew(accelerator) if accelerator.num_processes > 1 else Alone()), accelerator.device
