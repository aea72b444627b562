"""Callbacks: what is evaluated, drawn or saved from the averaged weights during a run. Each has a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..models.picture_model import PictureModel

Metrics = dict[str, Any]  # keys of a row of metrics.jsonl; {}: nothing was measured


@dataclass(frozen=True)
class TrainingStep:
    """How far a run is after an optimizer step."""

    images: int  # training images seen
    progress_before: float  # progress before the step, 0 to 1; below 0: nothing has been trained yet
    progress_after: float  # progress now, 0 to 1

    def crossed(self, milestones: Sequence[float]) -> bool:
        """Whether progress reached or passed one of these milestones (0 to 1) in the last step."""
        return any(self.progress_before < milestone <= self.progress_after for milestone in milestones)


INITIAL_STEP = TrainingStep(0, -1.0, 0.0)  # before the first step


@runtime_checkable
class TrainingCallback(Protocol):
    """Is called after each step and acts at its milestones. It changes nothing of the run, nor its random numbers."""

    @property
    def final_seconds(self) -> float:
        """Seconds that the call after the last step is expected to take."""
        ...

    def __call__(self, step: TrainingStep) -> Metrics:
        """What was measured; {} if nothing was due."""
        ...


SNAPSHOT_PROGRESS = 0.12  # progress at which the early snapshot is taken


class AutoguidanceSnapshot:
    """Saves the averaged weights at SNAPSHOT_PROGRESS as RUN/early, for autoguidance (Karras et al. 2024)."""

    final_seconds = 0.0

    def __init__(self, folder: Path, model: PictureModel) -> None:
        self.folder, self.model = folder, model

    def __call__(self, step: TrainingStep) -> Metrics:
        if step.crossed((SNAPSHOT_PROGRESS,)):
            self.model.save_pretrained(self.folder / "early")
        return {}
