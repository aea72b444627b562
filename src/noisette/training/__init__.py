"""Training: `train(source, out, TrainOptions(seconds=600))`. The run itself is read in run.py.

`noisette.train`, `noisette.distill` and `noisette.train_autoencoder` are these functions with their options as
keyword arguments. The names below are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .autoencoder import AutoencoderOptions, train_autoencoder
    from .callbacks import TrainingCallback, TrainingStep
    from .criterion import Criterion, ImportanceCriterion, UncertaintyCriterion, build_criterion
    from .diagnosis import find_problems
    from .distillation import Trajectories, make_distill_options
    from .method import TrainingMethod
    from .noisy_classifier import (
        ClassifierOptions,
        ClassifierProgress,
        NoiseAccuracy,
        accuracy_by_noise,
        classifier_config,
        classifier_data,
        fit_classifier,
    )
    from .plan import TrainingPlan, TrainOptions, build_recipe, make_plan
    from .prior import fit_prior
    from .progress import Diverged, Interrupted, Progress
    from .recipes.distillation import Distillation
    from .recipes.recipe import Recipe, TrainingConfig, apply_overrides, build_optimizer
    from .run import distill, train
    from .run_log import Problem, RunLog
    from .sampling_tuner import SamplingChoice, SamplingTuner
    from .state import TrainingState

__all__ = [
    "AutoencoderOptions",
    "ClassifierOptions",
    "ClassifierProgress",
    "Criterion",
    "Distillation",
    "Diverged",
    "ImportanceCriterion",
    "Interrupted",
    "NoiseAccuracy",
    "Problem",
    "Progress",
    "Recipe",
    "RunLog",
    "SamplingChoice",
    "SamplingTuner",
    "TrainOptions",
    "TrainingCallback",
    "TrainingConfig",
    "TrainingMethod",
    "TrainingPlan",
    "TrainingState",
    "TrainingStep",
    "Trajectories",
    "UncertaintyCriterion",
    "accuracy_by_noise",
    "apply_overrides",
    "build_criterion",
    "build_optimizer",
    "build_recipe",
    "classifier_config",
    "classifier_data",
    "distill",
    "find_problems",
    "fit_classifier",
    "fit_prior",
    "make_distill_options",
    "make_plan",
    "train",
    "train_autoencoder",
]
HOMES = {
    "autoencoder": ("AutoencoderOptions", "train_autoencoder"),
    "callbacks": ("TrainingCallback", "TrainingStep"),
    "criterion": ("Criterion", "ImportanceCriterion", "UncertaintyCriterion", "build_criterion"),
    "diagnosis": ("find_problems",),
    "distillation": ("Trajectories", "make_distill_options"),
    "method": ("TrainingMethod",),
    "noisy_classifier": (
        "ClassifierOptions",
        "ClassifierProgress",
        "NoiseAccuracy",
        "accuracy_by_noise",
        "classifier_config",
        "classifier_data",
        "fit_classifier",
    ),
    "plan": ("TrainOptions", "TrainingPlan", "build_recipe", "make_plan"),
    "prior": ("fit_prior",),
    "progress": ("Diverged", "Interrupted", "Progress"),
    "recipes.distillation": ("Distillation",),
    "recipes.recipe": ("Recipe", "TrainingConfig", "apply_overrides", "build_optimizer"),
    "run": ("distill", "train"),
    "run_log": ("Problem", "RunLog"),
    "sampling_tuner": ("SamplingChoice", "SamplingTuner"),
    "state": ("TrainingState",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
