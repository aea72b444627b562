"""JSON files: damage is noticed, an edit on purpose is possible, and types are checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
from PIL import Image, PngImagePlugin

from noisette.data.png import read_metadata
from noisette.edit.hspace import load_directions
from noisette.errors import InputError
from noisette.io.json_files import json_bytes, read_json, read_object, write_json
from noisette.io.json_types import get_field, parse_object


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path, value = tmp_path / "a.json", {"a": [1, 2.5, "é"], "b": {"c": None, "d": True}}
    write_json(path, value)
    good, same = path.read_bytes(), 0
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            found = read_json(path)
        except InputError as error:
            assert str(path) in str(error)
        else:  # white space, or the name of the checksum, which leaves an unknown key
            assert {k: v for k, v in found.items() if k in value} == value
            same += 1
    assert same < 8 * len(good) / 4


def test_the_layout_may_change_and_the_content_may_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": (1, 2)})
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_json(path) == {"a": [1, 2], "b": 1}
    path.write_text(json.dumps(content | {"b": 2}))
    with pytest.raises(InputError, match=r'edited.*remove its line "sha256"'):
        read_json(path)
    del content["sha256"]
    path.write_text(json.dumps(content | {"b": 2}))
    assert read_json(path)["b"] == 2


def test_files_of_other_projects_have_no_checksum() -> None:
    assert json.loads(json_bytes({"a": 1}, "x", checksum=False)) == {"a": 1}


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    with (tmp_path / "sparse.json").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "list.json").write_text("[]")
    for name, says in (
        ("loop.json", "too many levels of symbolic links"),
        ("zero.json", "it is not a regular file"),
        (".", "it is a folder"),
        ("sparse.json", "at most"),
        ("list.json", "should be a JSON object"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=says):
            read_object(tmp_path / name)


def test_metadata_that_nest_without_end_are_damaged(tmp_path: Path) -> None:
    """In a PNG and in directions, which hold JSON inside another format."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("noisette", "[" * 100_000)
    Image.new("L", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(InputError, match="damaged metadata"):
        read_metadata(tmp_path / "a.png")
    data = safetensors.torch.save({"0/times": torch.ones(1)}, {"noisette": "[" * 100_000})
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.safetensors has no directions"):
        load_directions(tmp_path / "a.safetensors", "0" * 64)


@dataclass(frozen=True)
class Inner:
    n: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    size: tuple[int, int]
    share: float
    inner: Inner
    values: Mapping[str, float | str]
    note: str | None = None


GOOD = {"kind": "a", "size": [1, 2], "share": 1, "inner": {"n": 3, "names": ["x"]}, "values": {"hue": 1, "form": "u"}}


def test_an_object_is_built() -> None:
    made = parse_object(Outer, GOOD, "FILE")
    assert made == Outer("a", (1, 2), 1.0, Inner(3, ("x",)), {"hue": 1.0, "form": "u"})
    assert isinstance(made.share, float) and isinstance(made.values["hue"], float)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "c"}, "FILE.kind is 'c': it should be 'a' or 'b'"),
        ({"size": [1, 2, 3]}, r"FILE.size is \[1, 2, 3\]: it should be 2 values, not 3"),
        ({"size": [1, True]}, r"FILE.size\[1\] is True: it should be int"),
        ({"share": 10**400}, "FILE.share is 10+…0+: it should be float"),
        ({"share": None}, "FILE.share is None: it should be float"),
        ({"inner": 3}, "FILE.inner is 3: it should be an object"),
        ({"inner": {"n": "3"}}, "FILE.inner.n is '3': it should be int"),
        ({"inner": {}}, "FILE.inner lacks the key 'n'"),
        ({"values": {"hue": [1]}}, r"FILE.values.hue is \[1\]: it should be float or str"),
        ({"note": 3}, "FILE.note is 3: it should be str"),
        ({"nota": 3}, "FILE has the key 'nota'.*did you mean 'note'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_object(Outer, GOOD | change, "FILE")


def test_an_entry_has_its_type() -> None:
    assert get_field({"a": 3}, "a", float, "FILE") == 3.0
    for value in (3, True, None, "x"):
        with pytest.raises(InputError, match=r"FILE is not what it should be: a .* should be a list"):
            get_field({"a": value}, "a", list, "FILE")
    with pytest.raises(InputError, match="should be a whole number"):
        get_field({"a": True}, "a", int, "FILE")
