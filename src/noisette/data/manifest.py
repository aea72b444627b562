"""data.json: the description of a data set.

It holds the options, the statistics, and for each file its hash, label, attributes, text and side of the split. The
field names of the dataclasses here are its keys.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from ..errors import InputError, shorten
from ..io.files import atomic_write
from ..io.json_files import CHECKSUM_KEY, read_json
from ..io.json_types import parse_object
from .attributes import AttributeColumn, with_attributes
from .entry import AttributeValue
from .file_hashes import SourceHashes, compute_fingerprint
from .mask_values import MaskValue
from .pictures import Mode, Pictures
from .scan_result import QuarantinedPicture

SCHEMA_VERSION = 1
MAX_BYTES = 2**30  # of a data.json: some millions of files
SplitName = Literal["train", "held_out"]


@dataclass(frozen=True)
class PrepareOptions:
    """The options of `prepare`. None: chosen from the pictures."""

    size: tuple[int, int] | None = None  # height, width
    mode: Mode | None = None
    pixel_art: bool = False
    held_out: float = 0.1  # share of the pictures that is held out
    seed: int = 0  # of the split
    masks: bool = False  # each picture has a segmentation mask
    mask_value: MaskValue | None = None  # of the pixels that are inside, where masks are not black and white
    near_duplicates: float | None = None  # distance below which pictures are near duplicates; see `scan`
    percentiles: tuple[float, float] | None = None  # of the samples that become black and white; see `levels`


@dataclass(frozen=True)
class FileRecord:
    """One file of a data set. Fields without a value are left out of data.json."""

    name: str
    sha256: str
    group: int  # number of its group of near duplicates
    split: SplitName
    row: int  # in pixels.npy and masks.npy
    label: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    text: str | None = None
    mask: str | None = None  # the name of its mask file
    mask_sha256: str | None = None
    copy_of: str | None = None  # the file of which this is an exact copy; both have the same row
    credits: Mapping[str, str] = field(default_factory=dict)  # license, author, source, as far as they are known


@dataclass(frozen=True)
class Manifest:
    """The contents of data.json."""

    source: str  # as the user wrote it
    kind: str  # of source: "folder", "zip", "stack", "sprite", "array", "sheet" or "built-in"
    fingerprint: str  # of the source, see `compute_fingerprint`
    options: PrepareOptions
    pictures: Pictures
    sigma_data: float  # standard deviation of the training pictures in model space
    rows: int  # distinct pictures: the length of pixels.npy
    pixels_sha256: str
    columns: tuple[AttributeColumn, ...]
    quarantined: tuple[QuarantinedPicture, ...]
    notes: tuple[str, ...]  # for the user: how the source was read, what was chosen and left out
    files: tuple[FileRecord, ...]
    masks_sha256: str | None = None
    mask_deviation: float | None = None  # standard deviation of the training masks in model space

    def write(self, path: Path, files: Collection[FileRecord] | None = None) -> None:
        """Write data.json atomically, one line per file, so that text tools can compare two data sets.

        files: instead of `self.files`, records that are made when they are written.
        """
        records = self.files if files is None else files
        head = {"schema": SCHEMA_VERSION} | {f.name: getattr(self, f.name) for f in fields(self) if f.name != "files"}
        head |= {k: asdict(getattr(self, k)) for k in ("options", "pictures")}
        head |= {k: [asdict(v) for v in getattr(self, k)] for k in ("columns", "quarantined")}
        head = {CHECKSUM_KEY: _checksum(head, records)} | head
        text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)

        def write(file: BinaryIO) -> None:
            file.write(f'{text[:-2]},\n  "files": [\n    '.encode())
            for number, record in enumerate(records):
                line = json.dumps(_omit_defaults(record), ensure_ascii=False, allow_nan=False)
                file.write(f"{f',{chr(10)}    ' if number else ''}{line}".encode())
            file.write(b"\n  ]\n}\n")

        atomic_write(path, write)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a data.json. Raises InputError if it is missing, damaged, or of a newer version."""
        value = read_json(path, MAX_BYTES)
        schema = value.pop("schema", None) if isinstance(value, dict) else None
        if type(schema) is int and schema > SCHEMA_VERSION:
            raise InputError(
                f"{path} was written by a newer version (schema {schema}, not {SCHEMA_VERSION}): update noisette"
            )
        try:
            if schema != SCHEMA_VERSION:
                raise InputError(f"its schema is {shorten(repr(schema))}, not {SCHEMA_VERSION}")
            found = parse_object(cls, value, "it", _current_fields)
            _check_files(found)
        except InputError as error:
            raise InputError(
                f"{path} is damaged or does not describe a data set: remove it and prepare the data set again ({error})"
            ) from error
        # early versions store means and scales only in the columns
        return replace(found, pictures=with_attributes(found.pictures, found.columns))

    def describe_differences(self, hashes: SourceHashes, options: PrepareOptions) -> list[str]:
        """How a source and options differ from those of this data set, for a message; [] if they do not.

        `hashes` are the current ones of the source's files.
        """
        differences = []
        chosen = PrepareOptions((self.pictures.height, self.pictures.width), self.pictures.mode)
        for f in fields(PrepareOptions):
            old, new = getattr(self.options, f.name), getattr(options, f.name)
            if new != old and not (f.name in ("size", "mode") and new == getattr(chosen, f.name)):
                name = f.name.replace("_", " ")
                differences.append(f"{name} was {_format_value(old)} and is now {_format_value(new)}")
        if compute_fingerprint(hashes) == self.fingerprint:
            return differences
        now = hashes.by_name
        before = {f.name: f.sha256 for f in self.files} | {q.name: q.sha256 for q in self.quarantined}
        before |= {f.mask: f.mask_sha256 for f in self.files if f.mask is not None}
        changed = [n for n in now if n in before and now[n] != before[n]]
        for change, names in (
            ("new", [n for n in now if n not in before]),
            ("removed", [n for n in before if n not in now]),
            ("changed", changed),
        ):
            if names:
                differences.append(f"{len(names)} {change} ({names[0]}{', …' if len(names) > 1 else ''})")
        return differences or ["labels, attributes or texts have changed"]


