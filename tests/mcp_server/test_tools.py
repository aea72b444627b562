"""The tools of noisette mcp: a real server process, called by the client of the `mcp` package."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import commands
from data.build import noise, put
from data.sprite_build import walk
from mcp_server.conftest import Server, images
from noisette.errors import InputError
from noisette.mcp_server import pictures
from noisette.mcp_server.job import Cancelled, Job
from noisette.mcp_server.pictures import plan_scan, scan_folder
from noisette.mcp_server.place import Place
from noisette.models import shipped
from noisette.studio.limits import MAX_EDIT_SAMPLES, MAX_SAMPLES

NAMES = ["list_models", "scan", "draw", "vary", "inpaint", "upscale", "sheet"]


def test_each_tool_explains_itself_and_each_of_its_arguments(server: Server) -> None:
    tools = {tool.name: tool for tool in server.portal.call(server.client.list_tools).tools}
    assert list(tools) == NAMES
    for name, tool in tools.items():
        schema = tool.input_schema
        assert tool.description and schema["type"] == "object" and not schema["additionalProperties"]
        assert all(one["description"] and one["type"] for one in schema["properties"].values())
        assert tool.annotations.read_only_hint is (name in ("list_models", "scan"))
        assert name == "list_models" or schema["properties"]["dry_run"]["type"] == "boolean"
    assert tools["draw"].input_schema["required"] == ["model", "out"]
    assert tools["draw"].input_schema["properties"]["labels"]["items"] == {"type": "string"}
    assert str(MAX_SAMPLES) in tools["draw"].input_schema["properties"]["number"]["description"]
    assert str(MAX_EDIT_SAMPLES) in tools["vary"].input_schema["properties"]["number"]["description"]


def test_models_are_those_of_the_workspace_and_shipped_ones(server: Server) -> None:
    models = {model["name"]: model for model in server.answer("list_models")["models"]}
    assert set(models) == {"runs/tiny", "leaking", *shipped.list_names()}
    tiny = models["runs/tiny"]
    assert (tiny["width"], tiny["height"], tiny["mode"], tiny["task"]) == (16, 16, "RGBA", "draw")
    assert tiny["labels"] == ["bread", "health potion", "sword"] and "inpaint" in tiny["edits"]
    assert "leads out of the workspace" in models["leaking"]["error"]


def test_draw_writes_the_files_of_noisette_sample(server: Server, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"model": "runs/tiny", "out": "drawn/a", "number": 18, "seed": 7, "steps": 3}
    before = server.files()
    planned = server.answer("draw", dry_run=True, **arguments)
    assert server.files() == before and planned["dry_run"] and planned["seconds"] > 0
    assert planned["steps"] == 2 * 3 and planned["seeds"] == list(range(7, 25))  # two batches

    reports: list[tuple[float, float]] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        assert total is not None
        reports.append((done, total))

    result = server.call("draw", on_progress=on_progress, **arguments)
    assert not result.is_error and result.structured_content["files"] == planned["files"]
    assert reports[-1] == (6, 6) and [done for done, _ in reports] == sorted(done for done, _ in reports)
    done = commands.run(
        "sample", server.workspace / "runs/tiny", "--out", tmp_path / "b", "-n", 18, "--seed", 7, "--steps", 3
    )
    assert done.returncode == 0, done.stderr
    ours = {path.name: path.read_bytes() for path in (server.workspace / "drawn/a").iterdir()}
    assert ours == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} and len(ours) == 19
    sent = images(result)
    assert (
        sent
        == [ours["grid.png"], *(ours[Path(one["path"]).name] for one in result.structured_content["pictures"])][
            : len(sent)
        ]
    )
    assert len(sent) == 17  # the grid, and 16 of the pictures
    for dry_run in (False, True):
        assert "exists, and nothing is replaced" in server.error("draw", dry_run=dry_run, **arguments)


def test_longer_drawings_are_said_to_take_longer(server: Server, unchanged: object) -> None:
    seconds = [
        server.answer("draw", model="runs/tiny", out="x", number=64, steps=steps, dry_run=True)["seconds"]
        for steps in (4, 400)
    ]
    assert seconds[1] > 10 * seconds[0]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("vary", {"picture": "sprites/food/00.png", "strength": 0.6}, ["--strength", 0.6]),
        ("inpaint", {"picture": "sprites/food/00.png", "rounds": 2}, ["--rounds", 2]),
        ("upscale", {"picture": "small.png", "rounds": 2}, ["--rounds", 2]),
    ],
)
def test_edits_have_the_pixels_of_noisette_edit(
    server: Server, tmp_path: Path, tool: str, arguments: dict[str, Any], words: list[Any]
) -> None:
    arguments |= {"model": "runs/tiny", "out": f"edited/{tool}", "number": 2, "seed": 3, "steps": 3, "label": "sword"}
    before = server.files()
    planned = server.answer(tool, dry_run=True, **arguments)
    assert server.files() == before
    result = server.call(tool, **arguments)
    assert not result.is_error, result.content
    assert result.structured_content["files"] == planned["files"] and planned["seconds"] > 0
    assert [one["seed"] for one in result.structured_content["pictures"]] == [3, 4]
    command = ["edit", tool, server.workspace / "runs/tiny", server.workspace / arguments["picture"], *words]
    more = ["-n", 2, "--seed", 3, "--steps", 3, "--label", "sword", "--out", tmp_path]
    done = commands.run(*command, *more)
    assert done.returncode == 0, done.stderr
    ours, theirs = server.workspace / f"edited/{tool}", sorted(tmp_path.glob("*.png"))
    assert [path.name for path in theirs] == sorted(path.name for path in ours.iterdir())
    for path in theirs:
        assert (np.array(Image.open(path)) == np.array(Image.open(ours / path.name))).all()
    if tool == "vary":
        assert all(path.read_bytes() == (ours / path.name).read_bytes() for path in theirs)


def test_inpaint_draws_what_a_mask_marks(server: Server) -> None:
    marks = np.zeros((16, 16), np.uint8)
    marks[:, 8:] = 255
    Image.fromarray(marks).save(server.workspace / "mask.png")
    rows = ["0" * 8 + "1" * 8] * 16
    shared: dict[str, Any] = {"model": "runs/tiny", "picture": "sprites/tool/01.png", "number": 1, "steps": 2}
    by_picture = server.call("inpaint", out="filled/a", mask="mask.png", **shared)
    by_rows = server.call("inpaint", out="filled/b", mask_rows=rows, **shared)
    assert images(by_picture) == images(by_rows)
    (path,) = (server.workspace / "filled/a").glob("01-*.png")
    result, source = (np.array(Image.open(one)) for one in (path, server.workspace / "sprites/tool/01.png"))
    assert (result[:, :8] == source[:, :8]).all() and (result[:, 8:] != source[:, 8:]).any()
    assert "give one of them" in server.error("inpaint", out="filled/c", mask="mask.png", mask_rows=rows, **shared)
    for wrong in (rows[1:], ["01" * 16] * 8, ["2" * 16] * 16, []):  # the second has as many pixels
        assert "does not fit" in server.error("inpaint", out="filled/c", mask_rows=wrong, **shared)


def test_scan_and_its_dry_run_read_the_same_files(tmp_path: Path) -> None:
    """Aseprite files, animations and damaged files, none of which a sheet takes."""
    put(tmp_path / "sprites/a.aseprite", walk(frames=3)[0])
    put(tmp_path / "mixed/a.ase", walk(frames=2)[0])
    put(tmp_path / "mixed/bad.png", b"no picture")
    frames = [Image.new("L", (8, 8), i) for i in (50, 200)]
    frames[0].save(tmp_path / "mixed/film.gif", save_all=True, append_images=frames[1:])
    place = Place(tmp_path)
    for folder, usable, listed in (("sprites", 3, 3), ("mixed", 3, 4)):
        assert scan_folder(place, folder, Job()).facts["pictures"] == usable
        planned = plan_scan(place, folder).facts
        assert planned["pictures"] == listed and 0 < planned["seconds"] < 60


def test_a_sheet_stops_at_the_first_picture_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of other sizes than the first one are counted as they are read; the call can be cancelled meanwhile."""
    put(tmp_path / "set/0.png", noise(0, 2, 2))
    for i in range(1, 9):
        put(tmp_path / f"set/{i}.png", noise(i, 40, 40))
    monkeypatch.setattr(pictures, "MAX_SHEET_PIXELS", 4000)
    request = pictures.SheetRequest("set", "out", "css")
    with pytest.raises(InputError, match="have 4,804 pixels together, and at most 4,000"):  # of four, not of nine
        pictures.write_sheet(Place(tmp_path), request, Job())
    job = Job()
    job.cancelled.set()
    with pytest.raises(Cancelled):
        pictures.write_sheet(Place(tmp_path), request, job)
    assert not (tmp_path / "out").exists()


