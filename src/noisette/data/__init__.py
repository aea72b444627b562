"""Pictures: where they come from, what is in them, and how they come to the model.

`scan` reads a source and says what it holds; `prepare` makes the data set of a run folder from it, once.
"""

from .dataset import Dataset, Subset
from .decode import decode
from .entry import BadPicture, Limits
from .prepare import prepare
from .scan import Picture, Quarantined, Scan, scan
from .source import open_source

__all__ = [
    "BadPicture",
    "Dataset",
    "Limits",
    "Picture",
    "Quarantined",
    "Scan",
    "Subset",
    "decode",
    "open_source",
    "prepare",
    "scan",
]
