"""Training steps on trial, before a run: how long a step takes, with how many threads, and how much memory it needs."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil
import torch
from torch import Tensor

from ..diffusion.condition import Condition
from ..errors import OutOfMemory
from ..io.files import format_size
from ..models.picture_model import PictureModel
from ..team import synchronize, thread_counts
from .autoguidance import Autoguidance
from .recipes.recipe import Recipe, build_optimizer
from .thread_trial import ThreadTrial

Precision = Literal["fp32", "bf16"]
MAX_STEPS = 50  # that are timed
MEMORY_ADVICE = "lower --batch, raise --accumulate (parts of a step), or choose a smaller --preset or --size"


class StepSpeed(NamedTuple):
    """How fast training steps are on this machine, as measured."""

    seconds_per_image: float
    threads: int  # with which they are that fast


class TrialStep:
    """A training step of `micro_batch` images of noise, with a network of its own."""

    def __init__(self, recipe: Recipe, precision: Precision, device: torch.device, micro_batch: int) -> None:
        self.device, self.precision, self.micro_batch = device, precision, micro_batch
        self.model = PictureModel(recipe.model).to(device).train()
        self.objective = recipe.build_loss()
        self.optimizer = build_optimizer(self.model, recipe)
        self.x0 = torch.randn(micro_batch, *recipe.model.pictures.model_shape, device=device)
        self.t, self.eps = torch.full((micro_batch,), 0.01, dtype=torch.float64), torch.randn_like(self.x0)
        net, text_encoder = recipe.model.net, recipe.model.pictures.text_encoder
        cond_channels = recipe.model.task.cond_channels(recipe.model.pictures)
        self.cond = Condition(
            image=self.x0.new_zeros(micro_batch, cond_channels, *self.x0.shape[2:]) if cond_channels else None,
            label=torch.zeros(micro_batch, dtype=torch.int64, device=device) if net.classes else None,
            vector=self.x0.new_zeros(micro_batch, net.vector) if net.vector else None,
            tokens=None
            if text_encoder is None
            else self.x0.new_zeros(micro_batch, text_encoder.max_tokens, text_encoder.width),
        )

    def loss(self) -> Tensor:
        """The loss of the batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.objective(self.model, self.x0, self.t, self.eps, self.cond).mean()

    def __call__(self) -> float:
        """Take the step; its seconds."""
        before = time.perf_counter()
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        synchronize(self.device)
        return time.perf_counter() - before

    def measure_speed(self, budget: float, max_steps: int = MAX_STEPS) -> StepSpeed:
        """How fast steps are with the number of threads with which they are fastest.

        By the median of several steps, since other programs that make steps slower now will probably go on doing so.
        Steps are timed for `budget` seconds: at least two with each number of threads that is not clearly slower, at
        most `max_steps` after that. The smallest number comes first: it cannot be slow for having to wait.
        """
        start, every = time.perf_counter(), torch.get_num_threads()
        trial = ThreadTrial(sorted(thread_counts(self.device)))
        torch.set_num_threads(trial.next_count())
        self()  # the first step allocates memory
        while not trial.is_complete(min_steps=2) or (
            time.perf_counter() - start < budget and sum(map(len, trial.times.values())) < max_steps
        ):
            count = trial.next_count()
            torch.set_num_threads(count)
            trial.add(count, self())
        torch.set_num_threads(every)
        threads = trial.fastest()
        return StepSpeed(trial.medians()[threads] / self.micro_batch, threads)

    def is_same_with(self, counts: Iterable[int]) -> bool:
        """Whether the gradients are the same bit for bit with these numbers of threads."""
        found, before = [], torch.get_num_threads()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        for count in counts:
            torch.set_num_threads(count)
            torch.manual_seed(0)  # dropout
            found.append(torch.autograd.grad(self.loss(), parameters, allow_unused=True))
        torch.set_num_threads(before)
        return all(
            (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
            for other in found[1:]
            for a, b in zip(found[0], other, strict=True)
        )

    def saved_bytes(self) -> int:
        """Bytes that a forward pass keeps for the backward pass, the parameters not counted."""
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = self.loss()  # as long as it is there, no address is given twice
        for parameter in self.model.parameters():
            sizes.pop(parameter.untyped_storage().data_ptr(), None)
        del loss
        return sum(sizes.values())


def step_bytes(recipe: Recipe, precision: Precision, micro_batch: int) -> int:
    """Bytes that training with this recipe needs at least: weights, average, gradient, optimizer, the reference of
    autoguidance, and a step's images.

    Measured with one image on the CPU; temporary memory comes on top.
    """
    step = TrialStep(recipe, precision, torch.device("cpu"), 1)
    weights = sum(p.nbytes for p in step.model.parameters())
    return (6 if Autoguidance(recipe).is_used else 5) * weights + micro_batch * step.saved_bytes()


def require_memory(recipe: Recipe, precision: Precision, micro_batch: int, device: torch.device) -> None:
    """Raise `OutOfMemory` if a step cannot fit into the memory that is free now."""
    needed, free = step_bytes(recipe, precision, micro_batch), free_memory(device)
    if needed > free:
        height, width = recipe.model.pictures.model_shape[1:]
        raise OutOfMemory(
            f"a training step of {micro_batch} pictures of {width}×{height} needs about {format_size(needed)} of "
            f"memory, and {format_size(free)} are free: {MEMORY_ADVICE}"
        )


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still get on a device: of the machine, or within the limits set for it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(psutil.virtual_memory().available + psutil.swap_memory().free, _limit_left(), _control_group_left())


UNLIMITED = 1 << 62


def _limit_left() -> int:
    """Bytes below the limit on this process's address space (ulimit -v)."""
    process: Any = psutil.Process()
    if not hasattr(process, "rlimit"):  # not Linux
        return UNLIMITED
    limit, _ = process.rlimit(psutil.RLIMIT_AS)
    return UNLIMITED if limit == psutil.RLIM_INFINITY else max(int(limit) - process.memory_info().vms, 0)


def _control_group_left() -> int:
    """Bytes below the limit of this process's control group, of a container for example."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        reclaimable = sum(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text().splitlines()
            if line.startswith(("active_file ", "inactive_file "))
        )
        return UNLIMITED if limit == "max" else max(int(limit) - int(used) + reclaimable, 0)
    except (OSError, ValueError):
        return UNLIMITED
