"""Edge-matching tile sets of two terrains, drawn from a model in one walk.

All tiles are cells of one picture that wraps around, on which each tile has neighbors that it may have. At every
network call the picture is predicted in overlapping windows with the label of each terrain, and a mask says which
prediction counts where. The pixels beside equal edges of tiles are tied: they have one noise, and the mean of their
predictions. So all tiles with the same edge have the same pixels there, and every two that may be neighbors fit as the
two do that were drawn side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from ..diffusion.noise import Seeded, derive_seed
from ..diffusion.regions import RegionDenoiser, TiedDenoiser, TiedNoise, TiedPixels
from ..diffusion.sampler import Sampler, sample
from ..diffusion.windows import Canvas
from ..errors import InputError, lookup
from ..models.picture_model import PictureModel
from ..sampling.generate import build_canvas_denoiser, initial_noise, make_noise
from ..sampling.lineage import NoiseLineage
from ..sampling.request import Helpers, SampleRequest
from .wang import Terrains, TileKind, tile_kinds

Picture = UInt8[Tensor, "1 c h w"]
Tiles = UInt8[Tensor, "n c tile tile"]

MIN_TILE, MAX_TILE = 8, 256  # side of a tile in pixels
BORDER_SHARE = 8  # 1/8 of a tile's side at each edge is the same in all tiles with this edge
SOFTNESS = 2.0  # pixels of the transition from one terrain to the other
ROUGHNESS = 0.2  # deviation of the control values on a boundary inside a tile: how far it strays


@dataclass(frozen=True)
class TileSetSpec:
    """What a tile set is: its kind, the side of its tiles in pixels, and the names of its two terrains."""

    kind: str
    tile: int
    terrains: tuple[str, str]

    def __post_init__(self) -> None:
        lookup(self.kind, tile_kinds(), "kind of tile set")
        if not MIN_TILE <= self.tile <= MAX_TILE:
            raise InputError(f"a tile must have {MIN_TILE} to {MAX_TILE} pixels a side, got {self.tile}")
        if self.terrains[0] == self.terrains[1]:
            raise InputError(f"a tile set needs two different terrains, got {self.terrains[0]!r} twice")

    @property
    def layout(self) -> TileKind:
        return tile_kinds()[self.kind]

    @property
    def border(self) -> int:
        """The pixels at each edge that are the same in all tiles with this edge."""
        return max(1, self.tile // BORDER_SHARE)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture that is drawn."""
        rows, columns = self.layout.map.shape
        return rows * self.tile, columns * self.tile

    def tie(self) -> TiedPixels:
        return self.layout.tie(self.tile, self.border)

    def mask(self, seed: int) -> Float[Tensor, "1 1 h w"]:
        """Where the second terrain is, 0 to 1. Inside tiles, boundaries stray by noise of this seed."""
        rows, columns = self.layout.map.shape
        coarse = Seeded([derive_seed(seed, "terrain")])(torch.empty(1, 1, 4 * rows, 4 * columns))
        smooth = F.interpolate(F.pad(coarse, (1, 1, 1, 1), "circular"), scale_factor=self.tile / 4, mode="bilinear")
        margin = (smooth.shape[2] - rows * self.tile) // 2
        smooth = smooth[..., margin : margin + rows * self.tile, margin : margin + columns * self.tile]
        inside = torch.arange(self.tile).float().add(0.5).div(self.tile).mul(torch.pi).sin().repeat(max(rows, columns))
        fade = inside[: rows * self.tile, None] * inside[None, : columns * self.tile]
        values = self.layout.mask(self.tile)
        rough = values + ROUGHNESS * 4 * values * (1 - values) * fade * smooth  # tiles of one terrain stay as they are
        return ((rough - 0.5) * self.tile / (2 * SOFTNESS) + 0.5).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class TileSet:
    """The tiles of a set, (N, C, tile, tile), in the order of its kind."""

    spec: TileSetSpec
    pixels: Tiles
    colors: tuple[str, ...] = ()  # of the palette that they are locked to

    def assemble(self, terrains: Terrains) -> Picture:
        """A map, (1, C, rows · tile, columns · tile), that wraps around. terrains: of its vertices (corner16) or of its
        cells (blob47), true for the second one."""
        numbers = self.spec.layout.lay_out(terrains)
        return torch.cat([torch.cat([self.pixels[n] for n in row], 2) for row in numbers.tolist()], 1)[None]


def draw_tileset(
    model: PictureModel,
    request: SampleRequest,
    spec: TileSetSpec,
    helpers: Helpers | None = None,
    wrap: Callable[[Sampler], Sampler] = lambda sampler: sampler,
) -> TileSet:
    """The tile set of a request of two images, one of each terrain, on the canvas of `spec.size`, seamless in both
    directions; the noise is that of the first. `wrap` may put another sampler around the request's."""
    helpers = request.resolve_helpers(model, helpers or Helpers())
    canvas, tied = _check_canvas(request, spec), spec.tie()
    cond, guidance = request.make_condition(model, helpers), request.make_guidance(model, helpers)
    first, second = (build_canvas_denoiser(model, cond, guidance, [i], canvas, request.batch) for i in (0, 1))
    mask = tied.mean(spec.mask(request.lineages[0].seed))
    denoise = TiedDenoiser(RegionDenoiser(first, second, mask), tied)
    noise = TiedNoise(make_noise(request.lineages[:1]), tied)
    device, grid = next(model.parameters()).device, request.make_grid(model)
    blank = torch.empty(1, model.pictures.channels, *spec.size, device=device)
    x = initial_noise(denoise, grid, blank, noise, request.temperature)
    x = sample(denoise, wrap(request.make_sampler(model)), grid, x, noise)
    pixels = request.finish(model.pictures.decode_samples(tied.mean(x)))
    return TileSet(spec, cut_tiles(pixels, spec), () if request.lock is None else request.lock.colors)


def cut_tiles(pixels: Picture, spec: TileSetSpec) -> Tiles:
    """The tiles, (N, C, tile, tile), of the picture that was drawn."""
    side = spec.tile
    places = [(row * side, column * side) for row, column in spec.layout.first_places()]
    return torch.cat([pixels[:, :, top : top + side, left : left + side] for top, left in places])


def terrain_lineages(seed: int) -> Sequence[NoiseLineage]:
    """The noises of a request for `draw_tileset`: one for both terrains."""
    return [NoiseLineage(seed)] * 2


def _check_canvas(request: SampleRequest, spec: TileSetSpec) -> Canvas:
    canvas = request.canvas
    if canvas is None or (canvas.height, canvas.width) != spec.size or not (canvas.wrap_x and canvas.wrap_y):
        raise InputError(
            f"these tiles are drawn on a seamless picture of {spec.size[1]}×{spec.size[0]}: make the request with "
            f'size={spec.size} and seamless="xy"'
        )
    if len(request) != 2:
        raise InputError(f"a tile set needs a request of two images, one of each terrain, got {len(request)}")
    return canvas
