"""Training: `train(source, out, TrainOptions(seconds=600))`. The run itself is read in run.py."""

from .distillation import make_distill_options
from .plan import TrainOptions
from .progress import Diverged, Interrupted, Progress
from .run import distill, train

__all__ = ["Diverged", "Interrupted", "Progress", "TrainOptions", "distill", "make_distill_options", "train"]
