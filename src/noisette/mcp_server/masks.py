"""What inpainting generates: the marked pixels of a mask, or the transparent ones of the picture itself."""

from ..data.input_picture import read_mask
from ..studio.edit_kinds import read_source, read_through_file
from .place import Place


def read_marks(place: Place, model_name: str, picture: str, mask: str | None) -> str:
    """A character for each pixel of the model's size, row by row: 1 for pixels to generate, else 0."""
    model = place.load_model(model_name)
    source = read_source(place.read_picture(picture), model)
    known = source.opaque_mask
    if mask is not None:
        known = read_through_file(place.read_picture(mask), lambda path: read_mask(path, source, model.pictures))
    return "".join("0" if kept else "1" for kept in known.flatten().tolist())
