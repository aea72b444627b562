"""Model folders and the checkpoints of a run, as safetensors and JSON, which cannot execute code.

A model folder has `config.json` (format, weights_sha256, and the config given by the caller) and `model.safetensors`.
A checkpoint is `RUN/checkpoints/NNNNNNNNN/`, numbered by the images seen, with one safetensors file per part ("model",
"ema", "optimizer") and `state.json` (format, images, meta; size and SHA-256 of each part). Both JSON files have a
checksum of their own, as all have (`io.json_files`).
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from ..errors import InputError
from .files import atomic_folder, file_sha256, format_size, read_bytes, remove_folder, remove_leftovers
from .json_files import json_bytes, json_sha256, read_json
from .json_types import parse_object
from .tensors import (
    check_tensors,
    current_names,
    load_optimizer_tensors,
    optimizer_tensors,
    prepare_tensors,
    tensors_from_bytes,
)

__all__ = [
    "FORMAT_VERSION",
    "Checkpoint",
    "check_size",
    "check_tensors",
    "find_latest",
    "list_checkpoints",
    "load_optimizer_tensors",
    "model_hash",
    "optimizer_tensors",
    "read",
    "read_model",
    "save",
    "save_model",
]  # fmt: skip

FORMAT_VERSION = 1  # of both; all earlier formats can be read

Describe = Callable[[dict[str, Any], Path], Mapping[str, Tensor]]
Migration = Callable[[dict[str, Any], dict[str, Tensor]], tuple[dict[str, Any], dict[str, Tensor]]]
MIGRATIONS: dict[int, Migration] = {}  # (config, tensors) of a model folder from format n to n + 1

HEADER_BYTES = 4096  # of a safetensors file, for each tensor, at most
SPACE_MARGIN = 65536  # bytes that a file system needs besides the content of the files
VERIFIED: set[tuple[Path, int]] = set()  # checkpoints written or fully checked by this process: folder, inode


# ── a model folder ────────────────────────────────────────────────────────────────────────────────────────────────


def save_model(folder: str | Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `config` and `tensors` as a model folder, atomically.

    A model in the folder is replaced, and other files in it are kept. `InputError` for a folder that has other files
    but no model, and for tensors that are not finite.
    """
    assert not {"format", "weights_sha256"} & config.keys(), "config must not contain the keys that save_model writes"
    folder = Path(folder)
    entries = list(folder.iterdir()) if folder.is_dir() else []
    others = [p for p in entries if p.name not in ("config.json", "model.safetensors")]
    if others and folder / "model.safetensors" not in entries:
        raise InputError(
            f"{folder} is not a model folder but has files, such as {others[0].name}: give a new folder for the model"
        )
    content, data = _model_content(config, tensors, str(folder))
    text = json_bytes(content, folder / "config.json")
    with atomic_folder(folder, required_bytes=len(data) + len(text) + SPACE_MARGIN, replace=True) as part:
        for other in others:
            shutil.copytree(other, part / other.name) if other.is_dir() else shutil.copyfile(other, part / other.name)
        (part / "model.safetensors").write_bytes(data)
        (part / "config.json").write_bytes(text)


def _model_content(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], target: str
) -> tuple[dict[str, Any], bytes]:
    """The contents of config.json and model.safetensors."""
    data = safetensors.torch.save(prepare_tensors(tensors, target))
    return {"format": FORMAT_VERSION, "weights_sha256": hashlib.sha256(data).hexdigest(), **config}, data


