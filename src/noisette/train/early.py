"""What a run's model was early on, kept to be guided away from (autoguidance): RUN/early, a model folder."""

from pathlib import Path

from ..model import PictureModel
from .observer import Found, Moment

MARK = 0.12  # progress at which it is kept


class Early:
    """The averaged weights, at MARK."""

    cost = 0.0  # at the end of the run

    def __init__(self, folder: Path, model: PictureModel) -> None:
        self.folder, self.model = folder, model

    def __call__(self, moment: Moment) -> Found:
        if moment.passed((MARK,)):
            self.model.save_pretrained(self.folder / "early")
        return {}
