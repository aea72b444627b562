"""The scripts for Aseprite and Krita, run by stand-ins for these programs, against a running studio."""

import ast
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lupa.lua54
import numpy as np
import pytest
from PIL import Image

import noisette
from noisette.data.png import encode_png
from noisette.models.picture_model import load
from noisette.studio import editing
from noisette.studio import trajectories as drawing
from noisette.studio.edit_kinds import INPAINT, VARY, EditRequest
from noisette.studio.editor_scripts import write_editor_scripts
from studio.aseprite_stub import GRAY, INDEXED, Aseprite
from studio.conftest import Studio
from studio.editor_stubs import Result
from studio.krita_stub import KritaEditor

pytestmark = pytest.mark.slow
FIELDS = {  # names of the fields: in the Lua script → in the plugin for Krita
    "address": "address", "model": "Model", "action": "Do", "label": "Label or caption",
    "strength": "Strength of vary, %", "number": "Pictures", "seed": "Seed",
}  # fmt: skip
DRAW, FILL = "draw new pictures", "fill in the selection"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `noisette editors` writes, and the plugin unpacked, as Krita does."""
    folder = tmp_path_factory.mktemp("editors")
    lua, plugin = write_editor_scripts(folder)
    assert (lua.name, plugin.name) == ("noisette.lua", "noisette-krita.zip")
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(folder / "krita")
    return folder


@pytest.fixture(params=["aseprite", "krita"])
def run(request: pytest.FixtureRequest, scripts: Path, studio: Studio, tmp_path: Path) -> Run:
    """Run the script of an editor. Aseprite's own folder is left as it was."""

    def work(pixels: Any, mask: Any = None, /, **hands: Any) -> Result:
        hands = {"address": studio.address, "model": "tiny"} | hands
        if request.param == "krita":
            return KritaEditor(scripts / "krita").run(pixels, mask, {FIELDS[name]: v for name, v in hands.items()})
        result = Aseprite(scripts / "noisette.lua", tmp_path).run(pixels, mask, hands)
        assert list(tmp_path.iterdir()) == []
        return result

    return work


