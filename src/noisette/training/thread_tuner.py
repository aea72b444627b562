"""The number of threads of a run on a CPU, chosen by how long its own steps take with each.

Threads of one step wait for one another. Where another program takes one of two cores, a step on one thread is several
times faster than one on two; where nothing else runs, it is slower. So in the first seconds of a run, and again when
its speed falls to half, steps are timed with all threads and with fewer in turn (`team.thread_counts`), the number that
was fastest for the plan first. These steps are ordinary steps of the run: no work is lost, and no bit of the result
changes (`TrialStep.is_same_with`).
"""

from collections import deque
from collections.abc import Sequence
from statistics import median

import torch
from accelerate import Accelerator

from ..team import thread_counts
from .plan import TrainingPlan
from .thread_trial import ThreadTrial
from .trial_step import TrialStep

MIN_STEPS = 3  # that are timed with each number of threads
MIN_SECONDS = 0.5  # of steps with each number, unless these are more than MAX_STEPS
MAX_STEPS = 20
RECENT_STEPS = 12  # at most, and
RECENT_SECONDS = 2.0  # or MIN_STEPS, if these take longer: the steps whose median is the present speed
SLOWDOWN = 2.0  # times the duration of a step at which the threads are chosen anew
PAUSE_SECONDS = 5.0  # of steps after a choice, before the next trial
RETRY_SECONDS = 60.0  # of steps, after which a run on fewer threads tries all of them again


class ThreadTuner:
    """Sets torch's number of threads before each step, from the durations of the steps before."""

    def __init__(self, counts: Sequence[int], start: int | None = None) -> None:
        """`counts`: the numbers of threads to choose from, all of them first. With one, nothing is chosen.

        `start`: the number that was fastest before the first step, if it has been measured.
        """
        self.counts = tuple(counts)
        self.threads = start if start in self.counts else self.counts[0]
        self.announced = self.counts[0]  # the number of the last message
        self.is_warm = False  # the first step allocates memory, and counts for nothing
        self.trial: ThreadTrial | None = None
        self.recent: deque[float] = deque(maxlen=RECENT_STEPS)
        self.usual, self.since = float("inf"), 0.0  # seconds of a step as measured; of all steps since the choice
        self.start_trial()

    def start_trial(self) -> None:
        """Time the next steps with each number of threads in turn, the present one first."""
        if len(self.counts) > 1:
            self.trial = ThreadTrial((self.threads, *(count for count in self.counts if count != self.threads)))
            self.recent.clear()

    def apply(self) -> None:
        """Set the chosen number of threads, for what is computed between the steps."""
        self._set(self.threads)

    def prepare(self) -> None:
        """Set the number of threads for the next step."""
        self._set(self.threads if self.trial is None else self.trial.next_count())

    def _set(self, count: int) -> None:
        if len(self.counts) > 1 and torch.get_num_threads() != count:
            torch.set_num_threads(count)

    def finish_step(self, seconds: float, images: int) -> str | None:
        """Note how long a step of `images` images took; a message if the number of threads has been changed by that."""
        note = None
        if not self.is_warm:
            self.is_warm = True
        elif self.trial is not None:
            self.trial.add(torch.get_num_threads(), seconds)
            if self.trial.is_complete(MIN_STEPS, MIN_SECONDS, MAX_STEPS):
                note = self.choose(self.trial, images)
        else:
            self.watch(seconds)
        self.apply()
        return note

    def watch(self, seconds: float) -> None:
        """Note how long a step took outside of a trial; start one if steps have become slower, or after a while."""
        self.since += seconds
        self.recent.append(seconds)
        while len(self.recent) > MIN_STEPS and sum(self.recent) - self.recent[0] >= RECENT_SECONDS:
            self.recent.popleft()
        if len(self.recent) < RECENT_STEPS and (len(self.recent) < MIN_STEPS or sum(self.recent) < RECENT_SECONDS):
            return
        present = median(self.recent)
        self.usual = min(self.usual, present)
        is_slow = present > SLOWDOWN * self.usual and self.since > PAUSE_SECONDS
        if is_slow or (self.threads != self.counts[0] and self.since > RETRY_SECONDS):
            self.start_trial()

    def choose(self, trial: ThreadTrial, images: int) -> str | None:
        """Take the number of threads with the shortest steps; a message if it is not the one of the last message."""
        seconds, before, every = trial.medians(), self.announced, self.counts[0]
        self.threads = self.announced = best = trial.fastest()
        self.trial, self.usual, self.since = None, seconds[best], 0.0
        if best == before:
            return None
        rates = {count: f"{images / s:.3g}" for count, s in seconds.items()}
        if best == every:
            return f"computing on all {every} threads again: {rates[best]} images/s ({rates[before]} on {before})"
        return (
            f"computing on {best} of {every} threads: {rates[best]} images/s, against {rates[every]} on {every}, which "
            "wait for one another where other programs use the processor"
        )


def thread_choices(plan: TrainingPlan, accelerator: Accelerator, micro_batch: int) -> tuple[int, ...]:
    """The numbers of threads that the steps of a run may be computed with, the present one first.

    Several processes share the cores already. A run of a number of images ends with the same weights bit for bit
    whatever else the machine does: its threads are free only if they change no bit.
    """
    every, device = torch.get_num_threads(), accelerator.device
    counts = thread_counts(device) if accelerator.num_processes == 1 else (every,)
    if len(counts) == 1 or plan.seconds is not None:
        return counts
    trial = TrialStep(plan.recipe, plan.precision, device, micro_batch)
    return counts if trial.is_same_with(counts) else (every,)
