"""Evaluation: quality, variety, memorization, with intervals; how many steps a model needs.

    from noisette.evaluation import EfficientNetExtractor, kid_interval

    extractor = EfficientNetExtractor()
    interval = kid_interval(extractor(held_out), extractor(samples))

`noisette.evaluate` and `noisette.compare_samplers` do all of it in one call. The names below are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .evaluate import (
        BitsPerDim,
        EvaluatedSamples,
        Evaluation,
        compute_bits_per_dim,
        draw_samples,
        evaluate_model,
        find_closest,
    )
    from .held_out import HeldOut, all_pixels, load_held_out
    from .metrics.appearance import Appearance, AppearanceDistance
    from .metrics.color import ColorDrift, PaletteStats, measure_color_drift, measure_palette
    from .metrics.distribution import (
        PRDC,
        compute_prdc,
        frechet_distance,
        frechet_distance_infinity,
        min_samples_for_fid,
    )
    from .metrics.evaluator import (
        QuickEvaluator,
        QuickMetrics,
        SampleEvaluator,
        SampleSet,
        SetScore,
        score_with_baselines,
    )
    from .metrics.features import CachedExtractor, EfficientNetExtractor, FeatureExtractor
    from .metrics.inception import InceptionExtractor
    from .metrics.interval import ConfidenceInterval, wilson_interval
    from .metrics.kid import GaussianKernel, cubic_kernel, kid, kid_bootstrap, kid_interval
    from .metrics.label_agreement import LabelClassifier, train_label_classifier
    from .metrics.memorization import Memorization, closeness_p_value, find_distinct, measure_memorization
    from .metrics.optimal_denoiser import NoiseLevelErrors, compare_with_optimum
    from .metrics.perceptual import PerceptualDistance
    from .metrics.segmentation import auroc, bootstrap_mean, iou
    from .steps import (
        Measurement,
        MeasurementSettings,
        SamplerBenchmark,
        SamplerSetting,
        SearchSpace,
        StepsReport,
        compare_settings,
        recommend,
    )
    from .verdict import summarize

__all__ = [
    "PRDC",
    "Appearance",
    "AppearanceDistance",
    "BitsPerDim",
    "CachedExtractor",
    "ColorDrift",
    "ConfidenceInterval",
    "EfficientNetExtractor",
    "EvaluatedSamples",
    "Evaluation",
    "FeatureExtractor",
    "GaussianKernel",
    "HeldOut",
    "InceptionExtractor",
    "LabelClassifier",
    "Measurement",
    "MeasurementSettings",
    "Memorization",
    "NoiseLevelErrors",
    "PaletteStats",
    "PerceptualDistance",
    "QuickEvaluator",
    "QuickMetrics",
    "SampleEvaluator",
    "SampleSet",
    "SamplerBenchmark",
    "SamplerSetting",
    "SearchSpace",
    "SetScore",
    "StepsReport",
    "all_pixels",
    "auroc",
    "bootstrap_mean",
    "closeness_p_value",
    "compare_settings",
    "compare_with_optimum",
    "compute_bits_per_dim",
    "compute_prdc",
    "cubic_kernel",
    "draw_samples",
    "evaluate_model",
    "find_closest",
    "find_distinct",
    "frechet_distance",
    "frechet_distance_infinity",
    "iou",
    "kid",
    "kid_bootstrap",
    "kid_interval",
    "load_held_out",
    "measure_color_drift",
    "measure_memorization",
    "measure_palette",
    "min_samples_for_fid",
    "recommend",
    "score_with_baselines",
    "summarize",
    "train_label_classifier",
    "wilson_interval",
]
HOMES = {
    "evaluate": (
        "BitsPerDim",
        "EvaluatedSamples",
        "Evaluation",
        "compute_bits_per_dim",
        "draw_samples",
        "evaluate_model",
        "find_closest",
    ),
    "held_out": ("HeldOut", "all_pixels", "load_held_out"),
    "metrics.appearance": ("Appearance", "AppearanceDistance"),
    "metrics.color": ("ColorDrift", "PaletteStats", "measure_color_drift", "measure_palette"),
    "metrics.distribution": (
        "PRDC",
        "compute_prdc",
        "frechet_distance",
        "frechet_distance_infinity",
        "min_samples_for_fid",
    ),
    "metrics.evaluator": (
        "QuickEvaluator",
        "QuickMetrics",
        "SampleEvaluator",
        "SampleSet",
        "SetScore",
        "score_with_baselines",
    ),
    "metrics.features": ("CachedExtractor", "EfficientNetExtractor", "FeatureExtractor"),
    "metrics.inception": ("InceptionExtractor",),
    "metrics.interval": ("ConfidenceInterval", "wilson_interval"),
    "metrics.kid": ("GaussianKernel", "cubic_kernel", "kid", "kid_bootstrap", "kid_interval"),
    "metrics.label_agreement": ("LabelClassifier", "train_label_classifier"),
    "metrics.memorization": ("Memorization", "closeness_p_value", "find_distinct", "measure_memorization"),
    "metrics.optimal_denoiser": ("NoiseLevelErrors", "compare_with_optimum"),
    "metrics.perceptual": ("PerceptualDistance",),
    "metrics.segmentation": ("auroc", "bootstrap_mean", "iou"),
    "steps": (
        "Measurement",
        "MeasurementSettings",
        "SamplerBenchmark",
        "SamplerSetting",
        "SearchSpace",
        "StepsReport",
        "compare_settings",
        "recommend",
    ),
    "verdict": ("summarize",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
