"""A model folder, and the checkpoints of a run: safetensors and JSON, nothing that can execute.

A model folder is `config.json` (format, weights_sha256, and what the caller gives) + `model.safetensors`.
A checkpoint is `RUN/checkpoints/NNNNNNNNN/`, numbered by images seen: a safetensors file a part ("model", "ema",
"optimizer") + `state.json` (format, images, meta; size and SHA-256 of each part, and of itself).
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from .errors import InputError
from .files import atomic_folder, discard, json_bytes, read_bytes, read_json, sha256_of, sweep
from .tensors import check_tensors, from_bytes, load_optimizer_tensors, optimizer_tensors, packable

__all__ = [
    "FORMAT", "Checkpoint", "check_tensors", "checkpoints", "latest", "load_optimizer_tensors", "model_hash",
    "optimizer_tensors", "read", "read_model", "save", "save_model",
]  # fmt: skip

FORMAT = 1  # of both; a reader knows this one and all before it

Migration = Callable[[dict[str, Any], dict[str, Tensor]], tuple[dict[str, Any], dict[str, Tensor]]]
MIGRATIONS: dict[int, Migration] = {}  # a model folder's (config, tensors) of format n to those of n + 1

SLACK = 65536  # bytes: what a file system needs beside the bytes of the files
PROVEN: set[tuple[Path, int]] = set()  # checkpoints that this process wrote or read through: folder and its inode


# ── a model folder ────────────────────────────────────────────────────────────────────────────────────────────────


def save_model(folder: str | Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `config` and `tensors` as a model folder, wholly or not at all.

    A model that was there is replaced, and other files beside it are kept; a folder that holds other things and no
    model is refused.
    """
    assert not {"format", "weights_sha256"} & config.keys(), "these two are written here"
    folder = Path(folder)
    entries = list(folder.iterdir()) if folder.is_dir() else []
    others = [p for p in entries if p.name not in ("config.json", "model.safetensors")]
    if others and folder / "model.safetensors" not in entries:
        raise InputError(f"{folder} holds other things, such as {others[0].name}: give a new folder for the model")
    data = safetensors.torch.save(packable(tensors, str(folder)))
    told = {"format": FORMAT, "weights_sha256": hashlib.sha256(data).hexdigest(), **config}
    text = json_bytes(told, folder / "config.json")
    with atomic_folder(folder, need=len(data) + len(text) + SLACK, replace=True) as part:
        for other in others:
            shutil.copytree(other, part / other.name) if other.is_dir() else shutil.copyfile(other, part / other.name)
        (part / "model.safetensors").write_bytes(data)
        (part / "config.json").write_bytes(text)


