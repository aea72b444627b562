"""Uploaded files for training: checked, and stored in folders with generated names."""

import hashlib
import os
import re
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import InputError
from ..io.files import atomic_folder, file_sha256, format_size
from .workspace import Workspace

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tiff", ".tif")
MAX_UPLOAD_BYTES = 2**28  # of all files of one upload together
MAX_STORED_BYTES = 2**31  # of all uploads that wait for training
MAX_FILES = 20_000
MIN_AGE = 3600.0  # seconds that an upload without a run is kept
MAX_NAME, MAX_SUFFIX = 100, 10  # bytes
NAME_CHARACTERS = re.compile(r"[^\w .()+,;@-]+")


def remove_unused(workspace: Workspace, used: Collection[str], min_age: float = MIN_AGE) -> None:
    """Remove uploads that no source in `used` is, or lies in, and that are older than `min_age` seconds.

    Younger ones are kept, since a user may be about to train on them.
    """
    folder = workspace.studio_folder / "uploads"
    needed = {path for source in used for path in (Path(source), Path(source).parent)}
    for path in folder.iterdir() if folder.is_dir() else []:
        if path in needed or time.time() - path.stat().st_mtime < min_age:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def store_upload(workspace: Workspace, files: Sequence[Path]) -> Path:
    """Store one zip, or pictures, in a folder of WORKSPACE/.studio/uploads that is named by their hash.

    Files keep their names, cleaned, so that messages can say which one they mean. Returns the zip, or the folder of
    pictures. InputError for no files, too many or too large files, and files that are neither one zip nor pictures.
    """
    if not files:
        raise InputError("no files were uploaded: upload one zip, or pictures")
    if len(files) > MAX_FILES or sum(f.stat().st_size for f in files) > MAX_UPLOAD_BYTES:
        raise InputError(
            f"{len(files)} files are too many or too large: at most {MAX_FILES:,} files with "
            f"{MAX_UPLOAD_BYTES // 2**20} MB in total are allowed"
        )
    is_zip = len(files) == 1 and zipfile.is_zipfile(files[0])
    if not is_zip and (wrong := next((f for f in files if f.suffix.lower() not in IMAGE_SUFFIXES), None)):
        raise InputError(
            f"{clean_name(wrong.name)} is not a picture by its name: upload one zip, or {', '.join(IMAGE_SUFFIXES)}"
        )
    names = [clean_name(files[0].stem + ".zip")] if is_zip else _choose_names(files)
    digest = hashlib.sha256()
    for file, name in zip(files, names, strict=True):
        digest.update(f"{file_sha256(file)} {name}\n".encode())
    place = workspace.studio_folder / "uploads" / digest.hexdigest()[:24]
    if not place.exists():
        require_room(workspace, sum(file.stat().st_size for file in files))
        workspace.make_studio_folder()
        with atomic_folder(place) as folder:
            for file, name in zip(files, names, strict=True):
                shutil.copyfile(file, folder / name)
    os.utime(place)
    return place / names[0] if is_zip else place


def require_room(workspace: Workspace, size: int) -> None:
    """Raise InputError if uploads for training took more than MAX_STORED_BYTES with `size` bytes more."""
    folder = workspace.studio_folder / "uploads"
    stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    if stored + size > MAX_STORED_BYTES:
        raise InputError(
            f"the uploads of unfinished runs take {format_size(stored)}, with these {format_size(stored + size)}, and "
            f"{format_size(MAX_STORED_BYTES)} are allowed: finish or remove runs, or wait an hour"
        )


def clean_name(name: str) -> str:
    """A file name for messages: its last part, without unusual characters, of at most MAX_NAME bytes."""
    last = NAME_CHARACTERS.sub("-", re.split(r"[/\\]", name)[-1]).strip(" .")
    path = Path(last or "file")
    suffix = path.suffix if len(path.suffix.encode()) <= MAX_SUFFIX else ""
    stem = path.name.removesuffix(suffix).encode()[: MAX_NAME - MAX_SUFFIX].decode(errors="ignore")
    return (stem.strip() or "file") + suffix


def _choose_names(files: Sequence[Path]) -> list[str]:
    """Cleaned names, different ones for all files, also on file systems that ignore case."""
    names: dict[str, str] = {}
    numbers: Counter[str] = Counter()  # of files with the same cleaned name
    for file in files:
        first = name = clean_name(file.name)
        while name.casefold() in names:
            numbers[first.casefold()] += 1
            name = f"{Path(first).stem}-{numbers[first.casefold()] + 1}{Path(first).suffix}"
        names[name.casefold()] = name
    return list(names.values())


FOLDER_INPUT_HTML = """
<label class="n-folder">Choose a folder (sub-folders are labels)
  <input type="file" webkitdirectory multiple></label>
<p class="n-status" role="status"></p>
"""

ZIP_SCRIPT = """
const input = element.querySelector('input'), words = element.querySelector('.n-status');
const table = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = table[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
function record(signature, numbers) {  // pairs of a size in bytes and a value, little-endian
  const view = new DataView(new ArrayBuffer(4 + numbers.reduce((sum, [size]) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of numbers) {
    size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}
async function packed(files) {
  const parts = [], central = [];
  let offset = 0, wide = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.webkitRelativePath.split('/').slice(1).join('/'));
    const bytes = new Uint8Array(await file.arrayBuffer());
    // version 2.0, names in UTF-8, not pressed, 1980-01-01
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, crc(bytes)], [4, bytes.length],
      [4, bytes.length], [2, name.length], [2, 0]];
    const head = record(0x04034b50, common);
    central.push(record(0x02014b50, [[2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    parts.push(head, name, bytes);
    offset += head.length + name.length + bytes.length;
  }
  for (const part of central) wide += part.length;
  const counts = [[2, 0], [2, 0], [2, files.length], [2, files.length]];
  const end = record(0x06054b50, [...counts, [4, wide], [4, offset], [2, 0]]);
  return new File([...parts, ...central, end], 'folder.zip', {type: 'application/zip'});
}
input.addEventListener('change', async () => {
  const files = Array.from(input.files).filter((file) => !file.name.startsWith('.'));
  const size = files.reduce((sum, file) => sum + file.size, 0);
  input.value = '';
  if (!files.length) return;
  if (files.length > MANY || size > LARGEST) {
    words.textContent = files.length + ' files are too many or too large';
    return;
  }
  const field = document.querySelector('#files input[type=file]');
  if (!field) { words.textContent = 'Remove the chosen files first, then choose a folder'; return; }
  words.textContent = 'Packing ' + files.length + ' files';
  const chosen = new DataTransfer();
  chosen.items.add(await packed(files));
  field.files = chosen.files;
  field.dispatchEvent(new Event('change', {bubbles: true}));
  words.textContent = files.length + ' files packed';
});
"""