def content_hash(config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> str:
    """The `model_hash` of a folder of them. `InputError`, which names `source`, if a value is not finite."""
    return json_sha256(_model_content(config, tensors, source)[0])


def read_model(folder: str | Path, describe: Describe | None = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config of a model folder and its tensors, on the CPU; `InputError` if a file is missing or damaged.

    describe: called with the config and its path before the weights are read; returns tensors of the names and shapes
    that the network has, on the meta device, which those in the file must have, too.
    """
    folder = Path(folder)
    if not folder.exists():
        remove_leftovers(folder.parent, folder.name)  # restores the folder if a process died while replacing it
    before = _config_bytes(folder)
    try:
        return _read_model(folder, describe)
    except InputError:
        if _config_bytes(folder) == before:
            raise
    return _read_model(folder, describe)  # another process replaced it while we were reading


def read_model_config(folder: str | Path) -> dict[str, Any]:
    """The config of a model folder alone; the weights are not read. `InputError` if it is missing or damaged."""
    config = _read_config(Path(folder))
    return {key: value for key, value in config.items() if key not in ("format", "weights_sha256")}


def model_hash(folder: str | Path, ignored_entry: tuple[str, str] | None = None) -> str:
    """The identifier of a model: the SHA-256 of its config, which includes that of its weights; 64 hexadecimal digits.

    ignored_entry: (section, key) of the config that does not belong to the model's identity.
    """
    config = _read_config(Path(folder))
    if ignored_entry is not None and isinstance(part := config.get(ignored_entry[0]), dict):
        config[ignored_entry[0]] = {key: value for key, value in part.items() if key != ignored_entry[1]}
    return json_sha256(config)


def _config_bytes(folder: Path) -> bytes | None:
    path = folder / "config.json"
    return path.read_bytes() if path.is_file() else None


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a model folder: it has no config.json")
    config = read_json(path)
    _check_format(config, path)
    return config


def _read_model(folder: Path, describe: Describe | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    config, path = _read_config(folder), folder / "model.safetensors"
    version, digest = config.pop("format"), config.pop("weights_sha256", None)
    expected = None if describe is None else describe(config, folder / "config.json")
    if expected is not None:
        check_size(path, expected)
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} is damaged or does not belong to config.json (other SHA-256): copy the folder again")
    tensors = current_names(tensors_from_bytes(data, path))
    for old in range(version, FORMAT_VERSION):
        config, tensors = MIGRATIONS[old](config, tensors)
    if expected is not None:
        check_tensors(tensors, expected, path)
    return config, tensors


def check_size(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Raise `InputError` if a weights file has another size than the network needs: before either takes any memory."""
    needed = sum(t.numel() * t.element_size() for t in expected.values())
    size = path.stat().st_size if path.is_file() else needed
    if not needed // 4 <= size <= 2 * needed + HEADER_BYTES * (len(expected) + 1):  # of other float types, at most
        raise InputError(
            f"{path} has {format_size(size)}, and the network that config.json describes needs {format_size(needed)}: "
            "one of the two belongs to another model"
        )


class NewerFormatError(InputError):
    """The file was written by a newer version of Noisette."""


def _check_format(data: Any, path: Path) -> None:
    version = data.get("format") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise InputError(f"{path} was not made by Noisette: its format must be a positive integer, got {version!r}")
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} was made by a newer Noisette (format {version}, known here: {FORMAT_VERSION}): upgrade Noisette"
        )


# ── the checkpoints of a run ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint. skipped_reasons: messages about newer checkpoints that are damaged."""

    folder: Path
    images: int
    meta: dict[str, Any]
    parts: dict[str, tuple[int, str]]  # name → size in bytes, SHA-256
    pinned: bool
    skipped_reasons: tuple[str, ...] = ()

    def read_tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of a part, on the CPU; read and checked at each call. `InputError` if missing or damaged."""
        if part not in self.parts:
            raise InputError(f"{self.folder} has no part {part!r}: there are {', '.join(self.parts)}")
        path = self.folder / f"{part}.safetensors"
        data = read_bytes(path)
        if hashlib.sha256(data).hexdigest() != self.parts[part][1]:
            raise InputError(f"{path} is damaged: its SHA-256 is not the one written in state.json")
        return current_names(tensors_from_bytes(data, path))


@dataclass(frozen=True)
class _Part:
    """The entry of a part in state.json."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class _State:
    """The content of state.json, besides its checksum."""

    format: int
    images: int
    pinned: bool
    meta: Mapping[str, Any]
    parts: Mapping[str, _Part]


