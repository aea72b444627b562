"""Sampling: requests for pictures, and the pictures that a model draws for them.

    from noisette.sampling import draw_request, make_request

    pixels = draw_request(model, make_request(model, 16, "potion", guidance=2))

`draw_request` draws what names can say: labels, attributes, texts. The module `generate` is the layer below it, for
conditions and denoisers of your own: `generate.generate` yields the states of all steps, `generate.build_denoiser`
makes the guided denoiser. The names below are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import generate
    from .batch import CallbackSampler, EditBatch, edit_batches
    from .canvas import make_canvas
    from .cascade import Cascade
    from .color import color_log_prob, make_palette_lock, palette_log_prob, parse_colors
    from .files import WrittenSample, write_grid, write_sample
    from .fitted_grid import fit_grids
    from .gallery import Gallery
    from .lineage import NoiseLineage, RotatedNoise, Rotation
    from .record import SampleRecord, SampleSettings, encode_finished, read_record
    from .request import Helpers, SampleRequest, make_request, repeat_record
    from .run import draw_exact, draw_request, reproduce, run_request
    from .steering import GuidanceModels, Steering, build_guidance, make_steering

__all__ = [
    "CallbackSampler",
    "Cascade",
    "EditBatch",
    "Gallery",
    "GuidanceModels",
    "Helpers",
    "NoiseLineage",
    "RotatedNoise",
    "Rotation",
    "SampleRecord",
    "SampleRequest",
    "SampleSettings",
    "Steering",
    "WrittenSample",
    "build_guidance",
    "color_log_prob",
    "draw_exact",
    "draw_request",
    "edit_batches",
    "encode_finished",
    "fit_grids",
    "generate",
    "make_canvas",
    "make_palette_lock",
    "make_request",
    "make_steering",
    "palette_log_prob",
    "parse_colors",
    "read_record",
    "repeat_record",
    "reproduce",
    "run_request",
    "write_grid",
    "write_sample",
]
HOMES = {
    "batch": ("CallbackSampler", "EditBatch", "edit_batches"),
    "canvas": ("make_canvas",),
    "cascade": ("Cascade",),
    "color": ("color_log_prob", "make_palette_lock", "palette_log_prob", "parse_colors"),
    "files": ("WrittenSample", "write_grid", "write_sample"),
    "fitted_grid": ("fit_grids",),
    "gallery": ("Gallery",),
    "generate": ("generate",),
    "lineage": ("NoiseLineage", "RotatedNoise", "Rotation"),
    "record": ("SampleRecord", "SampleSettings", "encode_finished", "read_record"),
    "request": ("Helpers", "SampleRequest", "make_request", "repeat_record"),
    "run": ("draw_exact", "draw_request", "reproduce", "run_request"),
    "steering": ("GuidanceModels", "Steering", "build_guidance", "make_steering"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
