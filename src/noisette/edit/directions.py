"""Directions on a disk: one safetensors file, whose header says of which model they are, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch

from ..errors import InputError, nearest
from ..files import atomic_write, read_bytes
from ..tensors import from_bytes, packable
from .hspace import PLACES, Direction

HEADER, FORMAT = "noisette", 2  # format 1 knew the bottleneck alone


def save(path: str | Path, directions: Sequence[Direction], model: str, about: str = "") -> None:
    """Write directions of one place in the model with this hash, wholly or not at all; `about` says how they were
    found."""
    (place,) = {d.place for d in directions}
    tensors = {f"{i}/{part}": getattr(d, part) for i, d in enumerate(directions) for part in ("times", "values")}
    told = {"format": FORMAT, "model": model, "place": place, "names": [d.name for d in directions], "about": about}
    header = {HEADER: json.dumps(told, ensure_ascii=False)}
    atomic_write(path, safetensors.torch.save(packable(tensors, str(path)), header))


def load(path: str | Path, model: str) -> list[Direction]:
    """Read them. Refuses a file that is damaged, and directions of another model: they would mean nothing here."""
    path = Path(path)
    data = read_bytes(path)
    tensors = from_bytes(data, path)
    try:
        size = int.from_bytes(data[:8], "little")
        told = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][HEADER])
        version, of, names = int(told["format"]), str(told["model"]), [str(name) for name in told["names"]]
        place = PLACES[told.get("place", "mid")]
        found = [Direction(n, tensors[f"{i}/times"], tensors[f"{i}/values"], place) for i, n in enumerate(names)]
        good = all(len(d.times) == len(d.values) and d.values.ndim == 4 and bool((d.times > 0).all()) for d in found)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no directions: it is not from noisette edit hspace") from error
    if version > FORMAT:
        raise InputError(f"{path} was written by a newer version (format {version}): update noisette")
    if of != model:
        raise InputError(
            f"{path} holds directions of another model, {of[:12]}…, and this one is {model[:12]}…: find them anew"
        )
    if not good or not found:
        raise InputError(f"{path} holds no directions: it is damaged")
    return found


def chosen(directions: Sequence[Direction], name: str) -> Direction:
    """By number, from 1, or by name, or by how its name begins."""
    names = [d.name for d in directions]
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return directions[int(name) - 1]
    matching = [d for d in directions if d.name == name] or [d for d in directions if d.name.startswith(name)]
    if len(matching) != 1:
        raise InputError(f"no direction is called {name!r}{nearest(name, names)}")
    return matching[0]
