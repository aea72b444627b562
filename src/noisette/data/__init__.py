"""Pictures: reading sources, checking what they hold, preparing the data set of a run; PNG files and palettes.

`scan` reads every picture of a source and reports what it holds. `prepare` decodes, resizes and splits the pictures
once and writes them into a run folder. `Dataset.open` reads them back without the source.
"""

from .contact_sheet import contact_sheet
from .dataset import Dataset, Subset
from .decode import decode
from .entry import BadPicture, Limits
from .palette import Palette, learn_palette, read_palette
from .palette_lock import PaletteLock
from .pictures import Pictures
from .png import from_image, read_png, to_image, write_png
from .prepare import prepare
from .scan import scan
from .scan_result import QuarantinedPicture, ScanResult
from .scanned_pictures import ScannedPicture
from .source import open_source
from .sprite_sheet import Cells

__all__ = [
    "BadPicture",
    "Cells",
    "Dataset",
    "Limits",
    "Palette",
    "PaletteLock",
    "Pictures",
    "QuarantinedPicture",
    "ScanResult",
    "ScannedPicture",
    "Subset",
    "contact_sheet",
    "decode",
    "from_image",
    "learn_palette",
    "open_source",
    "prepare",
    "read_palette",
    "read_png",
    "scan",
    "to_image",
    "write_png",
]
