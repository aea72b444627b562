from collections.abc import Iterator
from io import BytesIO
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import random_bert
from noisette.data.pictures import Pictures
from noisette.data.text import open_encoder
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import State
from noisette.edit.batch import sample_along, upscale_picture, vary_picture
from noisette.edit.hspace import Direction, find_layer
from noisette.errors import InputError
from noisette.models.picture_model import PictureModel
from noisette.models.task import Segment, Upscale
from noisette.sampling.batch import EditBatch
from noisette.sampling.generate import build_denoiser
from noisette.shapes import UInt8Images
from noisette.studio import editing
from noisette.studio import mask_editor as brush
from noisette.studio import trajectories as drawing
from noisette.studio.edit_kinds import (
    INPAINT,
    OUTPAINT,
    SEGMENT,
    TILE,
    UPSCALE,
    VARY,
    EditRequest,
    parse_known_mask,
    read_source,
)
from noisette.studio.editing import EditResult
from noisette.studio.limits import MAX_FILE_BYTES
from noisette.studio.previews import stream_previews
from tiny_models import tiny


def picture(height: int = 8, width: int = 8) -> bytes:
    """A PNG file of RGBA noise, with colors in pixels of alpha 0."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[:2, :, 3] = 0
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels(data: bytes) -> UInt8Images:
    return torch.from_numpy(np.array(Image.open(BytesIO(data)))).permute(2, 0, 1)[None].contiguous()


def edit(data: bytes, request: EditRequest) -> tuple[list[UInt8Images], list[EditResult]]:
    """The previews, and the results."""
    model = tiny()
    *seen, made = editing.stream_edit(model, data, request, drawing.make_settings(model))
    assert isinstance(made, list)
    return [s for s in seen if isinstance(s, torch.Tensor)], made


def test_inpaint_keeps_unmasked_pixels() -> None:
    data, mask = picture(), "0" * 24 + "1" * 16 + "0" * 24
    seen, made = edit(data, EditRequest(INPAINT, "sword", seed=5, number=3, rounds=2, mask=mask))
    assert seen and len(made) == 3 and [e.metadata["seed"] for e in made] == [5, 6, 7]
    wanted = torch.tensor([one == "1" for one in mask]).reshape(8, 8)
    for one in made:
        assert torch.equal(one.pixels[0][:, ~wanted], pixels(data)[0][:, ~wanted])
    assert not torch.equal(made[0].pixels[0][:, wanted], made[1].pixels[0][:, wanted])
    assert made[0].metadata["edit"] == "inpaint" and made[0].metadata["label"] == "sword"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureModel]:
    """A model with a text encoder that the user trusts."""
    folder = str(random_bert(tmp_path_factory.mktemp("words") / "bert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisette.data.text.trusted._trusted", [folder])
        yield tiny(labels=(), wording=open_encoder(folder).info, seed=3)


def test_edit_with_attributes_or_text_equals_the_library(words: PictureModel) -> None:
    """Equal pixels; the metadata contain the attributes and the text."""
    conditioned = tiny(attributes=("hue", "shape=round", "shape=square"), means=(0.5, 0.0, 0.0), scales=(0.2, 1.0, 1.0))
    for model, request, cond in (
        (conditioned, EditRequest(VARY, number=2, attributes=("hue=0.3", "shape=round")),
         conditioned.condition(None, 2, attributes={"hue": 0.3, "shape": "round"})),
        (words, EditRequest(VARY, number=2, text="a red fish"), words.condition(None, 2, text="a red fish")),
    ):  # fmt: skip
        way = drawing.make_settings(model, guidance=1.0)
        *_, made = editing.stream_edit(model, picture(), request, way)
        assert isinstance(made, list)
        denoise = build_denoiser(model, cond)
        turn = EditBatch(denoise, model.sampler(), model.grid(), Seeded([0, 1]), 2, torch.device("cpu"))
        wanted = vary_picture(model.codec, turn, read_source(picture(), model).pixels, 0.5)
        assert torch.equal(torch.cat([e.pixels for e in made]), wanted)
        assert (made[0].metadata["attributes"], made[0].metadata["text"]) == (request.attributes, request.text)
    with pytest.raises(InputError, match="hue"):
        edit(picture(), EditRequest(VARY, attributes=("hue=0.3",)))


def test_outpaint_keeps_the_picture_in_the_middle() -> None:
    _, made = edit(picture(), EditRequest(OUTPAINT, number=1, margin=3, rounds=1))
    assert made[0].pixels.shape == (1, 4, 14, 14)
    assert torch.equal(made[0].pixels[..., 3:-3, 3:-3], pixels(picture()))


def test_upscaled_picture_averages_to_the_input() -> None:
    data = picture(4, 4)
    _, made = edit(data, EditRequest(UPSCALE, number=1, rounds=1))
    model = tiny()
    small = torch.nn.functional.avg_pool2d(model.pictures.encode(made[0].pixels), 2)
    assert (small - model.pictures.encode(pixels(data))).abs().max() < 0.02
    with pytest.raises(InputError, match="the picture is 8×8: a whole factor"):
        edit(picture(), EditRequest(UPSCALE))


def test_upscale_model_is_conditioned_on_the_small_picture() -> None:
    model, data = tiny(task=Upscale(2)), picture(4, 4)
    way = drawing.make_settings(model)
    *_, made = editing.stream_edit(model, data, EditRequest(UPSCALE, number=2, rounds=5), way)
    assert isinstance(made, list)
    small = pixels(data)
    cond = model.condition(None, 2, image=model.pictures.encode(small))
    denoise = build_denoiser(model, cond)
    turn = EditBatch(denoise, model.sampler(), model.grid(), Seeded([0, 1]), 2, torch.device("cpu"))
    assert torch.equal(torch.cat([e.pixels for e in made]), upscale_picture(model.codec, turn, small, 2, rounds=1))
    assert made[0].metadata["rounds"] == 1
    with pytest.raises(InputError, match="this model cannot vary; it can upscale"):
        list(editing.stream_edit(model, data, EditRequest(VARY), way))


def test_segmentation_returns_mask_and_uncertainty() -> None:
    model = tiny("L", (), task=Segment(Pictures("RGBA", 8, 8)))
    *seen, made = editing.stream_edit(
        model, picture(), EditRequest(SEGMENT, number=5, seed=3), drawing.make_settings(model)
    )
    assert isinstance(made, list) and seen
    mask, doubt, *samples = made
    share = (torch.cat([e.pixels for e in samples]) > 127).float().mean(0, keepdim=True)  # the mask is their majority
    assert torch.equal(mask.pixels, torch.where(share > 0.5, 255, 0).to(torch.uint8))
    assert (doubt.pixels / 255 - 4 * share * (1 - share)).abs().max() < 0.01
    assert [e.caption for e in made] == ["mask", "uncertainty", *(f"seed {i}" for i in range(3, 8))]
    assert [e.stem for e in made[1:3]] == ["segment-uncertainty", "segment-000003"]


def test_tile_keeps_the_middle_and_full_strength_vary_nothing() -> None:
    _, made = edit(picture(), EditRequest(TILE, number=1, rounds=1, axes="x"))
    assert torch.equal(made[0].pixels[..., 2:-2], pixels(picture())[..., 2:-2])
    _, made = edit(picture(), EditRequest(VARY, number=2, strength=1.0))
    assert not torch.equal(made[0].pixels, made[1].pixels)


def test_vary_equals_the_library() -> None:
    model, request = tiny(), EditRequest(VARY, "bread", seed=2, number=2, strength=0.6)
    *_, made = editing.stream_edit(model, picture(), request, drawing.make_settings(model))
    cond = model.condition("bread", 2)
    turn = EditBatch(build_denoiser(model, cond), model.sampler(), model.grid(), Seeded([2, 3]), 2, torch.device("cpu"))
    same = vary_picture(model.codec, turn, read_source(picture(), model).pixels, 0.6)
    assert torch.equal(torch.cat([e.pixels for e in made]), same)


def test_directions_of_zero_strength_change_nothing() -> None:
    model, grid = tiny(), tiny().grid()
    denoise, mid = model.given(model.condition(None, 2)), find_layer(model.net)
    push = Direction("one", grid[:-1], torch.full((len(grid) - 1, 8, 4, 4), 3.0))

    def drawn(*along: tuple[Direction, float]) -> UInt8Images:
        turn = EditBatch(denoise, model.sampler("ddim"), grid, Seeded([0, 1]), 2, torch.device("cpu"))
        return sample_along(model.codec, turn, mid, along)

    assert torch.equal(drawn((push, 0.0)), drawn())
    assert not torch.equal(drawn((push, 1.0), (push, 0.5)), drawn())


def test_invalid_edit_requests_are_refused() -> None:
    for wrong, words in (
        (lambda: EditRequest("paint it"), "unknown edit 'paint it'"),
        (lambda: EditRequest(VARY, number=17), "at most 16, got 17"),
        (lambda: EditRequest(VARY, seed=-1), "0 or more"),
        (lambda: EditRequest(INPAINT, rounds=0), "between 1 and 20"),
        (lambda: EditRequest(TILE, axes="z"), "must be x, y or xy"),
        (lambda: edit(picture(), EditRequest(INPAINT)), "the mask does not fit"),
        (lambda: edit(picture(), EditRequest(INPAINT, mask="0" * 64)), "no pixels are marked"),
        (lambda: edit(picture(), EditRequest(INPAINT, mask="01" * 64)), "the mask does not fit"),
        (lambda: edit(picture(), EditRequest(OUTPAINT, margin=9)), "at most 8"),
        (lambda: edit(picture(), EditRequest(VARY, "hat")), "no label is called"),
        (lambda: edit(b"no picture", EditRequest(VARY)), "^the picture "),
        (lambda: edit(b"x" * (MAX_FILE_BYTES + 1), EditRequest(VARY)), "at most 16 MB"),
        (lambda: parse_known_mask("x" * 64, 8, 8), "the mask does not fit"),
        (lambda: parse_known_mask("\n".join(["01" * 8] * 4), 8, 8), "the mask does not fit"),  # as many pixels
    ):
        with pytest.raises(InputError, match=words):
            wrong()
    assert brush.read_mask({"mask": 5}) == brush.read_mask("x") == brush.read_mask(None) == ""


def test_closing_the_stream_of_an_edit_ends_it() -> None:
    """The work has ended when `close` returns."""
    taken, model = [], tiny()
    going = Event()

    def work(tell: object) -> int:
        assert callable(tell)
        try:
            for step in range(10**6):
                taken.append(step)
                tell(State(torch.zeros(1, *model.pictures.shape), torch.tensor(0.5)))
        finally:
            going.set()
        return 0

    steps: Iterator[object] = stream_previews(work)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert going.is_set() and len(taken) < 10**6


def test_an_error_in_an_edit_is_raised() -> None:
    def work(tell: object) -> int:
        raise InputError("it cannot be")

    with pytest.raises(InputError, match="it cannot be"):
        list(stream_previews(work))
