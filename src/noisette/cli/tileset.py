"""noisette tileset: an edge-matching tile set of two terrains."""

from typing import Annotated

import typer

from ..sampling.files import ensure_writable
from .guidance_options import BinaryAlpha, Dither
from .sample import open_model
from .sample_options import Attributes, Eta, GridName, GuidanceScale, Model, Out, SamplerName, Steps, Temperature
from .terminal import get_console, print_json, print_paths


def tileset(
    model: Model,
    out: Out,
    terrain: Annotated[
        list[str],
        typer.Option(help="Label of a terrain, or text of a model of text. Give two.", show_default=False),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="corner16: 16 tiles, each corner is of one terrain (marching squares). blob47: 47 tiles of the second "
            "terrain and one of the first, by the eight neighbors of a cell."
        ),
    ] = "corner16",
    tile: Annotated[
        int | None, typer.Option(help="Side of a tile in pixels, 8 to 256. Default: the model's own size.")
    ] = None,
    attribute: Attributes = None,
    seed: Annotated[int, typer.Option(help="Seed of the tile set.")] = 0,
    steps: Steps = None,
    sampler: SamplerName = None,
    grid: GridName = None,
    guidance: GuidanceScale = None,
    eta: Eta = None,
    temperature: Temperature = None,
    palette: Annotated[
        str | None,
        typer.Option(
            help="Give every visible pixel the nearest of these colors: with commas, of a palette file or a picture."
        ),
    ] = None,
    dither: Dither = None,
    binary_alpha: BinaryAlpha = False,
    batch: Annotated[
        int | None, typer.Option(help="Windows that are predicted at once. Default: 16 on a CPU, else 256.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the files, without their endings.")] = "tileset",
    extrude: Annotated[
        int, typer.Option(help="How many times the edge pixels of each tile are repeated around it, 0 to 16.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per file.")] = False,
) -> None:
    """Draw a tile set of two terrains, whose tiles match along every edge that they may share.

    Writes NAME.png with all tiles, NAME.tsx (Tiled, with a terrain set), NAME.tres (Godot 4, with terrains) and
    map.png, a random map of the tiles, enlarged.
    """
    from rich.progress import Progress

    from ..data.palette import read_palette
    from ..edit.tileset import draw_tileset
    from ..interop.sheet_formats import check_name
    from ..interop.sheet_layout import check_extrude
    from ..interop.tileset import make_tileset_request, write_all
    from ..sampling.batch import CallbackSampler
    from ..sampling.color import make_palette_lock

    check_name(name)
    check_extrude(extrude)
    colors = () if palette is None else read_palette(palette).colors
    lock = make_palette_lock(colors, palette is not None, dither, binary_alpha)
    loaded = open_model(model)
    spec, request = make_tileset_request(
        loaded, terrain, kind, tile, attributes=attribute, seed=seed, steps=steps, sampler=sampler, grid=grid,
        guidance=guidance, eta=eta, temperature=temperature, batch=batch, lock=lock,
    )  # fmt: skip
    ensure_writable(out)
    screen = get_console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("tile set", total=request.steps)
        drawn = draw_tileset(
            loaded, request, spec, wrap=lambda inner: CallbackSampler(inner, lambda state: bar.advance(task))
        )
    paths = write_all(drawn, request, out, name, extrude)
    if as_json:
        for path in paths:
            print_json({"path": str(path.resolve())})
    else:
        print_paths(paths)
