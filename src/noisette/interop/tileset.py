"""`noisette.tileset`: what `noisette tileset` draws and writes, in Python."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..data.contact_sheet import enlarge, fit_scale
from ..data.palette import read_palette
from ..data.palette_lock import PaletteLock
from ..data.png import encode_png, to_image
from ..edit.tileset import TileSet, TileSetSpec, draw_tileset, terrain_lineages
from ..errors import InputError
from ..io.files import atomic_write
from ..models.context import Attributes
from ..models.picture_model import PictureModel
from ..sampling.color import make_palette_lock
from ..sampling.draw import ModelSource, open_model
from ..sampling.request import AttributeTexts, SampleRequest, make_request
from ..team import torch_defaults
from .sheet_formats import check_name
from .sheet_layout import check_extrude
from .tileset_formats import write_tileset

MAP_ROWS, MAP_COLUMNS, MAP_SHARE = 8, 12, 0.55  # of the map that shows the tiles; share of the second terrain


@torch_defaults()
def tileset(
    model: ModelSource,
    terrains: Sequence[str],
    out: str | Path | None = None,
    *,
    kind: str = "corner16",
    tile: int | None = None,
    attributes: Attributes | Sequence[str] | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    eta: float | None = None,
    temperature: float | None = None,
    palette: str | Path | Sequence[str] | None = None,
    dither: float | None = None,
    binary_alpha: bool = False,
    batch: int | None = None,
    name: str = "tileset",
    extrude: int = 0,
) -> TileSet:
    """Draw a tile set of two terrains whose tiles match along every edge that they may share; with `out`, write it.

    model: a model object, or its path or name. terrains: two labels, or two texts of a model of text. kind: "corner16",
    marching squares, or "blob47". tile: side of a tile in pixels, 8 to 256, default the model's own. palette: all
    visible pixels get one of its colors; dither, binary_alpha: as in `noisette.draw` with lock. The other arguments are
    those of `noisette.draw`; None means the model's default.

    `.pixels` of the result is uint8, (N, C, tile, tile), `.assemble` makes a map. In `out` are NAME.png, NAME.tsx for
    Tiled, NAME.tres for Godot 4, and map.png, a random map. Raises InputError for invalid arguments.
    """
    check_name(name)
    check_extrude(extrude)
    model = open_model(model)
    colors = () if palette is None else read_palette(palette).colors
    lock = make_palette_lock(colors, palette is not None, dither, binary_alpha)
    spec, request = make_tileset_request(
        model, terrains, kind, tile, attributes=attributes, seed=seed, steps=steps, sampler=sampler, grid=grid,
        guidance=guidance, eta=eta, temperature=temperature, batch=batch, lock=lock,
    )  # fmt: skip
    drawn = draw_tileset(model, request, spec)
    if out is not None:
        write_all(drawn, request, out, name, extrude)
    return drawn


def make_tileset_request(
    model: PictureModel,
    terrains: Sequence[str],
    kind: str = "corner16",
    tile: int | None = None,
    *,
    attributes: Attributes | AttributeTexts | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    eta: float | None = None,
    temperature: float | None = None,
    batch: int | None = None,
    lock: PaletteLock | None = None,
) -> tuple[TileSetSpec, SampleRequest]:
    """The tile set, and the request that `draw_tileset` draws it by. Raises InputError for what cannot be drawn."""
    if len(terrains) != 2:
        raise InputError(f"a tile set needs two terrains, got {len(terrains)}")
    if not model.pictures.labels and model.text_encoder is None:
        raise InputError("a tile set needs a model with labels or text, and this one has none: train it with labels")
    side = min(model.pictures.height, model.pictures.width) if tile is None else tile
    spec = TileSetSpec(kind, side, (terrains[0], terrains[1]))
    words: dict[str, Any] = {"label" if model.pictures.labels else "text": list(terrains)}
    request = make_request(
        model, **words, lineages=terrain_lineages(seed), attributes=attributes, steps=steps, sampler=sampler, grid=grid,
        guidance=guidance, eta=eta, temperature=temperature, size=spec.size, seamless="xy", batch=batch, lock=lock,
    )  # fmt: skip
    return spec, request


def write_all(
    drawn: TileSet, request: SampleRequest, out: str | Path, name: str = "tileset", extrude: int = 0
) -> list[Path]:
    """Write the files of a tile set, with the settings in the PNG, and map.png; returns their paths."""
    settings = asdict(request.record(0)) | {"label": None, "text": None}
    paths = write_tileset(drawn, out, name, extrude, settings)
    picture = to_image(drawn.assemble(random_terrains(request.seeds[0])))
    example = Path(out) / "map.png"
    atomic_write(example, encode_png(enlarge(picture, fit_scale(1, picture.width))))
    return [*paths, example]


def random_terrains(seed: int) -> torch.Tensor:
    """The terrains of a random map, (rows, columns)."""
    generator = torch.Generator("cpu").manual_seed(seed % 2**63)
    return torch.rand(MAP_ROWS, MAP_COLUMNS, generator=generator) < MAP_SHARE