def sprite(height: int, width: int) -> np.ndarray:
    """A picture with transparent corners and half-transparent pixels."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[:4, :4, 3] = 0
    pixels[pixels[..., 3] == 0] = 0
    pixels[4:, 4:, 3] = 255
    return pixels


def edited(studio: Studio, pixels: np.ndarray, request: EditRequest) -> list[np.ndarray]:
    """What the library gives for an edit."""
    model = load(studio.workspace / "tiny")
    data = encode_png(Image.fromarray(pixels))
    results = deque(editing.stream_edit(model, data, request, drawing.make_settings(model)), maxlen=1).pop()
    assert isinstance(results, list)
    return [one.pixels[0].permute(1, 2, 0).numpy() for one in results]


def test_new_pictures_are_put_on_layers_of_their_own(run: Run, studio: Studio) -> None:
    result = run(sprite(16, 16), action=DRAW, label="sword", number=2, seed=5)
    assert result.problem is None and list(result.layers) == [f"noisette {DRAW}, seed {seed}" for seed in (5, 6)]
    expected = noisette.draw(load(studio.workspace / "tiny"), 2, "sword", seed=5, batch=2)
    for layer, pixels in zip(result.layers.values(), expected.pixels, strict=True):
        assert (layer == pixels.permute(1, 2, 0).numpy()).all()


def test_variations_are_of_what_is_around_the_selection(run: Run, studio: Studio) -> None:
    pixels, mask = sprite(20, 40), np.zeros((20, 40), bool)
    mask[10:20, 28:40] = mask[12, 27] = True
    result = run(pixels, mask, action="vary", strength=60, number=1, seed=3)
    assert result.problem is None and list(result.layers) == ["noisette vary, seed 3"]
    (layer,) = result.layers.values()
    window = np.s_[4:20, 24:40]  # of 16×16, around the selection, inside the canvas
    (expected,) = edited(studio, pixels[window], EditRequest(VARY, None, 3, 1, 0.6))
    assert (layer[window][mask[window]] == expected[mask[window]]).all() and not layer[~mask].any()


def test_the_selection_is_filled_in_and_nothing_else(run: Run, studio: Studio) -> None:
    pixels, mask = sprite(16, 16), np.zeros((16, 16), bool)
    mask[5:9, 2:14] = True
    result = run(pixels, mask, action=FILL, label="bread", number=1, seed=7)
    assert result.problem is None
    (layer,) = result.layers.values()
    marks = "".join("1" if mark else "0" for mark in mask.flatten())
    (expected,) = edited(studio, pixels, EditRequest(INPAINT, "bread", 7, 1, mask=marks))
    assert (layer[mask] == expected[mask]).all() and not layer[~mask].any()
    assert (expected[mask] != pixels[mask]).any()


def test_without_a_selection_the_transparent_pixels_of_a_small_canvas_are_filled_in(run: Run, studio: Studio) -> None:
    pixels = sprite(10, 12)
    result = run(pixels, action=FILL, number=1, seed=1)
    assert result.problem is None
    (layer,) = result.layers.values()
    wide = np.zeros((16, 16, 4), np.uint8)
    wide[3:13, 2:14] = pixels  # in the middle of the model's picture
    marks = "".join("1" if alpha == 0 else "0" for alpha in wide[..., 3].flatten())
    (expected,) = edited(studio, wide, EditRequest(INPAINT, None, 1, 1, mask=marks))
    hole = pixels[..., 3] == 0
    assert (layer[hole] == expected[3:13, 2:14][hole]).all() and not layer[~hole].any()


def test_problems_are_said_in_one_sentence(run: Run, studio: Studio) -> None:
    pixels = sprite(16, 16)
    problems = {
        "open a": run(None),
        "this is no address": run(pixels, address="file:///etc/passwd"),
        "the studio requires its token": run(pixels, address=f"{studio.url}?token=wrong"),
        "the studio does not answer": run(pixels, address="http://127.0.0.1:9/?token=x"),
        "the canvas has 40×20 pixels, and the model draws 16×16": run(sprite(20, 40)),
        "no label is called": run(pixels, action="vary", label='a "word"\n\\ é'),
        "there is nothing to fill in": run(np.full((16, 16, 4), 255, np.uint8), action=FILL),
    }
    for words, result in problems.items():
        assert result.problem is not None and result.problem.startswith(words), (words, result.problem)
        assert result.layers == {} and "\n" not in result.problem


def test_aseprite_sprites_of_other_color_modes_keep_them(scripts: Path, studio: Studio, tmp_path: Path) -> None:
    """Also without os.remove, which some versions of Aseprite lack; their files are then left empty."""
    hands = {"address": studio.address, "model": "tiny", "action": DRAW, "label": "bread", "seed": 2}
    editor = Aseprite(scripts / "noisette.lua", tmp_path, has_remove=False)
    true = (
        noisette.draw(load(studio.workspace / "tiny"), 1, "bread", seed=2, batch=1).pixels[0].permute(1, 2, 0).numpy()
    )
    palette = [(0, 0, 0), (255, 255, 255), (200, 30, 30), (30, 30, 200)]
    (indices,) = editor.run(sprite(16, 16), None, hands, INDEXED, palette).layers.values()
    distances = ((true[..., None, :3].astype(int) - np.array(palette)[1:]) ** 2).sum(axis=-1)
    nearest = np.where(true[..., 3] < 128, 0, distances.argmin(axis=-1) + 1)
    assert (indices == nearest).all() and len(np.unique(indices)) > 1
    (gray,) = editor.run(sprite(16, 16), None, hands, GRAY).layers.values()
    assert (gray[..., 3] == true[..., 3]).all()
    assert (abs(gray[..., 0] - true[..., :3] @ np.array([0.299, 0.587, 0.114])) < 1).all()
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_krita_pictures_of_other_depths_are_refused(scripts: Path, studio: Studio) -> None:
    hands = {"address": studio.address, "Model": "tiny"}
    result = KritaEditor(scripts / "krita").run(sprite(16, 16), None, hands, depth="F16")
    assert result.problem is not None and "must be RGB/Alpha with 8 bits" in result.problem


def test_files_that_editors_read(scripts: Path) -> None:
    with zipfile.ZipFile(scripts / "noisette-krita.zip") as archive:
        names = archive.namelist()
        assert {"noisette_studio.desktop", "noisette_studio/__init__.py", "noisette_studio/Manual.html"} <= set(names)
        sources = {name: archive.read(name).decode() for name in names if name.endswith(".py")}
        desktop = archive.read("noisette_studio.desktop").decode()
    assert "X-KDE-Library=noisette_studio" in desktop and "ServiceTypes=Krita/PythonPlugin" in desktop
    for name, source in sources.items():
        ast.parse(source, name, feature_version=(3, 8))  # that of Krita 5
    check = lupa.lua54.LuaRuntime().globals().load
    assert check((scripts / "noisette.lua").read_text("utf-8")) and not check("local x = = 1")[0]
