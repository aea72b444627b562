from collections.abc import Iterator
from io import BytesIO
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import random_bert
from noisette.edit.hspace import Direction, semantic
from noisette.edit.retouch import Turn, enlarged, moved, varied
from noisette.errors import InputError
from noisette.model import PictureModel
from noisette.noise import Seeded
from noisette.pictures import Pictures
from noisette.sampler import State
from noisette.shapes import Bytes
from noisette.studio import brush, drawing, editing
from noisette.studio.editing import Edited
from noisette.studio.kinds import AROUND, ENLARGE, FILL, FIND, LARGEST, TILE, VARY, Ask, read
from noisette.studio.live import watched
from noisette.task import Segment, Upscale
from noisette.text import open_encoder
from tiny_models import tiny


def picture(height: int = 8, width: int = 8) -> bytes:
    """A picture's file: RGBA noise, with colours under alpha 0, too."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[:2, :, 3] = 0
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels(data: bytes) -> Bytes:
    return torch.from_numpy(np.array(Image.open(BytesIO(data)))).permute(2, 0, 1)[None].contiguous()


def edit(data: bytes, ask: Ask) -> tuple[list[Bytes], list[Edited]]:
    """What was seen on the way, and what came of it."""
    model = tiny()
    *seen, made = editing.edited(model, data, ask, drawing.way(model))
    assert isinstance(made, list)
    return [s for s in seen if isinstance(s, torch.Tensor)], made


def test_what_is_not_marked_comes_back_byte_for_byte() -> None:
    data, mask = picture(), "0" * 24 + "1" * 16 + "0" * 24
    seen, made = edit(data, Ask(FILL, "sword", seed=5, number=3, rounds=2, mask=mask))
    assert seen and len(made) == 3 and [e.told["seed"] for e in made] == [5, 6, 7]
    wanted = torch.tensor([one == "1" for one in mask]).reshape(8, 8)
    for one in made:
        assert torch.equal(one.pixels[0][:, ~wanted], pixels(data)[0][:, ~wanted])
    assert not torch.equal(made[0].pixels[0][:, wanted], made[1].pixels[0][:, wanted])
    assert made[0].told["edit"] == "inpaint" and made[0].told["label"] == "sword"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> PictureModel:
    """A model that reads text."""
    wording = open_encoder(str(random_bert(tmp_path_factory.mktemp("words") / "bert"))).wording
    return tiny(labels=(), wording=wording, seed=3)


def test_what_it_should_be_is_said_by_attributes_and_in_words(words: PictureModel) -> None:
    """As the library draws it; and the file says what was asked for."""
    told = tiny(attributes=("hue", "shape=round", "shape=square"), means=(0.5, 0.0, 0.0), scales=(0.2, 1.0, 1.0))
    for model, ask, cond in (
        (told, Ask(VARY, number=2, attributes=("hue=0.3", "shape=round")),
         told.condition(None, 2, attributes={"hue": 0.3, "shape": "round"})),
        (words, Ask(VARY, number=2, text="a red fish"), words.condition(None, 2, text="a red fish")),
    ):  # fmt: skip
        way = drawing.way(model, guidance=1.0)
        *_, made = editing.edited(model, picture(), ask, way)
        assert isinstance(made, list)
        turn = editing.turn(model, way, cond, 0, 2, lambda state: None)
        wanted = varied(model.pictures, turn, read(picture(), model).pixels, 0.5)
        assert torch.equal(torch.cat([e.pixels for e in made]), wanted)
        assert (made[0].told["attributes"], made[0].told["text"]) == (ask.attributes, ask.text)
    with pytest.raises(InputError, match="hue"):
        edit(picture(), Ask(VARY, attributes=("hue=0.3",)))


def test_drawn_around_it_is_in_the_middle() -> None:
    _, made = edit(picture(), Ask(AROUND, number=1, margin=3, rounds=1))
    assert made[0].pixels.shape == (1, 4, 14, 14)
    assert torch.equal(made[0].pixels[..., 3:-3, 3:-3], pixels(picture()))


def test_enlarged_it_shrinks_to_what_it_was() -> None:
    data = picture(4, 4)
    _, made = edit(data, Ask(ENLARGE, number=1, rounds=1))
    model = tiny()
    small = torch.nn.functional.avg_pool2d(model.pictures.encode(made[0].pixels), 2)
    assert (small - model.pictures.encode(pixels(data))).abs().max() < 0.02
    with pytest.raises(InputError, match="the picture is 8×8: a whole number"):
        edit(picture(), Ask(ENLARGE))


def test_a_model_that_learned_to_enlarge_is_given_the_small_picture() -> None:
    model, data = tiny(task=Upscale(2)), picture(4, 4)
    way = drawing.way(model)
    *_, made = editing.edited(model, data, Ask(ENLARGE, number=2, rounds=5), way)
    assert isinstance(made, list)
    small = pixels(data)
    cond = model.condition(None, 2, image=model.pictures.encode(small))
    turn = editing.turn(model, way, cond, 0, 2, lambda state: None)
    assert torch.equal(torch.cat([e.pixels for e in made]), enlarged(model.pictures, turn, small, 2, rounds=1))
    assert made[0].told["rounds"] == 1
    with pytest.raises(InputError, match="this model cannot vary it: it can enlarge it"):
        list(editing.edited(model, data, Ask(VARY), way))


def test_a_model_that_finds_masks_says_how_sure_it_is() -> None:
    model = tiny("L", (), task=Segment(Pictures("RGBA", 8, 8)))
    *seen, made = editing.edited(model, picture(), Ask(FIND, number=5, seed=3), drawing.way(model))
    assert isinstance(made, list) and seen
    mask, doubt, *samples = made
    share = (torch.cat([e.pixels for e in samples]) > 127).float().mean(0, keepdim=True)  # they vote
    assert torch.equal(mask.pixels, torch.where(share > 0.5, 255, 0).to(torch.uint8))
    assert (doubt.pixels / 255 - 4 * share * (1 - share)).abs().max() < 0.01
    assert [e.caption for e in made] == ["the mask", "where they differ", *(f"seed {i}" for i in range(3, 8))]
    assert [e.stem for e in made[1:3]] == ["segment-where-they-differ", "segment-000003"]


def test_seamless_keeps_the_middle_and_a_variation_nothing() -> None:
    _, made = edit(picture(), Ask(TILE, number=1, rounds=1, axes="x"))
    assert torch.equal(made[0].pixels[..., 2:-2], pixels(picture())[..., 2:-2])
    _, made = edit(picture(), Ask(VARY, number=2, strength=1.0))
    assert not torch.equal(made[0].pixels, made[1].pixels)


def test_edits_are_those_of_the_library() -> None:
    model, ask = tiny(), Ask(VARY, "bread", seed=2, number=2, strength=0.6)
    *_, made = editing.edited(model, picture(), ask, drawing.way(model))
    cond = model.condition("bread", 2)
    from noisette.edit.generate import steered

    turn = Turn(steered(model, cond), model.sampler(), model.grid(), Seeded([2, 3]), 2, torch.device("cpu"))
    same = varied(model.pictures, turn, read(picture(), model).pixels, 0.6)
    assert torch.equal(torch.cat([e.pixels for e in made]), same)


def test_directions_of_no_strength_change_nothing() -> None:
    model, grid = tiny(), tiny().grid()
    denoise, mid = model.given(model.condition(None, 2)), semantic(model.net)
    push = Direction("one", grid[:-1], torch.full((len(grid) - 1, 8, 4, 4), 3.0))

    def drawn(*along: tuple[Direction, float]) -> Bytes:
        turn = Turn(denoise, model.sampler("ddim"), grid, Seeded([0, 1]), 2, torch.device("cpu"))
        return moved(model.pictures, turn, mid, along)

    assert torch.equal(drawn((push, 0.0)), drawn())
    assert not torch.equal(drawn((push, 1.0), (push, 0.5)), drawn())


def test_what_cannot_be_is_refused() -> None:
    for wrong, words in (
        (lambda: Ask("paint it"), "is no edit"),
        (lambda: Ask(VARY, number=17), "1 to 16"),
        (lambda: Ask(VARY, seed=-1), "0 or more"),
        (lambda: Ask(FILL, rounds=0), "1 to 20"),
        (lambda: Ask(TILE, axes="z"), "in x, in y"),
        (lambda: edit(picture(), Ask(FILL)), "that marking is none"),
        (lambda: edit(picture(), Ask(FILL, mask="0" * 64)), "nothing is marked"),
        (lambda: edit(picture(), Ask(FILL, mask="01" * 64)), "that marking is none"),
        (lambda: edit(picture(), Ask(AROUND, margin=9)), "up to 8"),
        (lambda: edit(picture(), Ask(VARY, "hat")), "no label is called"),
        (lambda: edit(b"no picture", Ask(VARY)), "^the picture "),
        (lambda: edit(b"x" * (LARGEST + 1), Ask(VARY)), "16 MB at most"),
        (lambda: brush.known_of("x" * 64, 8, 8), "that marking is none"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()
    assert brush.marked({"mask": 5}) == brush.marked("x") == brush.marked(None) == ""


def test_an_edit_that_nobody_looks_at_any_more_ends() -> None:
    """Closed, it takes no further step, and has ended when closing it returns."""
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

    steps: Iterator[object] = watched(work)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert going.is_set() and len(taken) < 10**6
    number = len(taken)
    assert number == len(taken)


def test_a_defect_of_an_edit_is_told() -> None:
    def work(tell: object) -> int:
        raise InputError("it cannot be")

    with pytest.raises(InputError, match="it cannot be"):
        list(watched(work))
