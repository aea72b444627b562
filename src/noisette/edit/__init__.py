"""Edits of pictures with a trained model, as pure functions of tensors.

    from noisette.edit import invert, reconstruct, vary

Pictures are float tensors (B, C, H, W) in model space; the functions that end in `_picture` take and return 8-bit
pictures. A function may have the name of its module, so all of them are imported with the package.
"""

from .batch import (
    inpaint_picture,
    remove_seam,
    sample_along,
    sample_masks,
    sample_seamless,
    upscale_picture,
    vary_picture,
)
from .hspace import (
    ActivationRecorder,
    Direction,
    DirectionEffect,
    EffectSetup,
    HSpaceEdit,
    composition,
    difference_direction,
    find_components,
    find_label_directions,
    find_layer,
    homogeneity,
    linearity,
    load_directions,
    measure_effects,
    principal_directions,
    record_noised,
    record_sampling,
    sample_strengths,
    save_directions,
    select_direction,
)
from .inpaint import inpaint_ddnm, inpaint_repaint, pad_canvas, restore_known
from .invert import invert, psnr, reconstruct
from .recolor import Recoloring, lock_colors, recolor, swap_colors
from .segment import binarize, mask_probability, uncertainty
from .tile import OutpaintDenoiser, SeamlessDenoiser, border_mask
from .tileset import TileSet, TileSetSpec, draw_tileset, terrain_lineages
from .upscale import project_to_range, upscale
from .vary import truncate_grid, vary
from .walk import (
    InterpolatedNoise,
    WalkPosition,
    draw_walk,
    interpolate_condition,
    interpolate_noise,
    slerp,
    walk_positions,
)
from .wang import TileKind, tile_kinds

__all__ = [
    "ActivationRecorder",
    "Direction",
    "DirectionEffect",
    "EffectSetup",
    "HSpaceEdit",
    "InterpolatedNoise",
    "OutpaintDenoiser",
    "Recoloring",
    "SeamlessDenoiser",
    "TileKind",
    "TileSet",
    "TileSetSpec",
    "WalkPosition",
    "binarize",
    "border_mask",
    "composition",
    "difference_direction",
    "draw_tileset",
    "draw_walk",
    "find_components",
    "find_label_directions",
    "find_layer",
    "homogeneity",
    "inpaint_ddnm",
    "inpaint_picture",
    "inpaint_repaint",
    "interpolate_condition",
    "interpolate_noise",
    "invert",
    "linearity",
    "load_directions",
    "lock_colors",
    "mask_probability",
    "measure_effects",
    "pad_canvas",
    "principal_directions",
    "project_to_range",
    "psnr",
    "recolor",
    "reconstruct",
    "record_noised",
    "record_sampling",
    "remove_seam",
    "restore_known",
    "sample_along",
    "sample_masks",
    "sample_seamless",
    "sample_strengths",
    "save_directions",
    "select_direction",
    "slerp",
    "swap_colors",
    "terrain_lineages",
    "tile_kinds",
    "truncate_grid",
    "uncertainty",
    "upscale",
    "upscale_picture",
    "vary",
    "vary_picture",
    "walk_positions",
]
