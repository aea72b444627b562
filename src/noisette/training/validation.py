"""The held-out loss during training.

A training loss varies from step to step with its times and noises. Here pictures, times and noises are fixed, so a
difference between two values is a difference between two models.
"""

import time
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..diffusion.condition import Condition
from ..diffusion.denoiser import DiffusionModel
from ..diffusion.loss import Loss
from ..diffusion.noise import ShardedNoise, make_generator
from .batch_stream import TaskDataset
from .callbacks import Metrics, TrainingStep
from .state import TrainingState

PICTURES, MIN_PICTURES, IMAGES_PER_PICTURE = 64, 8, 500  # short runs measure fewer pictures, less often
NOISE_LEVELS = ("low", "middle", "high", "highest")  # quarters of the training times, by noise
MILESTONES = tuple(k / 20 for k in range(1, 21))  # progress at which the held-out loss is measured
COMPARE_MILESTONES, COMPARE_PICTURES = MILESTONES[3::4], 32  # … and two other losses, on so many pictures
FEW_IMAGES, SOME_IMAGES = 10_000, 30_000  # training images below which six and ten of MILESTONES count
MAX_PIXELS = 2**16  # of the pictures in one forward pass, where one time takes fewer: 64 pictures of 32×32


@dataclass(frozen=True)
class FixedBatch:
    """Pictures × times × noises at which the losses of models are compared."""

    x0: Float[Tensor, "times n c h w"]
    t: Float[Tensor, "times"]  # float64, increasing
    eps: Float[Tensor, "times n c h w"]
    cond: Condition  # of the n pictures

    @classmethod
    def of_pictures(
        cls, data: TaskDataset, objective: Loss, seed: int, pictures: int = PICTURES, times: int = 8
    ) -> "FixedBatch":
        """The same pictures at each of `times` quantiles of the objective's training times."""
        rows = torch.randperm(len(data), generator=make_generator(seed, "fixed"))[:pictures]
        x0, cond = data.make_batch(rows, ShardedNoise(make_generator(seed, "fixed task"), len(rows)))
        # stratified: the same quantiles of the training times for every picture
        many = objective.times(objective.schedule, 64 * times, make_generator(seed, "fixed times")).sort().values
        eps = torch.randn((times, *x0.shape), generator=make_generator(seed, "fixed eps"))
        return cls(x0.expand_as(eps), many[32::64], eps, cond)

    def first(self, pictures: int) -> "FixedBatch":
        """The same batch with only the first `pictures` pictures."""
        return FixedBatch(self.x0[:, :pictures], self.t, self.eps[:, :pictures], self.cond[:pictures])

    @torch.no_grad()
    def losses(self, objective: Loss, model: DiffusionModel, device: torch.device) -> Float[Tensor, "times pictures"]:
        """The loss of each picture at each time, from the lowest noise to the highest; float64, on the CPU."""
        losses, (times, n) = [], self.x0.shape[:2]
        cond = self.cond.to(device)
        num_times = max(1, MAX_PIXELS // (n * self.x0[0, 0, 0].numel()))  # in one forward pass
        for start in range(0, times, num_times):
            part = slice(start, start + num_times)
            t, rows = self.t[part], torch.arange(n, device=device).repeat(len(self.t[part]))
            x0, eps = (tensor[part].flatten(0, 1).to(device) for tensor in (self.x0, self.eps))
            batch_loss = objective(model, x0, t.repeat_interleave(n), eps, cond[rows])
            losses.append(batch_loss.unflatten(0, (len(t), n)))
        return torch.cat(losses).cpu().double()


def mean_by_noise_level(losses: Float[Tensor, "times pictures"]) -> dict[str, float]:
    """Mean loss of each noise level, and over all of them under "all"."""
    quarters = losses.mean(1).reshape(len(NOISE_LEVELS), -1).mean(1)
    return {"all": losses.mean().item()} | dict(zip(NOISE_LEVELS, quarters.tolist(), strict=True))


def generalization_gap(held_out: Float[Tensor, "times n"], train: Float[Tensor, "times m"]) -> dict[str, float]:
    """Mean held-out loss minus mean training loss ("value"), with its standard error ("error")."""
    a, b = held_out.mean(0), train.mean(0)
    error = (a.var(correction=0) / max(len(a) - 1, 1) + b.var(correction=0) / max(len(b) - 1, 1)).sqrt().item()
    return {"value": (a.mean() - b.mean()).item(), "error": error}


def milestones_of_run(images: int) -> tuple[float, ...]:
    """The progress at which a run of so many training images measures its held-out loss."""
    few = (MILESTONES[0], *COMPARE_MILESTONES)
    return MILESTONES if images >= SOME_IMAGES else MILESTONES[1::2] if images >= FEW_IMAGES else few


def pictures_of_run(images: int) -> int:
    """How many held-out pictures a run of so many training images measures each time."""
    return min(PICTURES, max(MIN_PICTURES, images // IMAGES_PER_PICTURE))


class ValidationLoss:
    """Measures the held-out loss of the averaged weights at MILESTONES; at COMPARE_MILESTONES also two other losses.

    Where the loss is guided (training/autoguidance.py), so are these: they are the loss that is trained. In short runs
    fewer pictures are measured, and less often, so that most of the time is left for training.

    Rows of metrics.jsonl: "held_out"; "train", the loss on training pictures (a growing "gap" between the two is
    memorization); "raw_weights", the held-out loss of the weights themselves ("all") and of their average ("ema") on
    the same pictures: lower than the average's, the average lags behind; far higher, the learning rate is too high.
    """

    def __init__(self, state: TrainingState, held_out: FixedBatch, train: FixedBatch, images: int) -> None:
        """held_out, train: what is measured. images: training images of the whole run."""
        self.state, self.held_out, self.train = state, held_out, train
        self.milestones, self.final_seconds = milestones_of_run(images), 0.0

    def __call__(self, step: TrainingStep) -> Metrics:
        if not step.crossed(self.milestones):
            return {}
        start, model, ema_model = time.monotonic(), self.state.model, self.state.ema.model
        device = next(model.parameters()).device
        objective = self.state.autoguidance.loss(self.state.criterion.base_loss, step.progress_after)
        held_out = self.held_out.losses(objective, ema_model, device)
        metrics: Metrics = {"held_out": mean_by_noise_level(held_out)}
        if step.crossed(COMPARE_MILESTONES):
            train = self.train.losses(objective, ema_model, device)
            raw = self.held_out.first(COMPARE_PICTURES).losses(objective, model.eval(), device)
            metrics["train"] = mean_by_noise_level(train)
            if min(held_out.shape[1], train.shape[1]) > 1:  # one picture has no standard error
                metrics["gap"] = generalization_gap(held_out, train)
            ema = held_out[:, :COMPARE_PICTURES]
            metrics["raw_weights"] = {"all": raw.mean().item(), "ema": ema.mean().item()}
        self.final_seconds = time.monotonic() - start
        return metrics
