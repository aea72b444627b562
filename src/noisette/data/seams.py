"""How well the opposite edges of a picture fit together: the seam score that files of seamless pictures carry."""

from ..shapes import Images, PerImage, UInt8Images
from .pictures import MODE_BY_CHANNELS, Pictures

SEAM_AXES = {"seam_x": -1, "seam_y": -2}  # name of the score in metadata → the axis across whose edge it is measured
SEAM_EPSILON = 1 / 255  # added to both sides of the seam ratio, so that a picture of one color has ratio 1


def seam_ratio(pictures: Images, axis: int) -> PerImage:
    """Mean step across the edge over mean step between neighbors inside: about 1 is seamless. axis -1: x, -2: y."""
    inside = pictures.diff(dim=axis).abs().flatten(1).mean(1)
    edge = (pictures.select(axis, 0) - pictures.select(axis, -1)).abs().flatten(1).mean(1)
    return (edge + SEAM_EPSILON) / (inside + SEAM_EPSILON)


def measure_seams(pixels: UInt8Images) -> dict[str, float]:
    """The seam scores of a picture, (1, C, H, W), by their names in SEAM_AXES."""
    x0 = Pictures(MODE_BY_CHANNELS[pixels.shape[1]]).encode(pixels)
    return {name: round(float(seam_ratio(x0, axis)), 3) for name, axis in SEAM_AXES.items()}