def _current_fields(cls: type, data: dict[str, Any], path: str) -> tuple[type, dict[str, Any]]:
    """Fields under today's names: early versions kept "wording" in the pictures; captions have their own index file."""
    return cls, {k: v for k, v in data.items() if not (cls is Pictures and k == "wording")}


def _check_files(manifest: Manifest) -> None:
    """Raise InputError for a file that does not fit the rest (its label, row, attributes), and for a missing split."""
    labels, kinds = set(manifest.pictures.labels), {c.attribute: c.word is None for c in manifest.columns}
    for number, file in enumerate(manifest.files):
        if file.label is not None and file.label not in labels:
            raise InputError(f"files[{number}] has the label {shorten(file.label)!r}, which is none of the pictures'")
        if not 0 <= file.row < manifest.rows:
            raise InputError(f"files[{number}] has the row {file.row}, and there are {manifest.rows}")
        if wrong := next((a for a, v in file.attributes.items() if kinds.get(a) is isinstance(v, str)), None):
            raise InputError(f"files[{number}] has a value of another kind as its attribute {shorten(wrong)!r}")
    for split in get_args(SplitName):
        if not any(file.split == split and file.copy_of is None for file in manifest.files):
            raise InputError(f"no file is in the split {split!r}")


def _checksum(head: Mapping[str, object], records: Iterable[FileRecord]) -> str:
    """`json_sha256` of the head with the records as "files", which are never in memory together."""
    before, files, after = json.dumps({**head, "files": []}, sort_keys=True).partition('"files": []')
    digest = hashlib.sha256(f"{before}{files[:-1]}".encode())
    for number, record in enumerate(records):
        line = json.dumps(_omit_defaults(record), sort_keys=True)
        digest.update(f"{', ' if number else ''}{line}".encode())
    digest.update(f"]{after}".encode())
    return digest.hexdigest()


RECORD_FIELDS = tuple(f.name for f in fields(FileRecord))
REQUIRED_FIELDS = frozenset(f.name for f in fields(FileRecord) if f.default is MISSING and f.default_factory is MISSING)


def _omit_defaults(file: FileRecord) -> dict[str, object]:
    """A record as JSON types, without empty fields."""
    values = ((name, getattr(file, name)) for name in RECORD_FIELDS)
    return {name: value for name, value in values if value or name in REQUIRED_FIELDS}


def _format_value(value: object) -> str:
    if value is None:
        return "not given"
    if isinstance(value, tuple):
        return f"{value[1]}×{value[0]}" if isinstance(value[0], int) else ",".join(f"{v:g}" for v in value)
    return str(value)
