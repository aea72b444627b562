"""The handler without a server: what is drawn together, and that nobody can see with whom."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.data.png import read_metadata
from noisette.errors import InputError
from noisette.models.task import Upscale
from noisette.sampling.record import read_record
from noisette.sampling.run import reproduce
from noisette.serving.calls import Answer, Call
from noisette.serving.handler import ABANDONED, DEFECT, Handler
from noisette.serving.served_models import name_models
from noisette.serving.work import MIN_BATCH
from tiny_models import tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("served")
    tiny(attributes=("hue",), means=(0.5,), scales=(0.2,)).save_pretrained(folder / "tiny")
    tiny(seed=1, task=Upscale(2)).save_pretrained(folder / "larger")
    return name_models([str(folder / "tiny"), str(folder / "larger")])


@pytest.fixture(scope="module")
def handler(models: dict[str, str]) -> "Handler[int]":
    return Handler(models, batch=16)


def picture(side: int = 8, seed: int = 0) -> str:
    """A picture file in base64; its left half is transparent."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 4), dtype=np.uint8)
    pixels[:, : side // 2, 3], pixels[:, side // 2 :, 3] = 0, 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def ask(handler: "Handler[int]", *calls: Call) -> list[Answer]:
    """The answers to these calls, which come at once."""
    answers = dict(handler.answer(dict(enumerate(calls))))
    return [answers[i] for i in range(len(calls))]


def pixels_of(answer: Answer) -> list[bytes]:
    assert answer.status == 200, answer.error
    return [Image.open(io.BytesIO(drawn.png)).tobytes() for drawn in answer.pictures]


def test_pixels_are_the_same_alone_and_in_any_batch(handler: "Handler[int]", models: dict[str, str]) -> None:
    arguments: list[dict[str, Any]] = [
        {},
        {"number": 3, "labels": ["sword"], "seed": 7},
        {"number": 5, "labels": ["bread", "sword"], "seed": 2**63, "attributes": ["hue=0.3"]},
        {"number": 2, "seed": 7},
    ]
    calls = [Call("draw", one) for one in arguments]
    together = ask(handler, *calls)
    assert [one.batch for one in together] == [11] * 4 and sum(one.leads for one in together) == 1
    for call, answer in zip(calls, together, strict=True):
        (alone,) = ask(handler, call)
        assert pixels_of(alone) == pixels_of(answer) and alone.batch == call.arguments.get("number", 1)
        given = dict(call.arguments)
        drawn = noisette.draw(models["tiny"], given.pop("number", 1), given.pop("labels", None), **given)
        assert pixels_of(answer) == [one.permute(1, 2, 0).numpy().tobytes() for one in drawn.pixels]


def test_edits_of_different_pictures_share_a_batch(handler: "Handler[int]") -> None:
    def calls(name: str, side: int = 8, **more: Any) -> list[Call]:
        return [
            Call(name, {"picture": picture(side, seed), "number": 1 + seed, "seed": seed, "steps": 2} | more)
            for seed in range(3)
        ]

    mask = ["1" * 8] * 3 + ["0" * 8] * 5
    for group in (
        calls("vary"), [*calls("fill", rounds=2), *calls("fill", rounds=2, mask_rows=mask)],
        calls("enlarge", 4, rounds=2), calls("enlarge", 4, model="larger"),
    ):  # fmt: skip
        together = ask(handler, *group)
        assert {one.batch for one in together} == {6 * len(group) // 3}, [one.error for one in together]
        for call, answer in zip(group, together, strict=True):
            assert pixels_of(*ask(handler, call)) == pixels_of(answer)
    filled = [Image.open(io.BytesIO(drawn.png)) for drawn in ask(handler, calls("fill")[2])[0].pictures]
    before = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture(8, 2)))))
    for one in filled:
        assert (np.asarray(one)[:, 4:] == before[:, 4:]).all() and (np.asarray(one)[:, :4, 3] != 0).any()


def test_a_file_carries_the_record_that_draws_it_again(
    handler: "Handler[int]", models: dict[str, str], tmp_path: Path
) -> None:
    calls = [Call("draw", {"seed": 5}), Call("draw", {"seed": 9, "number": 6})]
    model = noisette.load(models["tiny"])
    for answers in (ask(handler, *calls), ask(handler, calls[0])):
        (tmp_path / "drawn.png").write_bytes(answers[0].pictures[0].png)
        record = read_record(read_metadata(tmp_path / "drawn.png"), "answer")
        assert (record.seed, record.model, record.batch) == (5, model.hash, max(MIN_BATCH, answers[0].batch))
        again = model.pictures.decode_samples(model.codec.to_images(reproduce(model, record)))
        assert pixels_of(answers[0]) == [again[0].permute(1, 2, 0).numpy().tobytes()]


