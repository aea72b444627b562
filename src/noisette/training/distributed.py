"""Processes of accelerate launch and torchrun as a ProcessContext."""

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from ..io.launcher import launcher_environment
from ..team import ProcessContext, SingleProcess


class DistributedContext:
    """A ProcessContext of Accelerate's processes."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def world_size(self) -> int:
        return int(self.accelerator.num_processes)

    def gather(self, local: dict[int, Tensor]) -> dict[int, Tensor]:
        return dict(gather_object(list(local.items())))


def make_accelerator(**options: Any) -> Accelerator:
    """Accelerate for these processes, whatever its settings in the environment are (io/launcher.py)."""
    with launcher_environment():
        # without cpu=True, processes of torchrun on CPUs do not connect
        return Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no", **options)


def get_distributed_context() -> tuple[ProcessContext, torch.device]:
    """The processes that work together, and the device of this one."""
    accelerator = make_accelerator()
    return (DistributedContext(accelerator) if accelerator.num_processes > 1 else SingleProcess()), accelerator.device