def read_model(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the tensors that were saved, on the CPU, checked against each other."""
    folder = Path(folder)
    if not folder.exists():
        sweep(folder.parent, folder.name)  # a process may have died while it replaced the folder
    before = _manifest(folder)
    try:
        return _read_model(folder)
    except InputError:
        if _manifest(folder) == before:
            raise
    return _read_model(folder)  # it was replaced while we read


def model_hash(folder: str | Path, apart: tuple[str, str] | None = None) -> str:
    """What identifies a model: the SHA-256 of its config, which holds that of its weights. 64 hexadecimal digits.

    `apart` is a part and an entry of it that may change while the model stays what it is.
    """
    config = _config(Path(folder))
    if apart is not None and isinstance(part := config.get(apart[0]), dict):
        config[apart[0]] = {key: value for key, value in part.items() if key != apart[1]}
    return _digest(config)


def _manifest(folder: Path) -> bytes | None:
    path = folder / "config.json"
    return path.read_bytes() if path.is_file() else None


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a model folder: it holds no config.json")
    config = read_json(path)
    _format(config, path)
    return config


def _read_model(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    config, path = _config(folder), folder / "model.safetensors"
    version, digest = config.pop("format"), config.pop("weights_sha256", None)
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(
            f"{path} is damaged, or is not the file that config.json was written for: copy the folder again"
        )
    tensors = from_bytes(data, path)
    for old in range(version, FORMAT):
        config, tensors = MIGRATIONS[old](config, tensors)
    return config, tensors


class Newer(InputError):
    """Made by a newer version of this program."""


def _format(data: Any, path: Path) -> None:
    version = data.get("format") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise InputError(f"{path} does not say which format it is of (found {version!r}): it was not made by Noisette")
    if version > FORMAT:
        raise Newer(f"{path} was made by a newer Noisette (format {version}, known here: {FORMAT}): upgrade Noisette")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


# ── the checkpoints of a run ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Checkpoint:
    """One that was found good. `skipped` says which newer ones were not, and why, for people to read."""

    folder: Path
    images: int
    meta: dict[str, Any]
    parts: dict[str, tuple[int, str]]  # name → size in bytes, SHA-256
    pinned: bool
    skipped: tuple[str, ...] = ()

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of a part, on the CPU; read, and checked, at each call."""
        if part not in self.parts:
            raise InputError(f"{self.folder} has no part {part!r}: there are {', '.join(self.parts)}")
        path = self.folder / f"{part}.safetensors"
        data = read_bytes(path)
        if hashlib.sha256(data).hexdigest() != self.parts[part][1]:
            raise InputError(f"{path} is damaged: its SHA-256 is not the one written in state.json")
        return from_bytes(data, path)


def save(
    run: str | Path,
    images: int,
    state: Mapping[str, Mapping[str, Tensor]],
    meta: Mapping[str, Any],
    keep: int = 2,
    pin: bool = False,
) -> Path:
    """Write a checkpoint after `images` images, and only then remove the oldest, down to `keep` that are good.

    `state` maps a part to its named tensors; none may hold NaN or infinity. `meta` is JSON. A pinned one is never
    removed, and not counted. On any error the checkpoints before are as they were.
    """
    assert images >= 0 and keep >= 1 and state, (images, keep)
    assert all(part.isidentifier() for part in state), list(state)
    home = Path(run) / "checkpoints"
    folder = home / f"{images:09d}"
    ready = {part: packable(tensors, f"{folder}: {part}") for part, tensors in state.items()}
    need = sum(t.nbytes + 256 for tensors in ready.values() for t in tensors.values()) + SLACK
    body = {"format": FORMAT, "images": images, "pinned": pin or _pinned(folder), "meta": dict(meta)}
    body = json.loads(json_bytes(body, folder / "state.json"))  # as it will be read: tuples are lists, keys are words
    sweep(home)
    with ThreadPoolExecutor(2) as pool, atomic_folder(folder, need=need, replace=True) as fresh:
        parts = {}
        for part in list(ready):
            data = safetensors.torch.save(ready.pop(part))
            parts[part] = (len(data), pool.submit(hashlib.sha256, data))  # while the next one is packed and written
            (fresh / f"{part}.safetensors").write_bytes(data)
        body["parts"] = {part: {"bytes": n, "sha256": later.result().hexdigest()} for part, (n, later) in parts.items()}
        (fresh / "state.json").write_bytes(json_bytes({"sha256": _digest(body), **body}, folder))
    PROVEN.add((folder, folder.stat().st_ino))
    _prune(Path(run), keep)
    return folder


def read(folder: str | Path) -> Checkpoint:
    """Open a checkpoint and check every byte of it; `InputError` says what is wrong with it."""
    folder = Path(folder)
    found = _open(folder)
    for part, (_, digest) in found.parts.items():
        if sha256_of(folder / f"{part}.safetensors") != digest:
            raise InputError(
                f"{folder / part}.safetensors is damaged: its SHA-256 is not the one written in state.json"
            )
    PROVEN.add((folder, folder.stat().st_ino))
    return found


def latest(run: str | Path) -> Checkpoint | None:
    """The newest checkpoint that is good; None if the run has none at all, an `InputError` if none of them is good."""
    folders, skipped = checkpoints(run), []
    for folder in reversed(folders):
        try:
            found = read(folder)
        except Newer:
            raise
        except (InputError, OSError) as error:
            skipped.append(f"{folder.name} was skipped: {error}")
        else:
            return replace(found, skipped=tuple(skipped))
    if skipped:
        raise InputError(
            f"none of the {len(skipped)} checkpoints in {Path(run) / 'checkpoints'} can be used: put one back from a "
            f"copy, or remove that folder to begin again from nothing ({'; '.join(skipped)})"
        )
    return None


def checkpoints(run: str | Path) -> list[Path]:
    """The folders of a run's checkpoints, oldest first, good or not."""
    home = Path(run) / "checkpoints"
    found = [p for p in home.iterdir() if p.name.isascii() and p.name.isdecimal()] if home.is_dir() else []
    return sorted(found, key=lambda p: int(p.name))


def _open(folder: Path) -> Checkpoint:
    """Read state.json, and see that the files are of the sizes it tells."""
    path = folder / "state.json"
    body = read_json(path)
    if not isinstance(body, dict) or body.pop("sha256", None) != _digest(body):  # first: a flipped format is no format
        raise InputError(f"{path} is damaged: its SHA-256 is not the one it holds")
    _format(body, path)
    try:
        parts = {str(k): (int(v["bytes"]), str(v["sha256"])) for k, v in body["parts"].items()}
        found = Checkpoint(folder, int(body["images"]), dict(body["meta"]), parts, bool(body["pinned"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} does not tell what a checkpoint holds ({error})") from error
    if folder.name != f"{found.images:09d}" or not all(part.isidentifier() for part in parts):
        raise InputError(f"{path} is of another checkpoint (of {found.images} images)")
    for part, (size, _) in parts.items():
        file = folder / f"{part}.safetensors"
        if not file.is_file():
            raise InputError(f"{file} is missing")
        if (there := file.stat().st_size) != size:
            raise InputError(f"{file} holds {there:,} bytes, not the {size:,} that were written")
    return found


def _pinned(folder: Path) -> bool:
    try:
        return bool(read_json(folder / "state.json")["pinned"])
    except (InputError, KeyError, TypeError):
        return False


def _prune(run: Path, keep: int) -> None:
    """Remove the oldest, once `keep` newer ones are known to be good."""
    good = 0
    for folder in reversed(checkpoints(run)):
        if _pinned(folder):
            continue
        if good == keep:
            discard(folder)
        elif _is_good(folder):
            good += 1


def _is_good(folder: Path) -> bool:
    try:
        return (folder, folder.stat().st_ino) in PROVEN or read(folder) is not None
    except (InputError, OSError):
        return False
