"""The metadata files of a folder or zip, and which pictures they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ..errors import InputError
from .dataset_json import DATASET_JSON, parse_dataset_json
from .entry import BadPicture, normalize_name
from .listing import FileListing, format_names, parent_prefix
from .metadata import METADATA_FILES, Metadata, MetadataRow, parse_metadata


@dataclass(frozen=True)
class Tables:
    """The rows of all metadata files, by the name of the file in the listing."""

    names: tuple[str, ...]  # of the metadata files
    rows: Mapping[str, MetadataRow]
    prefixes: Mapping[str, str]  # of each picture: the folder of its metadata file
    notes: tuple[str, ...] = ()


def read_tables(listing: FileListing) -> Tables | None:
    """The metadata of a listing; None if it has none.

    A metadata file at the top (or in the only folder at the top, as in many zips) lists all pictures. Without one,
    each in a subfolder lists those of its folder. Raises InputError if a file that is named does not exist, is outside
    of the folder, or is named twice.
    """
    found = _find_tables(listing)
    if not found:
        return None
    existing: dict[str, str] = {}
    for name in listing.files:
        existing.setdefault(normalize_name(name), name)
    rows: dict[str, MetadataRow] = {}
    prefixes: dict[str, str] = {}
    notes: list[str] = []
    for table in found:
        metadata = _parse_table(listing, table)
        notes += metadata.notes
        for name, row in _locate_rows(metadata, table, existing, listing.location).items():
            if name in rows:
                raise InputError(f"two metadata files of {listing.location} name {name}: keep one row per picture")
            rows[name], prefixes[name] = row, parent_prefix(table)
    if len(found) > 1:
        notes.insert(0, f"metadata files: {format_names(found)}")
    return Tables(tuple(found), rows, prefixes, tuple(notes))


def read_dataset_json(listing: FileListing, pictures: Sequence[str]) -> tuple[dict[str, MetadataRow], list[str]]:
    """The labels that a dataset.json of StyleGAN or EDM gives to pictures, and notes; empty without one."""
    names = [name for name in listing.files if PurePosixPath(name).name == DATASET_JSON]
    if not names:
        return {}, []
    table = min(names, key=lambda name: (name.count("/"), name))
    try:
        data = listing.files[table]()
    except (BadPicture, OSError) as error:
        raise InputError(f"{table} of {listing.location} cannot be read: it {error}") from error
    rows = parse_dataset_json(data, parent_prefix(table), listing.location)
    found = {name: rows[key] for name in pictures if (key := normalize_name(name)) in rows}
    if rows and not found:
        return {}, [f"labels of {table}, not used: no picture has a name that is in it, like {next(iter(rows))}"]
    return found, [f"labels from {DATASET_JSON}: {len(found)}"] if found else []


def _find_tables(listing: FileListing) -> list[str]:
    """The names of the metadata files: that at the top or, without one, those in subfolders."""
    folders: dict[str, list[str]] = {}
    for name in listing.files:
        if PurePosixPath(name).name in METADATA_FILES:
            folders.setdefault(parent_prefix(name), []).append(name)
    for tables in folders.values():
        if len(tables) > 1:
            names = sorted(tables, key=lambda name: METADATA_FILES.index(PurePosixPath(name).name))
            raise InputError(f"{listing.location} holds both {' and '.join(names)}: keep the one that is right")
    top_folders = {n.split("/")[0] for n in listing.files}
    for prefix in ("", f"{next(iter(top_folders))}/") if len(top_folders) == 1 else ("",):
        if prefix in folders:
            return folders[prefix]
    return sorted(table for tables in folders.values() for table in tables)


def _parse_table(listing: FileListing, table: str) -> Metadata:
    try:
        data = listing.files[table]()
    except (BadPicture, OSError) as error:
        raise InputError(f"{table} of {listing.location} cannot be read: it {error}") from error
    return parse_metadata(data, table, listing.location)


def _locate_rows(metadata: Metadata, table: str, existing: Mapping[str, str], location: str) -> dict[str, MetadataRow]:
    """The rows of a metadata file by the names of the files in the listing, which may be spelled in another form."""
    where, prefix = f"{table} of {location}", normalize_name(parent_prefix(table))
    missing = []
    rows = {}
    for row in metadata.rows:
        path = PurePosixPath(row.file)
        if path.is_absolute() or ".." in path.parts or ":" in row.file.split("/")[0]:
            raise InputError(f"{where} names {row.file}, which lies outside: name files inside the folder")
        name = existing.get(prefix + row.file)
        if name is None:
            missing.append(prefix + row.file)
        else:
            rows[name] = replace(row, file=name)
    if missing:
        raise InputError(
            f"{where} names {len(missing)} of {len(metadata.rows)} files that do not exist: "
            f"{format_names(missing)}; file_name is the path relative to the folder of {PurePosixPath(table).name}"
        )
    return rows
