"""Train a diffusion model on a folder of pictures. Read it from top to bottom: this is all there is.

Plain `noisette train`, `accelerate launch` and `torchrun` run the same code. All that is random is a function of the
seed and the step (feed.py), all that changes along the run is a function of progress (horizon.py), and a checkpoint
holds the weights, their average, the optimiser's moments and the horizon: so a run that was stopped at any moment ends,
on a CPU, bit for bit where it would have ended.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from .. import checkpoint, snapshots
from ..config import to_json
from ..data import Dataset, prepare
from ..errors import InputError
from ..lock import RunLock
from ..model import PictureModel
from ..nn.ema import EMA
from ..noise import key
from ..optimizer import optimizer_of
from ..text import encoder_of
from .checkup import SHARE, Checkups
from .criterion import criterion
from .early import Early
from .exam import Exam
from .examples import Examples
from .feed import Batch, Feed
from .fitting import Fitting
from .growth import Growth
from .horizon import Horizon, TimeBox, learning_rate
from .journal import Journal, Record
from .observer import FIRST, Moment, Observer
from .plan import Plan, TrainOptions, share_of
from .progress import Diverged, Interrupted, Progress
from .settled import drawing_alike, holds, no_empty_folder, settle, stored
from .stop import StopSignals

ROWS = 400  # rows that the journal of a run has, about


def train(
    source: str | Path,
    out: str | Path,
    options: TrainOptions,
    watcher: Callable[[Progress], None] = lambda progress: None,
    started: float | None = None,
) -> Path:
    """Train on `source` in the run folder `out`, or go on with the run that is there. Returns the model's folder.

    `started` is the `time.monotonic()` from which a time box is counted; by default, now.
    Raises InputError for what cannot be used, Diverged for a loss that is not finite, Interrupted after a signal.
    """
    started = time.monotonic() if started is None else started
    run = Path(out)
    if options.log != "jsonl" and find_spec(options.log) is None:
        raise InputError(f"{options.log} is not installed: pip install 'noisette[{options.log}]'")
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # said, or torchrun's processes would not find each other on CPUs
        mixed_precision="no",
        log_with=None if options.log == "jsonl" else options.log,
        project_dir=str(run),
    )
    with no_empty_folder(run), RunLock(run) if accelerator.is_main_process else nullcontext():
        plan = stored(run, options) if accelerator.is_main_process else None
        with accelerator.main_process_first():
            encoder = None if options.text is None else encoder_of(run, options.text)
            data = prepare(
                source, run, size=options.size, pixel_art=options.pixel_art, seed=options.seed,
                cell=options.cell, labels=options.labels, masks=options.task.target == "mask",
            )  # fmt: skip
            if encoder is not None:
                data = data.captioned(encoder)
            del encoder  # it is large
        agreed = settle(plan, run, data, options, accelerator, started)
        return Run(run, data, agreed, options, accelerator, started).go(watcher)


class Run:
    """One sitting of a run."""

    def __init__(
        self, folder: Path, data: Dataset, plan: Plan, options: TrainOptions, accelerator: Accelerator, started: float
    ) -> None:
        self.folder, self.data, self.plan, self.options, self.accelerator = folder, data, plan, options, accelerator
        training, device = plan.recipe.training, accelerator.device
        torch.manual_seed(key(plan.seed, "weights"))
        self.share = share_of(training.batch, accelerator.num_processes, options.accumulate)
        self.bare = PictureModel(plan.recipe.model).to(device)
        self.ema = EMA(self.bare, half_life=training.ema * plan.images)
        self.criterion = criterion(plan.recipe, device)
        self.optimizer = optimizer_of(self.bare, plan.recipe, self.criterion.parameters.values())
        self.learned = dict(self.bare.net.named_parameters()) | self.criterion.parameters
        self.feed = Feed(Examples(data.train, plan.recipe.model.task), self.criterion, training, plan.seed, device)
        self.fitting = Fitting(training.fit, plan.seed)

        self.notes: tuple[str, ...] = ()
        self.images, self.horizon, self.since = 0, Horizon.of(plan.images), (0.0, 0)
        self.clock = time.monotonic() - started  # seconds of the run at `self.tick`
        self.tick = time.monotonic()
        self.resume()
        self.model: nn.Module = accelerator.prepare(self.bare)
        self.record: Record | None = None
        if accelerator.is_main_process:
            snapshots.forget(folder, self.images)
            journal = Journal(folder / "metrics.jsonl", self.images, self.trackers())
            self.record = Record(journal, self.observers())

    def now(self) -> float:
        """Seconds that the run has taken, earlier sittings included."""
        return self.clock + time.monotonic() - self.tick

    def observers(self) -> list[Observer]:
        """Who looks at the averaged weights along the way."""
        model, plan, data = self.ema.model, self.plan, self.data
        found: list[Observer] = [
            Exam(model, self.bare, data, self.criterion.plain, plan.seed),
            Growth(self.folder, model, data, plan.seed, self.images),
            Early(self.folder, model),
        ]
        if plan.checkups:
            flips, cost = plan.recipe.training.flip, SHARE * (plan.seconds or 0.0) / plan.checkups
            found.append(Checkups(self.folder, model, data, plan.checkups, plan.samples, plan.seed, flips, cost))
        return found

    def trackers(self) -> Callable[[Mapping[str, object]], None]:
        if self.options.log == "jsonl":
            return lambda row: None
        self.accelerator.init_trackers("noisette")
        return lambda row: self.accelerator.log(
            {k: v for k, v in row.items() if isinstance(v, int | float)}, step=int(str(row["images"]))
        )

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def go(self, watcher: Callable[[Progress], None]) -> Path:
        box = TimeBox(self.plan.seconds, self.plan.recipe.training.batch) if self.plan.seconds else None
        start, saved = (self.images, self.now()), self.now()
        row_every = max(1, self.plan.images // self.plan.recipe.training.batch // ROWS)
        if self.images == 0 and self.record is not None:
            self.record.along(FIRST)
        with StopSignals() as stop:
            while self.images < self.horizon.total:
                before = self.horizon.progress(self.images)
                loss, stopped = self.step(before, stop.number)
                after = self.horizon.progress(self.images)
                rate = (self.images - start[0]) / max(self.now() - start[1], 1e-9)
                found = {} if self.record is None else self.record.along(Moment(self.images, before, after))
                if self.images // self.plan.recipe.training.batch % row_every == 0 or after == 1.0:
                    self.note(loss, rate)
                    if box is not None and after < 1.0:
                        reserve = 0.3 + (0.0 if self.record is None else self.record.cost)
                        reserve += self.fitting.seconds(self.horizon.total, rate)
                        aimed = box.aim(self.horizon, self.images, self.now(), start, reserve)
                        self.horizon = broadcast_object_list([aimed])[0]
                told = (self.images, self.horizon.total, self.now(), rate, loss)
                watcher(Progress(*told, fixed=found.get("held_out"), checkup=found.get("checkup"), notes=self.notes))
                self.notes = ()
                if self.now() - saved > self.options.save_every or stopped:
                    self.save()
                    saved = self.now()
                if stopped:
                    raise Interrupted(stopped, self.folder)
        return self.finish()

    def step(self, progress: float, signal: int) -> tuple[float, int]:
        """One optimiser step: the global batch's mean loss, and the signal that any process was sent."""
        training, accelerator = self.plan.recipe.training, self.accelerator
        parts, processes, share = self.options.accumulate, accelerator.num_processes, self.share
        number = self.images // training.batch
        for group in self.optimizer.param_groups:
            group["lr"] = training.lr * learning_rate(progress, training.warmup, training.floor)
        self.model.train()
        losses, batches = [], []
        for part in range(parts):
            first = (part * processes + accelerator.process_index) * share
            # dropout's masks belong to the part of the step, whoever computes it
            torch.manual_seed(key(self.plan.seed, "dropout", number, first))
            batch = self.feed.batch(number, slice(first, first + share))
            last = part == parts - 1
            with nullcontext() if last else accelerator.no_sync(self.model), self.precision():
                loss = self.criterion.loss(self.model, batch.x0, batch.t, batch.eps, batch.cond)
            with nullcontext() if last else accelerator.no_sync(self.model):
                accelerator.backward(loss.mean() / parts)
            losses.append(loss.detach())
            batches.append(batch)
        for parameter in self.criterion.parameters.values():  # the model's are averaged as they come
            parameter.grad = accelerator.reduce(parameter.grad, "mean")
        norm = accelerator.clip_grad_norm_(self.model.parameters(), training.clip)
        mine = torch.cat(losses)
        both = torch.stack([mine.mean(), mine.new_tensor(float(signal))])
        mean, signals = accelerator.reduce(both, "sum").tolist()
        if not (math.isfinite(mean) and math.isfinite(norm)):
            self.diverged(number, mine, batches)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.criterion.remembers:
            self.criterion.seen(self.everyones(torch.cat([b.t for b in batches])), self.everyones(mine))
        self.images += training.batch
        self.ema.update(self.bare, self.images, training.batch)
        mean /= processes
        self.since = (self.since[0] + mean, self.since[1] + 1)
        return mean, round(signals) and (signal or 15)

    def everyones(self, mine: Tensor) -> Tensor:
        """A number of each image of the step, in the order of the global batch; on the CPU."""
        parts, processes = self.options.accumulate, self.accelerator.num_processes
        if processes == 1:
            return mine.cpu()
        every: Tensor = self.accelerator.gather(mine.to(self.accelerator.device))
        return every.reshape(processes, parts, -1).transpose(0, 1).flatten().cpu()

    def precision(self) -> torch.autocast:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16")

    def diverged(self, number: int, losses: Tensor, batches: list[Batch]) -> None:
        """Say which step and which pictures. The weights are still those of the step before."""
        rows = torch.cat([b.rows for b in batches])
        bad = rows[~losses.isfinite().cpu()] if not losses.isfinite().all() else rows
        names = gather_object(self.data.train.names(bad))
        kind = "loss" if not losses.isfinite().all() else "gradient"
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        said = f"the {kind} is not finite at step {number} ({self.images} images seen), with {shown} in the batch"
        if self.record is not None:
            self.record.journal.write({"images": self.images, "diverged": said})
        raise Diverged(f"{said}: the newest checkpoint is from before; lower --lr, or look at these pictures")

    def note(self, loss: float, rate: float) -> None:
        """A row of the journal: the mean loss since the last one."""
        total, steps = self.since
        self.since = (0.0, 0)
        if self.record is not None:
            lr = self.optimizer.param_groups[0]["lr"]
            row = {"images": self.images, "loss": total / max(steps, 1), "last": loss, "lr": lr}
            self.record.journal.write(row | {"seconds": round(self.now(), 3), "rate": round(rate, 2)})

    def best(self) -> PictureModel:
        """The snapshot that the check-ups chose."""
        snapshots.prune(self.folder, self.images)
        pick = snapshots.chosen(self.folder)
        if pick is None or pick.images == self.images:
            return self.ema.model
        return PictureModel.from_pretrained(snapshots.place(self.folder, pick.images)).to(self.accelerator.device)

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────

    def save(self) -> None:
        if self.record is None:
            return
        state = {
            "model": self.bare.net.state_dict(),
            "ema": self.ema.model.net.state_dict(),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer, self.learned),
        }
        if beside := self.criterion.tensors():
            state["criterion"] = beside
        checkpoint.save(
            self.folder,
            self.images,
            state,
            {"knots": to_json(self.horizon.knots), "seconds": self.now(), "since": list(self.since)},
        )

    def resume(self) -> None:
        """Take up the newest good checkpoint, where there is one."""
        found = checkpoint.latest(self.folder)
        if found is None:
            return
        self.bare.net.load_state_dict(found.tensors("model"))
        self.ema.model.net.load_state_dict(found.tensors("ema"))
        checkpoint.load_optimizer_tensors(self.optimizer, self.learned, found.tensors("optimizer"))
        if self.criterion.tensors():
            self.criterion.restore(found.tensors("criterion"))
        self.images, self.notes = found.images, found.skipped
        self.horizon = Horizon(tuple((int(i), float(p)) for i, p in found.meta["knots"]))
        self.since = (found.meta["since"][0], found.meta["since"][1])
        self.clock += found.meta["seconds"]

    def finish(self) -> Path:
        """The last checkpoint, and the model that people use: the averaged weights, and how they draw best.

        They are the last ones, unless the check-ups found clearly better ones.
        """
        self.save()
        folder = self.folder / "model"
        if self.record is not None and not holds(folder, model := self.best()):
            model = self.fitting(model, self.data.train, self.data.held_out, self.images)
            drawing_alike(self.folder, model)
            model.save_pretrained(folder)
        self.accelerator.wait_for_everyone()
        if self.options.log != "jsonl":
            self.accelerator.end_training()  # which takes the processes apart: nobody waits after it
        return folder
