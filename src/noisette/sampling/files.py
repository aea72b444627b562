"""The files of samples: a PNG for each, named by its label, text and seed, and one sheet of all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..shapes import UInt8Images
    from .record import SampleRecord, SampleSettings

GRID_FILE = "grid.png"
MAX_NAME_BYTES = 100  # of label and text in a file's name; encrypted file systems take 143 in all


@dataclass(frozen=True)
class WrittenSample:
    """A picture that was written."""

    path: Path
    record: "SampleRecord"
    pixels: "UInt8Images"  # (1, C, H, W)

    @property
    def metadata(self) -> dict[str, object]:
        """What the file carries: the record, and of a seamless picture its seam scores."""
        from ..data.seams import measure_seams

        canvas = self.record.canvas
        is_seamless = canvas is not None and (canvas.wrap_x or canvas.wrap_y)
        return asdict(self.record) | (measure_seams(self.pixels) if is_seamless else {})


def ensure_writable(out: Path) -> None:
    """Make the folder, and raise InputError now, not after an hour of work, if files cannot be written there."""
    import tempfile

    from ..io.files import explain_os_errors

    with explain_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass


def write_sample(out: Path, record: "SampleRecord", pixels: "UInt8Images") -> WrittenSample:
    """Write LABEL-TEXT-SEED.png into the folder `out`, with the record inside. pixels: uint8 (1, C, H, W)."""
    written = WrittenSample(out / name_sample(record), record, pixels)
    write_finished(written.path, pixels, record, written.metadata)
    return written


def name_sample(record: "SampleRecord") -> str:
    """The name of a sample's file: LABEL-TEXT-SEED.png."""
    name = slugify(f"{record.label or ''} {record.text or ''}")
    return f"{name}{'-' if name else ''}{record.seed:06d}.png"


def write_finished(
    path: Path, pixels: "UInt8Images", settings: "SampleSettings", metadata: Mapping[str, object]
) -> None:
    """Write a finished picture as a PNG."""
    from ..io.files import atomic_write
    from .record import encode_finished

    atomic_write(path, encode_finished(pixels, settings, metadata))


def slugify(text: str) -> str:
    """A label or a text as part of a file's name that every file system takes: letters and digits, of few bytes."""
    import re
    import unicodedata

    slug = re.sub(r"\W+", "-", unicodedata.normalize("NFC", text)).strip("-").lower()
    return slug.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("-")


def write_grid(samples: Sequence[WrittenSample], path: Path) -> Path:
    """All pictures on one sheet, sorted by label; with several texts, a row for each."""
    import torch

    from ..data.contact_sheet import contact_sheet
    from ..data.png import write_png

    order = sorted(samples, key=lambda sample: (sample.record.label or "", sample.record.seed))
    texts = list(dict.fromkeys(sample.record.text for sample in samples))
    columns = None if len(texts) == 1 else -(-len(samples) // len(texts))
    order.sort(key=lambda sample: texts.index(sample.record.text))
    write_png(path, contact_sheet(torch.cat([sample.pixels for sample in order]), columns))
    return path
