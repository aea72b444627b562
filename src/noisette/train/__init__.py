"""Training: `train(source, out, TrainOptions(seconds=600))`. The run itself is read in run.py."""

from .plan import TrainOptions
from .run import Diverged, Interrupted, Progress, train

__all__ = ["Diverged", "Interrupted", "Progress", "TrainOptions", "train"]
