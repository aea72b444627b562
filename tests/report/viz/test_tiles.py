"""Pictures in tables and behind sliders are the pictures that were given, every pixel a square."""

import base64
import json
import re
from io import BytesIO

import torch
from PIL import Image

from noisette.data.png import from_image
from noisette.report.viz.tiles import (
    ScrubberView,
    TileRow,
    render_scatter,
    render_scrubber,
    render_tile,
    render_tiles,
    tile_scale,
)

from .test_page import EVIL, read


def pictures(html: str) -> list[torch.Tensor]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", html)
    return [from_image(Image.open(BytesIO(base64.b64decode(data)))) for data in found]


def test_a_tile_is_enlarged_by_a_whole_number() -> None:
    pixels = torch.randint(0, 256, (1, 4, 16, 12), dtype=torch.uint8)
    html = render_tile(pixels, "a sprite")
    assert torch.equal(pictures(html)[0], pixels)
    assert 'width="48" height="64"' in html and "clear" in html
    assert tile_scale(100, 100) == 1 and tile_scale(7, 9, 64) == 7


def test_tables_name_rows_and_columns() -> None:
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    html = render_tiles([TileRow("$x_t$", pixels), TileRow("SNR", ["1", "2"])], ["left", "right"], "what it is")
    assert torch.equal(torch.cat(pictures(html)), pixels)
    assert 'alt="x_t, left"' in html and '<th scope="row"><span class="maths">x<sub>t</sub></span></th>' in html
    tags = read(html)
    assert tags.seen.count("td") == 5 and tags.seen.count("th") == 4


def test_a_scrubbers_sheet_holds_every_frame() -> None:
    """Place i of view j is at (i, j) of the sheet, which the style moves by whole pictures."""
    views = [ScrubberView(name, torch.randint(0, 256, (5, 4, 8, 9), dtype=torch.uint8)) for name in ("noisy", "clean")]
    html = render_scrubber("Step", views, [f"step {i}" for i in range(5)], "a walk", initial=2, side=36)
    (sheet,) = pictures(html)
    for j, view in enumerate(views):
        for i in range(5):
            assert torch.equal(sheet[..., 8 * j : 8 * j + 8, 9 * i : 9 * i + 9], view.frames[i : i + 1])
    assert "--n: 5; --i: 2; --w: 36px; --h: 32px" in html and "--row: 1" in html
    assert 'min="0" max="4" step="1" value="2"' in html and "<output>step 2</output>" in html


def test_a_scatter_puts_pictures_where_they_belong() -> None:
    """The ends of the field are the ends of the data, and up is up."""
    pixels = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    html = render_scatter(pixels, [(0.0, 0.0), (1.0, 4.0), (2.0, 2.0)], ["a", "b", ""], "a plane", side=32)
    assert re.findall(r"left: calc\((\S+)% - (\S+)px\); top: calc\((\S+)% - (\S+)px\)", html) == [
        ("0.0", "0", "100.0", "32"), ("50.0", "16", "0.0", "0"), ("100.0", "32", "50.0", "16"),
    ]  # fmt: skip
    assert torch.equal(torch.cat(pictures(html)), pixels) and 'alt="sample at 2.0, 2.0"' in html


def test_windows_on_a_ring() -> None:
    views = [ScrubberView(str(i), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)) for i in range(2)]
    html = render_scrubber("Step", views, ["a", "b"], "", positions=[(0.5, 0.09), (0.5, 0.91)])
    assert 'class="ring"' in html and "left: 50.00%; top: 9.00%" in html and "top: 91.00%" in html


def test_words_from_outside_are_words() -> None:
    pixels = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    html = render_tiles([TileRow(EVIL, pixels)], [EVIL], EVIL) + render_scrubber(
        EVIL, [ScrubberView(EVIL, pixels)], [EVIL], EVIL
    )
    tags = read(html)
    assert "script" not in tags.seen
    assert json.loads(dict(tags.attributes)["data-captions"]) == [EVIL]
