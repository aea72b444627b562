"""What a run drew from one and the same noises while it grew: the sheets that it left in its `samples`."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..pictures import Pictures
from ..shapes import Bytes
from ..viz.png import read_png
from ..viz.strip import tiles


@dataclass(frozen=True, eq=False)
class Grown:
    """What the same noises became, at some stages of a run."""

    images: list[int]  # that the model had seen, (N,)
    pictures: list[Bytes]  # (B, C, H, W) each


def grown(samples: Path, pictures: Pictures) -> Grown:
    """Read the sheets that a run left in `samples`, oldest first."""
    images, drawn = [], []
    for path in sorted(samples.glob("*.png")):
        pixels, told = read_png(path)
        try:
            images.append(int(told["images"]))
            drawn.append(tiles(pixels, int(told["columns"]), pictures))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a sheet that a run left: move it away") from error
    return Grown(images, drawn)