def test_only_calls_of_one_kind_share_a_batch(handler: "Handler[int]") -> None:
    kinds = (
        {}, {"steps": 2}, {"sampler": "ddim"}, {"grid": "uniform"}, {"guidance": 2.0}, {"model": "tiny"},
        {"labels": ["bread:0.5,sword:0.5"]},
    )  # fmt: skip
    calls = [Call("draw", kind) for kind in kinds for _ in range(2)]
    assert [one.batch for one in ask(handler, *calls)] == [4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 2, 2]
    edits = [Call("vary", {"picture": picture(), "strength": s}) for s in (0.5, 0.5, 0.6)]
    assert [one.batch for one in ask(handler, *edits)] == [2, 2, 1]


def test_batches_are_bounded_and_the_first_call_is_drawn_first(handler: "Handler[int]") -> None:
    sizes = [10, 10, 6, 1, 40]
    order = list(handler.answer({i: Call("draw", {"number": n, "steps": 1}) for i, n in enumerate(sizes)}))
    assert [ticket for ticket, _ in order] == [0, 2, 1, 3, 4]
    assert [answer.batch for _, answer in order] == [16, 16, 11, 11, 40]


def test_a_call_that_cannot_be_drawn_spoils_no_other(
    handler: "Handler[int]", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Call("draw", {"steps": 1})
    bad, fine = ask(handler, Call("draw", {"labels": ["swrod"]}), good)
    assert (bad.status, bad.error) == (400, "no label is called 'swrod': did you mean 'sword'?")
    assert fine.status == 200
    drawing = handler.models.loaded["tiny"].net.forward

    def fails_for_many(x: torch.Tensor, *others: Any) -> torch.Tensor:
        if len(x) > MIN_BATCH:
            raise RuntimeError("cannot allocate memory")
        if x.isnan().any() or others[1].label[0] == 0:
            raise ZeroDivisionError
        return drawing(x, *others)

    monkeypatch.setattr(handler.models.loaded["tiny"].net, "forward", fails_for_many)
    swords = {"steps": 1, "labels": ["sword"]}
    answers = ask(handler, Call("draw", swords), Call("draw", swords | {"number": 5}), Call("draw", {"steps": 1}))
    assert [one.status for one in answers] == [200, 503, 500] and answers[2].error == DEFECT
    assert "smaller --batch" in answers[1].error and "ZeroDivisionError" in capsys.readouterr().err


def test_what_nobody_waits_for_is_not_drawn_to_its_end(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {0, 1, 2}
    handler: Handler[int] = Handler(models, 16, lambda ticket: ticket in wanted)
    steps = []
    drawing = handler.models.loaded["tiny"].net.forward

    def counted(*arguments: Any) -> torch.Tensor:
        steps.append(len(arguments[0]))
        if len(steps) == 3:
            wanted.clear()
        return drawing(*arguments)

    monkeypatch.setattr(handler.models.loaded["tiny"].net, "forward", counted)
    long = Call("draw", {"steps": 50, "sampler": "ddim", "number": 5})
    answers = dict(handler.answer({0: long, 1: long, 7: long}))
    assert answers == dict.fromkeys((0, 1, 7), ABANDONED) and handler.pending == []
    assert steps == [10] * 3  # number 7 was never begun, and the others stopped at the next step


def test_a_model_that_changes_is_loaded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny(seed=3).save_pretrained(tmp_path / "changing")
    handler: Handler[int] = Handler(name_models([str(tmp_path / "changing")]))
    call = Call("draw", {"steps": 1})
    first, same = ask(handler, call)[0], ask(handler, call)[0]
    assert first.model == same.model == noisette.load(tmp_path / "changing").hash
    tiny(seed=4).save_pretrained(tmp_path / "changing")
    second = ask(handler, call)[0]
    assert second.model == noisette.load(tmp_path / "changing").hash != first.model
    (tmp_path / "changing" / "model.safetensors").write_bytes(b"half")
    assert ask(handler, call)[0].model == second.model and "is served as it was" in capsys.readouterr().err


def test_models_are_named_by_their_folders(tmp_path: Path) -> None:
    for name in ("a/emoji", "b/emoji"):
        (tmp_path / name).mkdir(parents=True)
    assert list(name_models([str(tmp_path / "a" / "emoji"), "base-16", "hf://owner/icons"])) == [
        "emoji", "base-16", "icons",
    ]  # fmt: skip
    with pytest.raises(InputError, match="two models are called 'emoji'"):
        name_models([str(tmp_path / "a" / "emoji"), str(tmp_path / "b" / "emoji")])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