def save(
    run: str | Path,
    images: int,
    state: Mapping[str, Mapping[str, Tensor]],
    meta: Mapping[str, Any],
    keep_last: int = 2,
    pinned: bool = False,
) -> Path:
    """Write a checkpoint after `images` images; then remove the oldest, so that keep_last valid ones remain.

    state: the named tensors of each part; NaN and infinity raise `InputError`. meta: JSON values. A pinned checkpoint
    is never removed and not counted. On any error the earlier checkpoints are unchanged.
    """
    assert images >= 0 and keep_last >= 1 and state, (images, keep_last)
    assert all(part.isidentifier() for part in state), list(state)
    parent = Path(run) / "checkpoints"
    folder = parent / f"{images:09d}"
    prepared = {part: prepare_tensors(tensors, f"{folder}: {part}") for part, tensors in state.items()}
    required = sum(t.nbytes + 256 for tensors in prepared.values() for t in tensors.values()) + SPACE_MARGIN
    body = {"format": FORMAT_VERSION, "images": images, "pinned": pinned or _is_pinned(folder), "meta": dict(meta)}
    json_bytes(body, folder / "state.json")  # refuses what is not finite before anything is written
    remove_leftovers(parent)
    with ThreadPoolExecutor(2) as pool, atomic_folder(folder, required_bytes=required, replace=True) as fresh:
        parts = {}
        for part in list(prepared):
            data = safetensors.torch.save(prepared.pop(part))
            parts[part] = (len(data), pool.submit(hashlib.sha256, data))  # in parallel with the next part
            (fresh / f"{part}.safetensors").write_bytes(data)
        body["parts"] = {part: {"bytes": n, "sha256": later.result().hexdigest()} for part, (n, later) in parts.items()}
        (fresh / "state.json").write_bytes(json_bytes(body, folder))
    VERIFIED.add((folder, folder.stat().st_ino))
    _prune(Path(run), keep_last)
    return folder


def read(folder: str | Path) -> Checkpoint:
    """Open a checkpoint and check the SHA-256 of all its files; `InputError` if something is wrong."""
    folder = Path(folder)
    found = _read_state(folder)
    for part, (_, digest) in found.parts.items():
        if file_sha256(folder / f"{part}.safetensors") != digest:
            raise InputError(
                f"{folder / part}.safetensors is damaged: its SHA-256 is not the one written in state.json"
            )
    VERIFIED.add((folder, folder.stat().st_ino))
    return found


def find_latest(run: str | Path) -> Checkpoint | None:
    """The newest valid checkpoint; None if the run has no checkpoints, `InputError` if all of them are damaged."""
    folders, skipped = list_checkpoints(run), []
    for folder in reversed(folders):
        try:
            found = read(folder)
        except NewerFormatError:
            raise
        except (InputError, OSError) as error:
            skipped.append(f"{folder.name} was skipped: {error}")
        else:
            return replace(found, skipped_reasons=tuple(skipped))
    if skipped:
        raise InputError(
            f"none of the {len(skipped)} checkpoints in {Path(run) / 'checkpoints'} can be used: restore one from a "
            f"copy, or remove that folder to start again ({'; '.join(skipped)})"
        )
    return None


def list_checkpoints(run: str | Path) -> list[Path]:
    """The folders of a run's checkpoints, oldest first, valid or not."""
    parent = Path(run) / "checkpoints"
    found = [p for p in parent.iterdir() if p.name.isascii() and p.name.isdecimal()] if parent.is_dir() else []
    return sorted(found, key=lambda p: int(p.name))


def _read_state(folder: Path) -> Checkpoint:
    """Read state.json and check the sizes of the files."""
    path = folder / "state.json"
    body = read_json(path)
    _check_format(body, path)
    state = parse_object(_State, body, str(path))
    parts = {name: (part.bytes, part.sha256) for name, part in state.parts.items()}
    found = Checkpoint(folder, state.images, dict(state.meta), parts, state.pinned)
    if folder.name != f"{found.images:09d}" or not all(part.isidentifier() for part in parts):
        raise InputError(f"{path} belongs to another checkpoint (of {found.images} images)")
    for part, (size, _) in parts.items():
        file = folder / f"{part}.safetensors"
        if not file.is_file():
            raise InputError(f"{file} is missing")
        if (actual := file.stat().st_size) != size:
            raise InputError(f"{file} has {actual:,} bytes, not the {size:,} that were written")
    return found


def _is_pinned(folder: Path) -> bool:
    try:
        return bool(read_json(folder / "state.json")["pinned"])
    except (InputError, KeyError, TypeError):  # damaged, or no object
        return False


def _prune(run: Path, keep_last: int) -> None:
    """Remove the checkpoints that are older than the keep_last newest valid ones, except pinned ones."""
    valid = 0
    for folder in reversed(list_checkpoints(run)):
        if _is_pinned(folder):
            continue
        if valid == keep_last:
            remove_folder(folder)
        elif _is_valid(folder):
            valid += 1


def _is_valid(folder: Path) -> bool:
    try:
        return (folder, folder.stat().st_ino) in VERIFIED or read(folder) is not None
    except (InputError, OSError):
        return False
