"""Atlases and tile sets as sources: what this program writes, and what others do."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisette.data import open_source
from noisette.data.atlas import ATLAS_SUFFIXES
from noisette.errors import InputError
from noisette.interop.sheet_formats import write_sheet
from noisette.interop.sheet_layout import SheetPicture, pack_sheet

from .build import noise, put

SHEET = np.maximum(noise(3, 20, 24, 4), 1)


def pictures() -> list[SheetPicture]:
    return [
        SheetPicture(f"p{i}", torch.from_numpy(np.maximum(noise(i, 8, 6, 4), 1)).permute(2, 0, 1)[None], label, seed=i)
        for i, label in enumerate((None, "potion", "sword", "potion", "sword"))
    ]


@pytest.mark.parametrize("kind", ["aseprite", "phaser", "tiled"])
@pytest.mark.parametrize(("extrude", "power"), [(0, False), (2, True)])
def test_sheets_that_we_write_are_read(kind: str, extrude: int, power: bool, tmp_path: Path) -> None:
    """Pixels, names and labels, for every engine; the empty tiles of a larger sheet are left out."""
    sheet = pack_sheet(pictures(), 2, extrude, power)
    _, path, *_ = write_sheet(sheet, tmp_path, kind)
    source = open_source(path)
    assert [(e.name, e.label) for e in source.entries] == [(p.name, p.label) for p in sheet.pictures]
    assert all(not e.attributes for e in source.entries)
    for entry, picture in zip(source.entries, sheet.pictures, strict=True):
        assert np.array_equal(entry.read(), picture.pixels[0].permute(1, 2, 0).numpy())
    assert source.kind == "sheet" and source.notes[0] == f"pictures and labels as {path.name} says"


def frame(x: int, y: int, w: int, h: int, **more: Any) -> dict[str, Any]:
    return {"frame": {"x": x, "y": y, "w": w, "h": h}, "rotated": False, "trimmed": False} | more


def trimmed(side: int) -> dict[str, Any]:
    """A frame of one pixel, at (9, 9) of a picture of side × side."""
    return frame(0, 0, 1, 1, trimmed=True, spriteSourceSize={"x": 9, "y": 9, "w": 1, "h": 1},
                 sourceSize={"w": side, "h": side})  # fmt: skip


def write(folder: Path, value: object, name: str = "a.json") -> Path:
    put(folder / "sheet.png", SHEET)
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return folder / name


META = {"image": "C:\\art\\sheet.png", "size": {"w": 24, "h": 20}}


def test_frames_of_texture_packer(tmp_path: Path) -> None:
    """Hash and array; rotated and trimmed pictures are as they were; folders in the names are labels."""
    trimmed = frame(0, 0, 5, 4, trimmed=True, spriteSourceSize={"x": 1, "y": 2, "w": 5, "h": 4},
                    sourceSize={"w": 8, "h": 9})  # fmt: skip
    frames = {"potion/red.png": frame(2, 3, 6, 4), "turned": frame(10, 1, 7, 3, rotated=True), "cut": trimmed}
    array = [{"filename": name} | value for name, value in frames.items()]
    parts = {"textures": [{"image": "sheet.png", "frames": array[:1]}, {"image": "sheet.png", "frames": array[1:]}]}
    for value in ({"frames": frames, "meta": META}, {"frames": array, "meta": META}, parts):
        entries = open_source(write(tmp_path, value)).entries
        assert [(e.name, e.label) for e in entries] == [("potion/red.png", "potion"), ("turned", None), ("cut", None)]
        assert np.array_equal(entries[0].read(), SHEET[3:7, 2:8])
        turned = entries[1].read()
        assert turned.shape == (3, 7, 4)
        assert np.array_equal(np.rot90(turned, -1), SHEET[1:8, 10:13])  # clockwise, as it was packed
        whole = entries[2].read()
        assert whole.shape == (9, 8, 4) and np.array_equal(whole[2:6, 1:6], SHEET[:4, :5])
        assert whole[:2].max() == whole[6:].max() == whole[:, 0].max() == 0


def test_tags_of_aseprite(tmp_path: Path) -> None:
    frames = [{"filename": f"walk {i}.aseprite"} | frame(4 * i, 0, 4, 4) for i in range(4)]
    tags = [{"name": "walk", "from": 0, "to": 1}, {"name": "run", "from": 1, "to": 2}]
    value = {"frames": frames, "meta": META | {"frameTags": tags, "app": "https://www.aseprite.org/"}}
    assert [e.label for e in open_source(write(tmp_path, value)).entries] == ["walk", "walk", "run", None]


def test_tiles_with_properties(tmp_path: Path) -> None:
    """In XML and in JSON: types are labels, other properties attributes, as numbers or words."""
    tiles = [
        {"id": 1, "type": "wall", "properties": [{"name": "height", "type": "int", "value": 3},
                                                 {"name": "solid", "type": "bool", "value": True}]},
        {"id": 2, "class": "floor", "properties": [{"name": "kind", "type": "string", "value": "stone"},
                                                   {"name": "weight", "type": "float", "value": 0.5}]},
    ]  # fmt: skip
    value = {"tilewidth": 8, "tileheight": 8, "columns": 2, "tilecount": 4, "margin": 1, "spacing": 2,
             "image": "sheet.png", "tiles": tiles}  # fmt: skip
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><!-- mine --><tileset tilewidth="8" tileheight="8" columns="2" '
        'tilecount="4" margin="1" spacing="2"><image source="art/sheet.png"/><tile id="1" type="wall"><properties>'
        '<property name="height" type="int" value="3"/><property name="solid" type="bool" value="true"/></properties>'
        '</tile><tile id="2" class="floor"><properties><property name="kind" value="stone"/><property name="weight" '
        'type="float" value="0.5"/></properties></tile></tileset>'
    )
    for path in (write(tmp_path, value, "a.tsj"), write(tmp_path, value), write(tmp_path, xml, "a.tsx")):
        entries = open_source(path).entries
        assert [(e.label, dict(e.attributes)) for e in entries] == [
            (None, {}), ("wall", {"height": 3.0, "solid": "true"}), ("floor", {"kind": "stone", "weight": 0.5}),
            (None, {}),
        ]  # fmt: skip
        assert np.array_equal(entries[3].read(), SHEET[11:19, 11:19])


def test_tags_animations_and_trimmed_pictures_take_time_in_proportion_to_the_file(tmp_path: Path) -> None:
    """6,000 tags over 6,000 frames; as many animations; large trimmed pictures, which are made as they are read."""
    count = 6000
    frames = [{"filename": str(i)} | frame(i % 24, 0, 1, 1) for i in range(count)]
    frames[-9:] = [{"filename": f"large {i}"} | trimmed(2000) for i in range(9)]
    tags = [{"name": str(i), "from": 0 if i else 5, "to": count} for i in range(count)]
    value: dict[str, Any] = {"frames": frames, "animations": {str(i): [str(i)] for i in range(count)}}
    start, found = time.process_time(), []
    for meta in (META | {"frameTags": tags}, META):
        found.append(open_source(write(tmp_path, value | {"meta": meta})).entries)
    assert time.process_time() - start < 3  # ten times as long, where each tag looks at each frame
    assert [e.label for e in found[0]] == ["1"] * 5 + ["0"] * (count - 5)
    assert [e.label for e in found[1]] == [str(i) for i in range(count - 9)] + [None] * 9
    whole = found[1][-1].read()
    assert whole.shape == (2000, 2000, 4) and np.array_equal(whole[9, 9], SHEET[0, 0]) and not whole[:9].any()


OK = {"frames": {"a": frame(0, 0, 4, 4)}, "meta": META}
TILES = {"tilewidth": 8, "tileheight": 8, "columns": 2, "tilecount": 2, "image": "sheet.png"}


def tile(kind: str, value: str) -> dict[str, Any]:
    """A tile set with one property of a tile."""
    return TILES | {"tiles": [{"id": 0, "properties": [{"name": "x", "type": kind, "value": value}]}]}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("a.json", {"pictures": 3}, "it has no frames"),
        ("a.json", "{", "is not JSON"),
        ("a.json", {"frames": {}, "meta": META}, "has no pictures"),
        ("a.json", {"frames": {"a": frame(0, 0, 4, 4)}}, "image"),
        ("a.json", OK | {"meta": {"image": "../../etc/other.png"}}, "the sheet other.png, which is not in its folder"),
        ("a.json", OK | {"meta": {"image": ""}}, "not in its folder"),
        ("a.json", OK | {"frames": {"a": frame(22, 0, 4, 4)}}, "outside of its sheet of 24×20"),
        ("a.json", OK | {"frames": {"a": frame(-1, 0, 4, 4)}}, "x must be 0 to"),
        ("a.json", OK | {"frames": {"a": frame(0, 0, 0, 4)}}, "w must be 1 to"),
        ("a.json", OK | {"frames": {"a": frame(0, 0, 10**12, 4)}}, "w must be 1 to"),
        ("a.json", OK | {"frames": {"a": frame(0, 0, "4", 4)}}, "whole number"),
        ("a.json", OK | {"frames": 3}, "a list or an object"),
        ("a.json", OK | {"frames": {str(i): trimmed(16384) for i in range(5)}}, "pixels together, the maximum is"),
        ("a.json", OK | {"frames": [{"filename": "a"} | frame(0, 0, 4, 4)] * 2}, "names a twice"),
        ("a.json", OK | {"frames": {"a": frame(0, 0, 4, 4, trimmed=True)}}, "spriteSourceSize"),
        ("a.json", OK | {"meta": META | {"frameTags": [3]}}, "tag 0 is no object"),
        ("a.tsj", TILES | {"image": 3}, "no tile set with one picture"),
        ("a.tsj", TILES | {"columns": 0}, "columns must be a whole number of at least 1"),
        ("a.tsj", TILES | {"tilecount": 10**9}, "tilecount must be"),
        ("a.tsj", TILES | {"tilecount": 8}, "outside of its sheet"),
        ("a.tsj", TILES | {"tiles": [{"id": True}]}, "id must be"),
        ("a.tsj", tile("int", "q"), "no number"),
        ("a.tsj", tile("float", "nan"), "finite"),
        ("a.tsx", "<tileset><tile id='0'><image source='a.png'/></tile></tileset>", "collections of pictures"),
        ("a.tsx", "<tileset", "no tile set of Tiled"),
        ("a.tsx", "<!DOCTYPE a [<!ENTITY b 'c'>]><tileset/>", "declarations"),
        ("a.tsx", "<map><image source='sheet.png'/></map>", "no tile set"),
    ],
)  # fmt: skip
def test_what_is_no_atlas_is_refused(name: str, value: object, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        open_source(write(tmp_path, value, name))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_entities_in_other_encodings_are_refused(tmp_path: Path) -> None:
    text = "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE a [<!ENTITY b 'c'>]><tileset>&b;</tileset>"
    (tmp_path / "a.tsx").write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        open_source(tmp_path / "a.tsx")


def test_options_of_sheets_do_not_apply(tmp_path: Path) -> None:
    assert set(ATLAS_SUFFIXES) == {".json", ".tsj", ".tsx"}
    with pytest.raises(InputError, match="a cell size can only be given for a sprite sheet"):
        open_source(write(tmp_path, OK), cell=4)
