"""dataset.json, in which the dataset_tool.py of StyleGAN and EDM writes the labels of a set that it packs.

Its pictures are in folders 00000, 00001, …, a thousand each, that mean nothing: labels are in the file.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ..errors import InputError
from .arrays import parse_labels
from .entry import DEFAULT_LIMITS, normalize_name
from .metadata import MetadataRow

DATASET_JSON = "dataset.json"
CHUNK_FOLDER, CHUNK_PICTURE = re.compile(r"\d{5}"), re.compile(r"img\d{8}")


def is_packed(pictures: Iterable[str]) -> bool:
    """Whether all pictures have names like 00000/img00000000.png."""
    paths = [PurePosixPath(name) for name in pictures]
    return all(
        len(p.parts) > 1 and CHUNK_FOLDER.fullmatch(p.parts[-2]) and CHUNK_PICTURE.fullmatch(p.stem) for p in paths
    )


def parse_dataset_json(data: bytes, prefix: str, location: str) -> dict[str, MetadataRow]:
    """The labels by file name; empty if the file is of another kind or holds none. prefix: its folder.

    Raises InputError for labels that cannot be read.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    pairs = value.get("labels") if isinstance(value, dict) else None
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list) or not pairs:
        return {}
    where = f"{DATASET_JSON} of {location}"
    if len(pairs) > DEFAULT_LIMITS.max_entries:
        raise InputError(f"{where} has {len(pairs):,} labels, the maximum is {DEFAULT_LIMITS.max_entries:,}: pack less")
    if not all(isinstance(p, list | tuple) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        raise InputError(f"the labels in {where} are not pairs of a file name and a label: pack the set again")
    names = [prefix + normalize_name(name).replace("\\", "/") for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(f"{where} names {twice} twice: keep one label per picture")
    labels, attributes = parse_labels(_to_array([label for _, label in pairs], where), len(pairs), where)
    return {n: MetadataRow(n, label, None, values) for n, label, values in zip(names, labels, attributes, strict=True)}


def _to_array(labels: list[Any], where: str) -> np.ndarray:
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise InputError(f"the labels in {where} have different lengths: pack the set again") from error
