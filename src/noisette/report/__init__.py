"""Reports about models and runs: the explain page, plots, films, model cards, notebook views.

The names below are imported on first use. Plots need the extra `plots`.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .card import Licenses, push_to_hub, save_with_card, write_card
    from .explain import Subject, load_subject, render_report
    from .explain.network import FeatureMaps, compute_feature_maps
    from .film import Film, denoising_film, growth_film
    from .provenance import Provenance, collect_provenance, render_provenance
    from .run import Run
    from .viz.animation import make_frames, write_film
    from .viz.evaluation import NearestPair, render_evaluation_page
    from .viz.plots import (
        plot_features,
        plot_grids,
        plot_losses,
        plot_optimum,
        plot_samples,
        plot_scatter,
        plot_schedules,
        plot_strip,
    )
    from .viz.trilemma import TrilemmaPoint, plot_steps, plot_trilemma

__all__ = [
    "FeatureMaps",
    "Film",
    "Licenses",
    "NearestPair",
    "Provenance",
    "Run",
    "Subject",
    "TrilemmaPoint",
    "collect_provenance",
    "compute_feature_maps",
    "denoising_film",
    "growth_film",
    "load_subject",
    "make_frames",
    "plot_features",
    "plot_grids",
    "plot_losses",
    "plot_optimum",
    "plot_samples",
    "plot_scatter",
    "plot_schedules",
    "plot_steps",
    "plot_strip",
    "plot_trilemma",
    "push_to_hub",
    "render_evaluation_page",
    "render_provenance",
    "render_report",
    "save_with_card",
    "write_card",
    "write_film",
]
HOMES = {
    "card": ("Licenses", "push_to_hub", "save_with_card", "write_card"),
    "explain": ("Subject", "load_subject", "render_report"),
    "explain.network": ("FeatureMaps", "compute_feature_maps"),
    "film": ("Film", "denoising_film", "growth_film"),
    "provenance": ("Provenance", "collect_provenance", "render_provenance"),
    "run": ("Run",),
    "viz.animation": ("make_frames", "write_film"),
    "viz.evaluation": ("NearestPair", "render_evaluation_page"),
    "viz.plots": (
        "plot_features",
        "plot_grids",
        "plot_losses",
        "plot_optimum",
        "plot_samples",
        "plot_scatter",
        "plot_schedules",
        "plot_strip",
    ),
    "viz.trilemma": ("TrilemmaPoint", "plot_steps", "plot_trilemma"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
