"""Training: `train(source, out, TrainOptions(seconds=600))`. The run itself is read in run.py."""

from .plan import TrainOptions
from .progress import Diverged, Interrupted, Progress
from .run import train

__all__ = ["Diverged", "Interrupted", "Progress", "TrainOptions", "train"]
