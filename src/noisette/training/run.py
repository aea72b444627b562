"""Train a diffusion model. Read from top to bottom: `train` prepares a run, `TrainingRun` is the loop.

`noisette train`, `accelerate launch` and `torchrun` run the same code. All random numbers are functions of the seed and
the step (batch_stream.py), everything that changes during a run is a function of progress (progress_schedule.py), and a
checkpoint holds the weights, their average, the optimizer's state and the progress schedule. So a run that is stopped
at any moment and started again ends, on a CPU, with the same weights bit for bit as one that was not.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from ..data import Dataset
from ..data.entry import Source
from ..diffusion.noise import derive_seed
from ..errors import InputError, explain_out_of_memory
from ..io import checkpoint
from ..io.lock import RunLock
from ..models.config import to_json
from ..models.picture_model import run_autoencoder
from . import snapshots
from .batch_stream import Batch
from .callbacks import INITIAL_STEP, TrainingCallback, TrainingStep
from .distillation import Distilling, copy_data
from .distributed import make_accelerator
from .isolation import preserve_global_state
from .method import Denoising, TrainingMethod
from .metrics_log import CallbackRunner, MetricsLog, make_tracker
from .origin import load_origin
from .periodic_evaluation import TIME_SHARE, PeriodicEvaluation
from .plan import TrainingPlan, TrainOptions, describe_early_end, max_images, micro_batch_size
from .progress import Diverged, Interrupted, Progress, StopSignals, describe_divergence
from .progress_schedule import ProgressSchedule, TimeBudget, lr_factor
from .resume import (
    load_plan,
    prepare_data,
    remove_if_empty,
    require_run_space,
    resolve_plan,
    same_weights,
    sweep,
    sync_sampling,
)
from .run_clock import RunClock
from .sample_sheets import SampleSheets
from .state import TrainingState
from .stored_options import describe_extension
from .thread_tuner import ThreadTuner, thread_choices
from .trial_step import MEMORY_ADVICE

LOG_ROWS = 400  # about how many rows with a training loss a run writes to metrics.jsonl
FINAL_SAVE_SECONDS = 0.3  # kept free at the end of a time limit for the last checkpoint


def train(
    source: str | Path | Source,
    out: str | Path,
    options: TrainOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    start_time: float | None = None,
) -> Path:
    """Train on `source` in the run folder `out`, or resume the run that is there. Returns the model's folder.

    `source` is a path, the name of a built-in set, or pictures in memory (data/in_memory.py). `on_progress` is called
    after every step. A time limit (`options.seconds`) is counted from `start_time`, a `time.monotonic()`; default: now.
    Raises InputError for unusable input, OutOfMemory, Diverged if loss or gradient are not finite, Interrupted after
    SIGINT, SIGTERM, SIGHUP or SIGQUIT; what `on_progress` raises ends the run, too. In the last two cases the run has
    been saved. Global random state, default dtype and the like are left as they were.
    """
    return _run(Path(out), options, lambda: prepare_data(source, Path(out), options), on_progress, start_time)


def distill(
    run: str | Path,
    out: str | Path,
    options: TrainOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    start_time: float | None = None,
) -> Path:
    """Train a student of a run's model (`options.distillation`) in the run folder `out`, on the same pictures.

    Everything else is as in `train`. Raises InputError in addition for a student that is not kept: what it has learned
    stays in the checkpoints, and the same call with more time goes on from there.
    """
    return _run(Path(out), options, lambda: copy_data(Path(run), Path(out)), on_progress, start_time)


def _run(
    run: Path,
    options: TrainOptions,
    open_data: Callable[[], Dataset],
    on_progress: Callable[[Progress], None],
    start_time: float | None,
) -> Path:
    start_time = time.monotonic() if start_time is None else start_time
    if options.log != "jsonl" and find_spec(options.log) is None:
        raise InputError(f"{options.log} is not installed: pip install 'noisette[{options.log}]'")
    with preserve_global_state(), explain_out_of_memory(MEMORY_ADVICE):
        accelerator = make_accelerator(log_with=None if options.log == "jsonl" else options.log, project_dir=str(run))
        with remove_if_empty(run), RunLock(run) if accelerator.is_main_process else nullcontext():
            if accelerator.is_main_process:
                sweep(run)
            stored = load_plan(run, options) if accelerator.is_main_process else None
            with accelerator.main_process_first():
                data = open_data()
            plan = resolve_plan(stored, run, data, options, accelerator, start_time)
            return TrainingRun(run, data, plan, options, accelerator, start_time).run(on_progress)


def make_method(
    folder: Path, data: Dataset, plan: TrainingPlan, options: TrainOptions, accelerator: Accelerator
) -> TrainingMethod:
    """What the run in this folder learns from."""
    if plan.recipe.training.distillation is None:
        return Denoising(data, plan, accelerator.device)
    return Distilling(folder, data, plan, options.start_from, accelerator)


class TrainingRun:
    """A run from its start or from its newest checkpoint to its end."""

    def __init__(
        self,
        folder: Path,
        data: Dataset,
        plan: TrainingPlan,
        options: TrainOptions,
        accelerator: Accelerator,
        start_time: float,
    ) -> None:
        self.folder, self.data, self.plan, self.options, self.accelerator = folder, data, plan, options, accelerator
        training, device = plan.recipe.training, accelerator.device
        torch.manual_seed(derive_seed(plan.seed, "weights"))
        self.micro_batch = micro_batch_size(training.batch, accelerator.num_processes, options.accumulate)
        self.method = make_method(folder, data, plan, options, accelerator)
        autoencoder = run_autoencoder(folder, plan.recipe.model.pictures)
        self.state = TrainingState(plan.recipe, plan.images, device, self.method.prior, autoencoder)
        self.criterion, self.optimizer = self.state.criterion, self.state.optimizer
        self.batches = self.method.make_batches(self.state)
        self.threads = ThreadTuner(thread_choices(plan, accelerator, self.micro_batch), plan.threads)
        self.notes: tuple[str, ...] = ()  # messages for the next Progress
        self.images = 0  # training images seen
        self.progress_schedule = ProgressSchedule.linear(plan.images)
        self.loss_window = (0.0, 0)  # sum and number of the losses since the last row of metrics.jsonl
        self.clock = RunClock(start_time)
        self.resume()
        self.model: nn.Module = accelerator.prepare(self.state.model)  # DistributedDataParallel, of several processes
        self.callback_runner: CallbackRunner | None = None  # of the main process
        if accelerator.is_main_process:
            require_run_space(folder, self.state, plan.evaluations > 0)
            snapshots.remove_after(folder, self.images)
            metrics_log = MetricsLog(folder / "metrics.jsonl", self.images, make_tracker(accelerator, options.log))
            self.notes += metrics_log.notes
            self.callback_runner = CallbackRunner(metrics_log, self.callbacks())

    def callbacks(self) -> list[TrainingCallback]:
        """What evaluates the averaged weights during the run."""
        model, plan, data = self.state.ema.model, self.plan, self.data
        callbacks: list[TrainingCallback] = [
            *self.method.make_callbacks(self.folder, self.state),
            SampleSheets(self.folder, model, data, plan.seed, self.images),
        ]
        if plan.evaluations:
            flips, cost = plan.recipe.training.flip, TIME_SHARE * (plan.seconds or 0.0) / plan.evaluations
            callbacks.append(
                PeriodicEvaluation(
                    self.folder, model, data, plan.evaluations, plan.evaluation_samples, plan.seed, flips, cost
                )
            )
        return callbacks

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, on_progress: Callable[[Progress], None]) -> Path:
        """Train to the end; returns the model's folder."""
        start, last_save = (self.images, self.clock.elapsed()), self.clock.elapsed()
        if self.plan.seconds is not None:
            self.clock.pace(self.images, self.plan.seconds)
        self.threads.apply()
        if self.images == 0:
            self.run_callbacks(INITIAL_STEP)
            if self.plan.recipe.model.origins:
                self.save()  # a resumption does not need the model that the run started from
        with StopSignals() as stop:
            while self.images < self.progress_schedule.total:
                before = self.progress_schedule.progress(self.images)
                loss, stop_signal = self.timed_step(before, stop.signal_number)
                after = self.progress_schedule.progress(self.images)
                rate = (self.images - start[0]) / max(self.clock.elapsed() - start[1], 1e-9)
                metrics = self.run_callbacks(TrainingStep(self.images, before, after))
                if self.is_row_due() or after == 1.0:
                    self.log_row(loss, rate)
                    if after < 1.0:
                        self.retarget(rate)
                self.report(on_progress, self.make_progress(loss, rate, metrics))
                if self.clock.elapsed() - last_save > self.options.save_every or stop_signal:
                    self.save()
                    last_save = self.clock.elapsed()
                if stop_signal:
                    raise Interrupted(stop_signal, self.folder)
        return self.finish()

    def timed_step(self, progress: float, stop_signal: int) -> tuple[float, int]:
        """`step` with as many threads as are fastest now."""
        self.threads.prepare()
        start = time.perf_counter()
        result = self.step(progress, stop_signal)
        if note := self.threads.finish_step(time.perf_counter() - start, self.plan.recipe.training.batch):
            self.notes += (note,)
        return result

    def step(self, progress: float, stop_signal: int) -> tuple[float, int]:
        """One optimizer step: the global batch's mean loss, and the stop signal that any process received, or 0."""
        training, accelerator = self.plan.recipe.training, self.accelerator
        parts, processes, size = self.options.accumulate, accelerator.num_processes, self.micro_batch
        number = self.images // training.batch
        for group in self.optimizer.param_groups:
            group["lr"] = training.lr * lr_factor(progress, training.warmup, training.min_lr_ratio)
        self.model.train()
        criterion = self.state.autoguidance.loss(self.criterion.loss, progress)
        losses, batches = [], []
        for part in range(parts):
            first = (part * processes + accelerator.process_index) * size
            # dropout masks depend on the micro-batch's position in the global batch, not on the process
            torch.manual_seed(derive_seed(self.plan.seed, "dropout", number, first))
            batch = self.batches.batch(number, slice(first, first + size))
            is_last = part == parts - 1
            with nullcontext() if is_last else accelerator.no_sync(self.model), self.autocast():
                loss = criterion(self.model, batch.x0, batch.t, batch.eps, batch.cond)
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                accelerator.backward(loss.mean() / parts)
            losses.append(loss.detach())
            batches.append(batch)
        for parameter in self.criterion.parameters.values():  # gradients of the model are averaged by DDP
            parameter.grad = accelerator.reduce(parameter.grad, "mean")
        norm = accelerator.clip_grad_norm_(self.model.parameters(), training.clip)
        local = torch.cat(losses)
        summed = accelerator.reduce(torch.stack([local.mean(), local.new_tensor(float(stop_signal))]), "sum")
        mean, signals = summed.tolist()
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self.raise_diverged(number, local, batches)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.criterion.needs_losses:
            self.criterion.update(self.gather_global(torch.cat([b.t for b in batches])), self.gather_global(local))
        self.images += training.batch
        self.state.ema.update(self.state.model, self.images, training.batch)
        done = TrainingStep(self.images, progress, self.progress_schedule.progress(self.images))
        self.state.autoguidance.take_snapshot(self.state.ema.model, done)
        mean /= processes
        self.loss_window = (self.loss_window[0] + mean, self.loss_window[1] + 1)
        return mean, round(signals) and (stop_signal or 15)

    def gather_global(self, local: Tensor) -> Tensor:
        """One number per image of the step, from all processes, in the order of the global batch; on the CPU."""
        parts, processes = self.options.accumulate, self.accelerator.num_processes
        if processes == 1:
            return local.cpu()
        gathered: Tensor = self.accelerator.gather(local.to(self.accelerator.device))
        return gathered.reshape(processes, parts, -1).transpose(0, 1).flatten().cpu()

    def autocast(self) -> torch.autocast:
        """bf16 autocast, where the plan's precision is bf16."""
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16")

    def raise_diverged(self, step: int, losses: Tensor, batches: list[Batch]) -> None:
        """Raise Diverged with the step and the pictures whose loss is not finite, in whichever process they are."""
        names = self.data.train.names(torch.cat([b.indices for b in batches]))
        per_image = gather_object(list(zip(names, losses.isfinite().tolist(), strict=True)))
        message = describe_divergence(per_image, step, self.images)
        if self.callback_runner is not None:
            self.callback_runner.metrics_log.write({"images": self.images, "diverged": message})
        raise Diverged(
            f"{message}: the newest checkpoint is from before that step; lower --lr, or check these pictures"
        )

    # ── what is reported, and how long the run is ─────────────────────────────────────────────────────────────────

    def run_callbacks(self, step: TrainingStep) -> dict[str, Any]:
        """Metrics of the callbacks that are due; {} in processes other than the main one."""
        return {} if self.callback_runner is None else self.callback_runner.run_callbacks(step)

    def is_row_due(self) -> bool:
        """Whether metrics.jsonl gets a row with the training loss after this step."""
        steps, planned = (images // self.plan.recipe.training.batch for images in (self.images, self.plan.images))
        return steps % max(1, planned // LOG_ROWS) == 0

    def report(self, on_progress: Callable[[Progress], None], progress: Progress) -> None:
        """Call `on_progress`. If it raises, the run is saved before the exception ends it."""
        try:
            on_progress(progress)
        except BaseException:
            self.save()
            raise

    def make_progress(self, loss: float, rate: float, metrics: Mapping[str, Any]) -> Progress:
        notes, self.notes = self.notes, ()
        return Progress(
            self.images, self.progress_schedule.total, self.clock.elapsed(), rate, loss,
            held_out_loss=metrics.get("held_out"), evaluation=metrics.get("evaluation"), notes=notes,
            slowdown=self.slowdown(), time_limit=self.plan.seconds,
        )  # fmt: skip

    def log_row(self, loss: float, images_per_second: float) -> None:
        """Write a row with the mean loss since the last row."""
        total, steps = self.loss_window
        self.loss_window = (0.0, 0)
        lr = self.optimizer.param_groups[0]["lr"]
        row = {"images": self.images, "loss": total / max(steps, 1), "last": loss, "lr": lr}
        row |= {"seconds": round(self.clock.elapsed(), 3), "rate": round(images_per_second, 2)}
        if self.callback_runner is not None:
            self.callback_runner.metrics_log.write(row)

    def slowdown(self) -> float:
        """The expected mean duration of the steps that are left, in steps of now."""
        return self.method.slowdown(self.images, self.progress_schedule.progress(self.images))

    def retarget(self, rate: float) -> None:
        """With a time limit: aim for as many images as the remaining time allows, at the speed of the last minutes."""
        if self.plan.seconds is None:
            return
        training = self.plan.recipe.training
        # a run that is made longer goes on for as long as it is told
        limit = max_images(training, self.data) if self.plan.extended_at is None else None
        budget = TimeBudget(self.plan.seconds, training.batch, limit)
        reserve = FINAL_SAVE_SECONDS + (0.0 if self.callback_runner is None else self.callback_runner.final_seconds)
        reserve += self.method.tuner.estimate_seconds(self.progress_schedule.total, rate)
        pace = self.clock.pace(self.images, self.plan.seconds)
        elapsed, slowdown = self.clock.elapsed(), self.slowdown()
        schedule = budget.retarget(self.progress_schedule, self.images, elapsed, pace, reserve, slowdown)
        self.progress_schedule = broadcast_object_list([schedule])[0]

    # ── checkpoints, and the end ──────────────────────────────────────────────────────────────────────────────────

    def save(self) -> None:
        """Write a checkpoint (main process only)."""
        if self.callback_runner is None:
            return
        knots = to_json(self.progress_schedule.knots)
        meta = {"knots": knots, "seconds": self.clock.elapsed(), "since": list(self.loss_window)}
        checkpoint.save(self.folder, self.images, self.state.tensors(), meta)

    def resume(self) -> None:
        """Load the newest undamaged checkpoint, or the model that the run starts from."""
        found = checkpoint.find_latest(self.folder)
        if found is None:
            self.notes = load_origin(self.state, self.plan.recipe.model, self.options.start_from)
            self.notes += describe_early_end(self.plan, self.data)
            return
        self.state.load(found)
        self.images, self.notes = found.images, found.skipped_reasons
        self.progress_schedule = ProgressSchedule(tuple((int(i), float(p)) for i, p in found.meta["knots"]))
        if (since := self.plan.extended_at) is not None and found.images <= since:
            self.progress_schedule = self.progress_schedule.extend(found.images, self.plan.images)
            self.notes += (describe_extension(self.progress_schedule, self.images, self.plan.recipe.training),)
        self.loss_window = (found.meta["since"][0], found.meta["since"][1])
        self.clock.before = found.meta["seconds"]

    def finish(self) -> Path:
        """Write the last checkpoint and the run's model: the best averaged weights, with tuned sampling defaults."""
        self.save()
        folder = self.folder / "model"
        if self.callback_runner is not None:
            model = snapshots.best_model(self.folder, self.images, self.state.ema.model)
            if not same_weights(folder, model):
                if not self.options.any_quality and (reason := self.method.check(model)):
                    self.callback_runner.metrics_log.write({"images": self.images, "comparison": reason})
                if choice := self.method.tuner(model, self.data.train, self.data.held_out, self.images):
                    model = model.with_sampling(choice.sampling)
                    row = {"images": self.images, "sampling": to_json(choice.sampling), "reason": str(choice)}
                    self.callback_runner.metrics_log.write(row)
                sync_sampling(self.folder, model)
                model.save_pretrained(folder)
        self.accelerator.wait_for_everyone()
        if self.options.log != "jsonl":
            self.accelerator.end_training()  # ends the process group: nothing can wait for all processes after it
        return folder
