"""The edits of the studio: their options, and the library calls that perform them."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.input_picture import LoadedPicture, read_mask, read_picture, read_small
from ..edit.batch import inpaint_picture, remove_seam, sample_masks, upscale_picture, vary_picture
from ..edit.inpaint import pad_canvas
from ..edit.segment import binarize, mask_probability, uncertainty
from ..errors import InputError
from ..models.codec import Codec
from ..models.config import ModelConfig
from ..models.picture_model import PictureModel
from ..models.task import Draw, Segment, Upscale
from ..sampling.batch import EditBatch, One
from ..shapes import Images, UInt8Images
from .limits import MAX_EDIT_SAMPLES, MAX_ROUNDS, check_count, check_file_size

VARY, INPAINT, OUTPAINT, UPSCALE, TILE = "vary", "inpaint", "outpaint", "upscale", "make seamless"
SEGMENT = "segment"
EDIT_NAMES = {
    VARY: "vary",
    INPAINT: "inpaint",
    OUTPAINT: "outpaint",
    UPSCALE: "upscale",
    TILE: "tile",
    SEGMENT: "segment",
}
KINDS_BY_TASK = {Draw: (VARY, INPAINT, OUTPAINT, UPSCALE, TILE), Upscale: (UPSCALE,), Segment: (SEGMENT,)}
PICTURE_NAME = "the picture"  # in messages, instead of a temporary path

T = TypeVar("T")


@dataclass(frozen=True)
class EditRequest:
    """The options of an edit; each kind uses some of them. InputError for values out of range."""

    kind: str
    label: str | None = None
    seed: int = 0
    number: int = 4
    strength: float = 0.5
    rounds: int = 5
    margin: int = 4
    axes: str = "xy"
    mask: str = ""  # one character per pixel, row by row: 1 for pixels to replace, else 0; see parse_known_mask
    attributes: tuple[str, ...] = ()  # such as hue=0.3
    text: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in EDIT_NAMES:
            raise InputError(f"unknown edit {self.kind!r}: choose from {', '.join(EDIT_NAMES)}")
        check_count(self.number, MAX_EDIT_SAMPLES)
        if self.seed < 0:
            raise InputError(f"seed must be 0 or more, got {self.seed}")
        if not 1 <= self.rounds <= MAX_ROUNDS:
            raise InputError(f"rounds must be between 1 and {MAX_ROUNDS}, got {self.rounds}")
        if self.axes not in ("x", "y", "xy"):
            raise InputError(f"axes must be x, y or xy, got {self.axes!r}")


@dataclass(frozen=True, eq=False)
class PreparedEdit:
    """A checked edit, ready to run. `tensors` have one row for all images of a request, or one for each of them."""

    function: Callable[..., UInt8Images]  # of edit.batch: codec, batch, tensors and options to a picture per seed
    tensors: Mapping[str, Tensor] = field(default_factory=dict)  # its arguments that are made of the picture
    options: Mapping[str, float | int | str] = field(default_factory=dict)  # its other arguments
    metadata: Mapping[str, object] = field(default_factory=dict)  # of the PNG files, beside the options
    image: Images | None = None  # input picture of the model, in model space
    summarize: Callable[[UInt8Images], Mapping[str, One]] = lambda samples: {}  # maps made from all samples

    def draw(self, codec: Codec, batch: EditBatch) -> UInt8Images:
        """One picture per seed of the batch, (B, C, H, W)."""
        rows = slice(batch.offset, batch.offset + batch.size)
        tensors = {name: rows_of if len(rows_of) == 1 else rows_of[rows] for name, rows_of in self.tensors.items()}
        return self.function(codec, batch, **tensors, **self.options)


def supported_kinds(config: ModelConfig) -> tuple[str, ...]:
    """The edits that a model supports."""
    return KINDS_BY_TASK[type(config.task)]


def read_source(data: bytes, model: PictureModel) -> LoadedPicture:
    """Read a picture file in the mode and size that the model edits. InputError if it does not fit."""
    task, pictures = model.config.task, model.pictures
    if isinstance(task, Segment):
        pictures = replace(task.given, height=pictures.height, width=pictures.width)
    return read_through_file(data, lambda path: read_picture(path, pictures))


def prepare_edit(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    """Check and prepare an edit. InputError if the model does not support it, or the picture does not fit."""
    if request.kind not in supported_kinds(model.config):
        raise InputError(f"this model cannot {request.kind}; it can {' and '.join(supported_kinds(model.config))}")
    edit = PREPARERS[request.kind](model, data, request)
    metadata = {"edit": EDIT_NAMES[request.kind], "picture_sha256": hashlib.sha256(data).hexdigest()}
    return replace(edit, metadata=metadata | dict(edit.metadata) | dict(edit.options))


def _prepare_vary(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    return PreparedEdit(vary_picture, {"pixels": read_source(data, model).pixels}, {"strength": request.strength})


def _prepare_inpaint(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    pictures, pixels = model.pictures, read_source(data, model).pixels
    known = parse_known_mask(request.mask, pictures.height, pictures.width)
    return PreparedEdit(inpaint_picture, {"pixels": pixels, "known_mask": known}, {"rounds": request.rounds})


def _prepare_outpaint(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    pictures, pixels = model.pictures, read_source(data, model).pixels
    longer = max(pictures.height, pictures.width)
    if request.margin > longer:
        raise InputError(f"margin must be at most {longer} pixels for this picture, got {request.margin}")
    canvas, known = pad_canvas(pixels, torch.ones(1, 1, pictures.height, pictures.width), request.margin)
    tensors = {"pixels": canvas, "known_mask": known}
    return PreparedEdit(inpaint_picture, tensors, {"rounds": request.rounds}, {"margin": request.margin})


def _prepare_upscale(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    pictures = model.pictures
    small, factor = read_through_file(data, lambda path: read_small(path, pictures))
    is_upscaler = isinstance(model.config.task, Upscale)
    rounds = 1 if is_upscaler else request.rounds  # a trained upscaler needs no resampling
    return PreparedEdit(
        upscale_picture,
        {"small": small.pixels},
        {"factor": factor, "rounds": rounds},
        image=pictures.encode(small.pixels) if is_upscaler else None,
    )


def _prepare_tile(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    pictures, pixels = model.pictures, read_source(data, model).pixels
    band = min(pictures.height, pictures.width) // 4
    return PreparedEdit(remove_seam, {"pixels": pixels}, {"axes": request.axes, "band": band, "rounds": request.rounds})


def _prepare_segment(model: PictureModel, data: bytes, request: EditRequest) -> PreparedEdit:
    task, pictures = model.config.task, model.pictures
    assert isinstance(task, Segment)

    def draw(codec: Codec, batch: EditBatch) -> UInt8Images:
        return pictures.decode(sample_masks(codec, batch)).cpu()

    def summarize(samples: UInt8Images) -> Mapping[str, One]:
        probability = mask_probability(pictures.encode(samples))
        maps = {"mask": binarize(probability).float(), "uncertainty": uncertainty(probability)}
        return {name: (255 * values).round().to(torch.uint8) for name, values in maps.items()}

    return PreparedEdit(draw, image=task.given.encode(read_source(data, model).pixels), summarize=summarize)


PREPARERS: Mapping[str, Callable[[PictureModel, bytes, EditRequest], PreparedEdit]] = {
    VARY: _prepare_vary,
    INPAINT: _prepare_inpaint,
    OUTPAINT: _prepare_outpaint,
    UPSCALE: _prepare_upscale,
    TILE: _prepare_tile,
    SEGMENT: _prepare_segment,
}


def parse_known_mask(mask: str, height: int, width: int) -> Float[Tensor, "1 1 h w"]:
    """A mask string as a tensor: 1 for pixels to keep, 0 for marked ones.

    Line breaks may separate the rows. InputError if the mask does not fit the picture size, or nothing is marked.
    """
    is_fitting = [len(row) for row in mask.split("\n")] in ([height * width], [width] * height)
    mask = mask.replace("\n", "")
    if not is_fitting or set(mask) - {"0", "1"}:
        raise InputError(f"the mask does not fit the picture of {width}×{height} pixels: mark the pixels again")
    if "1" not in mask:
        raise InputError("no pixels are marked: mark those to replace")
    marked = torch.tensor([character == "1" for character in mask])
    return (~marked).float().reshape(1, 1, height, width)


def read_through_file(data: bytes, reader: Callable[[Path], T]) -> T:
    """Call `reader` with a temporary file of `data`; messages do not contain its path."""
    check_file_size(len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            return reader(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), PICTURE_NAME)) from error


def read_marks(model: PictureModel, data: bytes, mask: bytes | None) -> str:
    """What inpainting generates, as the mask string of an `EditRequest`: the white pixels of the file `mask` (the
    transparent ones, if it has any), or without a mask the transparent pixels of the picture itself."""
    source = read_source(data, model)
    known = source.opaque_mask
    if mask is not None:
        known = read_through_file(mask, lambda path: read_mask(path, source, model.pictures))
    return "".join("0" if kept else "1" for kept in known.flatten().tolist())