def test_scan_reports_a_folder(server: Server, unchanged: object) -> None:
    planned = server.answer("scan", folder="sprites", dry_run=True)
    assert planned["pictures"] == 30 and planned["files"] == [] and planned["seconds"] > 0
    found = server.answer("scan", folder="sprites")
    assert found["pictures"] == 30 and found["labels"] == {"food": 15, "tool": 15} and found["source"] == "sprites"
    assert found["sizes"] == {"16×16": 30}


def test_sheet_writes_the_files_of_noisette_sheet(server: Server, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"folder": "sprites", "out": "packed", "kind": "aseprite", "extrude": 1}
    before = server.files()
    planned = server.answer("sheet", dry_run=True, **arguments)
    assert server.files() == before and planned["files"] == ["packed/sheet.png", "packed/sheet.json"]
    result = server.call("sheet", **arguments)
    assert result.structured_content["files"] == planned["files"] and result.structured_content["pictures"] == 30
    done = commands.run("sheet", server.workspace / "sprites", "--out", tmp_path, "--to", "aseprite", "--extrude", 1)
    assert done.returncode == 0, done.stderr
    ours = {path.name: path.read_bytes() for path in (server.workspace / "packed").iterdir()}
    assert ours == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert images(result) == [ours["sheet.png"]]
    assert "give a folder outside of it" in server.error("sheet", **(arguments | {"out": "sprites/food"}))
