"""What torchrun and accelerate launch tell a process in its environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # a launcher sets all of them
DEVICE_VARIABLES = ("ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE")  # which device: they change nothing else
TRUTH_VALUES = ("y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0")  # that Accelerate can read
MPI_PREFIXES = ("PMI_", "MPI_LOCAL", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_")  # of a job that this command is a part of


def launched_processes() -> tuple[int, int]:
    """The number of this process, from 0, and the number of processes; (0, 1) if no launcher started it.

    A variable that was left over from something else, such as RANK alone, counts for nothing.
    """
    values = [os.environ.get(name, "") for name in RANK_VARIABLES]
    rank, local, world = (int(v) if v.isdecimal() else -1 for v in values[:3])
    is_launched = all(values) and 0 <= rank < world and 0 <= local < world
    return (rank, world) if is_launched else (0, 1)


@contextmanager
def launcher_environment() -> Iterator[None]:
    """An environment in which Accelerate finds the processes of a launcher, and nothing else to change a run by.

    Within the block its settings (ACCELERATE_…, also those that `accelerate launch` takes from a config file) are
    absent, and so is what was left over of a launcher, or set by one of MPI. They would change weights, or ask for
    DeepSpeed, FSDP or torch.compile, of which a run here knows nothing.
    """
    unwanted = {name for name in os.environ if name.startswith(("ACCELERATE_", *MPI_PREFIXES))}
    unwanted -= {name for name in DEVICE_VARIABLES if _is_readable(name)}
    if launched_processes() == (0, 1) and os.environ.get("WORLD_SIZE") != "1":
        unwanted |= set(RANK_VARIABLES) & set(os.environ)
    removed = {name: os.environ.pop(name) for name in unwanted}
    try:
        yield
    finally:
        os.environ.update(removed)


def _is_readable(name: str) -> bool:
    """Whether Accelerate can read what the environment says of the device. What it cannot, it would fail on."""
    value = os.environ.get(name, "")
    if name == "ACCELERATE_USE_CPU":
        return value.lower() in TRUTH_VALUES
    import torch  # not before it is needed: `noisette --help` is quick

    try:
        torch.device(value)
    except RuntimeError:
        return False
    return True
