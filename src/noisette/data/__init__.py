"""Training pictures: reading sources, checking what they hold, and preparing the data set of a run.

`scan` reads every picture of a source and reports what it holds. `prepare` decodes, resizes and splits the pictures
once and writes them into a run folder. `Dataset.open` reads them back without the source.
"""

from .dataset import Dataset, Subset
from .decode import decode
from .entry import BadPicture, Limits
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
    "QuarantinedPicture",
    "ScanResult",
    "ScannedPicture",
    "Subset",
    "decode",
    "open_source",
    "prepare",
    "scan",
]
